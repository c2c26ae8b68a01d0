//! Rotary position embedding in the half-rotation layout: value `i` of a head pairs with value
//! `i + head_dim / 2`.

use burn_tensor::{Device, Int, Tensor, TensorData};

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
        let angles: Vec<f32> = (0..positions)
            .flat_map(|position| {
                frequencies
                    .iter()
                    .map(move |frequency| position as f32 * frequency)
            })
            .collect();
        Self::from_angles(&angles, half, device)
    }

    /// Tables from the angles themselves, `[positions, half]`, for networks whose pairs turn by more than one
    /// coordinate. `half` is half of `head_dim` and not 0.
    pub fn from_angles(angles: &[f32], half: usize, device: &Device) -> Self {
        let half = half.max(1);
        let positions = angles.len() / half;
        let mut cos = Vec::with_capacity(angles.len() * 2);
        let mut sin = Vec::with_capacity(angles.len() * 2);
        for angles in angles.chunks_exact(half) {
            cos.extend(angles.iter().chain(angles).map(|angle| angle.cos()));
            sin.extend(angles.iter().map(|angle| -angle.sin()));
            sin.extend(angles.iter().map(|angle| angle.sin()));
        }
        let upload =
            |values| Tensor::from_data(TensorData::new(values, [positions, 1, 2 * half]), device);
        Self {
            cos: upload(cos),
            sin: upload(sin),
            half,
        }
    }

    /// The same table `times` times, one after the other.
    #[must_use]
    pub fn repeated(&self, times: usize) -> Self {
        if times == 1 {
            return self.clone();
        }
        Self {
            cos: self.cos.clone().repeat_dim(0, times),
            sin: self.sin.clone().repeat_dim(0, times),
            half: self.half,
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

    /// The rows for these positions, which must lie in the table.
    #[must_use]
    pub fn at(&self, positions: &[usize]) -> Self {
        let rows: Vec<i32> = positions.iter().map(|&position| position as i32).collect();
        let rows = TensorData::new(rows, [positions.len()]);
        self.select(Tensor::from_data(rows, &self.cos.device()))
    }

    /// The rows with these numbers, which must lie in the table.
    #[must_use]
    pub fn select(&self, rows: Tensor<1, Int>) -> Self {
        Self {
            cos: self.cos.clone().select(0, rows.clone()),
            sin: self.sin.clone().select(0, rows),
            half: self.half,
        }
    }

    /// The table in the memory of this process, if it has `positions` positions for heads of `head_dim`.
    pub(crate) fn on_host(&self, positions: usize, head_dim: usize) -> Option<HostRotary> {
        if self.positions() != positions || 2 * self.half != head_dim {
            return None;
        }
        let values = |table: &Tensor<3>| table.clone().into_data().try_into_vec::<f32>().ok();
        Some(HostRotary {
            cos: values(&self.cos)?,
            sin: values(&self.sin)?,
            head_dim,
        })
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

/// A [`Rotary`] in the memory of this process.
pub(crate) struct HostRotary {
    cos: Vec<f32>,
    sin: Vec<f32>,
    head_dim: usize,
}

impl HostRotary {
    /// Rotates one head at `position`.
    pub(crate) fn turn(&self, position: usize, head: &mut [f32]) {
        let start = position * self.head_dim;
        let half = self.head_dim / 2;
        // Of the sines, the second half's: the first half's have their sign turned.
        let cos = self.cos.get(start..start + half).unwrap_or_default();
        let sin = self
            .sin
            .get(start + half..start + 2 * half)
            .unwrap_or_default();
        let (first, second) = head.split_at_mut(half);
        for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}
