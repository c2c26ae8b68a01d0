//! The decoder's output.

/// A decoded depth map. Values are relative and grow towards the camera, as those it was trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthImage {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width]`, row by row.
    pub values: Vec<f32>,
}

impl DepthImage {
    /// Grey levels from 0 (the farthest point of this picture) to 255 (the nearest); 0 where all are equal.
    pub fn gray(&self) -> Vec<u8> {
        let least = self.values.iter().copied().fold(f32::INFINITY, f32::min);
        let most = self
            .values
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max);
        let range = (most - least).max(1e-8);
        self.values
            .iter()
            .map(|value| ((value - least) / range * 255.0 + 0.5).clamp(0.0, 255.0) as u8)
            .collect()
    }
}
