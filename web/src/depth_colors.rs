//! Depth as color: near is bright and warm, far is dark and cool, no reading is gray.
//!
//! Lightness falls steadily with distance, so the image is readable without color vision and in print.

/// Nearest depth of the viewer's gray scale in meters (see `protocol::ViewEncoding::DepthGray8`).
pub const NEAR_METERS: f32 = 0.2;
/// Farthest depth of the viewer's gray scale in meters.
pub const FAR_METERS: f32 = 1.2;

/// Color stops from near to far, evenly spaced.
const STOPS: [[f32; 3]; 7] = [
    [252.0, 243.0, 200.0],
    [250.0, 205.0, 120.0],
    [238.0, 150.0, 96.0],
    [198.0, 98.0, 110.0],
    [134.0, 66.0, 126.0],
    [72.0, 48.0, 112.0],
    [24.0, 26.0, 62.0],
];
/// Color of a pixel without a reading.
const NO_READING: [u8; 4] = [118, 122, 128, 255];

/// RGBA by gray value: 0 is no reading, 1 is near, 255 is far.
#[derive(Debug, Clone)]
pub struct DepthColors([[u8; 4]; 256]);

impl Default for DepthColors {
    fn default() -> Self {
        let mut table = [NO_READING; 256];
        for (gray, entry) in table.iter_mut().enumerate().skip(1) {
            *entry = at((gray - 1) as f32 / 254.0);
        }
        Self(table)
    }
}

impl DepthColors {
    /// Color of a gray value.
    pub fn of(&self, gray: u8) -> [u8; 4] {
        self.0.get(usize::from(gray)).copied().unwrap_or(NO_READING)
    }

    /// Paints a `DepthGray8` image as RGBA.
    pub fn paint_gray(&self, gray: &[u8]) -> Vec<u8> {
        gray.iter().flat_map(|&value| self.of(value)).collect()
    }

    /// Paints little-endian millimeters as RGBA on the same scale.
    pub fn paint_millimeters(&self, bytes: &[u8]) -> Vec<u8> {
        let pairs = bytes
            .chunks_exact(2)
            .filter_map(|pair| pair.first_chunk::<2>());
        pairs
            .flat_map(|pair| self.of(gray_from_millimeters(u16::from_le_bytes(*pair))))
            .collect()
    }
}

fn gray_from_millimeters(millimeters: u16) -> u8 {
    if millimeters == 0 {
        return 0;
    }
    let share = (f32::from(millimeters) / 1000.0 - NEAR_METERS) / (FAR_METERS - NEAR_METERS);
    1 + (share.clamp(0.0, 1.0) * 254.0).round() as u8
}

fn at(share: f32) -> [u8; 4] {
    let position = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let index = (position.floor() as usize).min(STOPS.len() - 2);
    let blend = position - index as f32;
    let [from, to] = match STOPS.get(index..index + 2) {
        Some(&[from, to]) => [from, to],
        _ => return NO_READING,
    };
    let mut rgba = [255; 4];
    for (channel, (a, b)) in rgba.iter_mut().zip(from.iter().zip(to)) {
        *channel = (a + (b - a) * blend).round() as u8;
    }
    rgba
}

/// The scale as a CSS gradient, near to far.
pub fn css_gradient() -> String {
    let stops: Vec<String> = STOPS
        .iter()
        .map(|[r, g, b]| format!("rgb({r} {g} {b})"))
        .collect();
    format!("linear-gradient(to right, {})", stops.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    fn lightness([r, g, b, _]: [u8; 4]) -> f32 {
        0.2126 * f32::from(r) + 0.7152 * f32::from(g) + 0.0722 * f32::from(b)
    }

    #[test]
    fn lightness_falls_with_distance() {
        let colors = DepthColors::default();
        for gray in 1..255u8 {
            assert!(
                lightness(colors.of(gray)) >= lightness(colors.of(gray + 1)) - 0.6,
                "{gray}"
            );
        }
        assert!(lightness(colors.of(1)) - lightness(colors.of(255)) > 180.0);
    }

    #[test]
    fn millimetres_and_grey_agree() {
        let colors = DepthColors::default();
        let near = 200u16.to_le_bytes();
        let far = 1200u16.to_le_bytes();
        let none = 0u16.to_le_bytes();
        let painted = colors.paint_millimeters(&[near, far, none].concat());
        assert_eq!(painted, colors.paint_gray(&[1, 255, 0]));
        assert_eq!(&painted[8..12], &NO_READING);
    }
}
