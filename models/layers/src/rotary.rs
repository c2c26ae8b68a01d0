//! Rotary position embedding in the half-rotation layout: value `i` of a head pairs with value
//! `i + head_dim / 2`.

use burn::tensor::{Device, Tensor, TensorData};

/// Cosines and sines for a run of positions.
///
/// The sine carries the sign of its half, so a rotation is `x * cos + swap(x) * sin` where `swap`
/// exchanges the halves.
///
/// # Params
/// - `cos`, `sin`: `[positions, 1, head_dim]`.
#[derive(Debug, Clone)]
pub struct Rotary {
    cos: Tensor<3>,
    sin: Tensor<3>,
    half: usize,
}

impl Rotary {
    /// Tables for positions `0 .. positions`. The angle of pair `i` at position `p` is
    /// `p * base^(-2 i / head_dim)`, in `f32` as the reference computes it. `head_dim` is even.
    pub fn new(positions: usize, head_dim: usize, base: f64, device: &Device) -> Self {
        let half = head_dim / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|i| 1.0 / (base as f32).powf((2 * i) as f32 / head_dim as f32))
            .collect();
        let mut cos = Vec::with_capacity(positions * head_dim);
        let mut sin = Vec::with_capacity(positions * head_dim);
        for position in 0..positions {
            let angles = frequencies
                .iter()
                .map(|frequency| position as f32 * frequency);
            cos.extend(angles.clone().chain(angles.clone()).map(f32::cos));
            sin.extend(angles.clone().map(|angle| -angle.sin()));
            sin.extend(angles.map(f32::sin));
        }
        let upload =
            |values| Tensor::from_data(TensorData::new(values, [positions, 1, head_dim]), device);
        Self {
            cos: upload(cos),
            sin: upload(sin),
            half,
        }
    }

    /// Number of positions in the table.
    pub fn positions(&self) -> usize {
        let [positions, _, _] = self.cos.dims();
        positions
    }

    /// The rows for positions `start .. start + len`, which must lie in the table.
    #[must_use]
    pub fn rows(&self, start: usize, len: usize) -> Self {
        Self {
            cos: self.cos.clone().narrow(0, start, len),
            sin: self.sin.clone().narrow(0, start, len),
            half: self.half,
        }
    }

    /// Rotates `[positions, heads, head_dim]`.
    pub fn apply(&self, x: Tensor<3>) -> Tensor<3> {
        let swapped = Tensor::cat(
            vec![
                x.clone().narrow(2, self.half, self.half),
                x.clone().narrow(2, 0, self.half),
            ],
            2,
        );
        x * self.cos.clone() + swapped * self.sin.clone()
    }
}
