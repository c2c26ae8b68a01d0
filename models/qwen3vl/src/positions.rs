//! M-RoPE positions of tokens in time, height and width, and the rotation of queries and keys.

use burn_tensor::Device;
use layers::Rotary;

use crate::config::{TextConfig, VisionConfig};
use crate::video_input::{Grid, merge_order};

/// M-RoPE position of a token: time, height and width.
pub type MropePosition = [u32; 3];

/// Positions of `count` text tokens from `next` on: every one is a step in all three.
pub fn text_positions(next: u32, count: usize) -> impl Iterator<Item = MropePosition> {
    (next..).take(count).map(|at| [at; 3])
}

/// Positions of an image of `rows` x `columns` tokens: one time, and rows and columns counted from it.
pub fn vision_positions(
    next: u32,
    rows: usize,
    columns: usize,
) -> impl Iterator<Item = MropePosition> {
    (next..).take(rows).flat_map(move |row| {
        (next..)
            .take(columns)
            .map(move |column| [next, row, column])
    })
}

/// The position after an image of `rows` x `columns` tokens that starts at `next`.
pub fn position_after_vision(next: u32, rows: usize, columns: usize) -> u32 {
    next.saturating_add(u32::try_from(rows.max(columns)).unwrap_or(u32::MAX))
}

/// `base^(-2 i / dim)` for `i` in `0..dim / 2`, rounded where the reference rounds: the exponent, the power and its
/// reciprocal to `f32`. A last bit here is a visible angle some thousand positions on.
fn frequencies(base: f64, dim: usize) -> Vec<f32> {
    (0..dim / 2)
        .map(|i| {
            let exponent = (2 * i) as f32 / dim as f32;
            1.0 / (f64::from(base as f32).powf(f64::from(exponent)) as f32)
        })
        .collect()
}

/// The language model's rotation: each frequency follows one of time, height and width.
#[derive(Debug, Clone)]
pub(crate) struct TextRotation {
    /// Frequency and axis of every pair.
    pairs: Vec<(f32, usize)>,
}

impl TextRotation {
    pub(crate) fn new(text: &TextConfig) -> Self {
        let [_, height, width] = text.mrope_section;
        let axis = |pair: usize| match pair % 3 {
            1 if pair < 3 * height => 1,
            2 if pair < 3 * width => 2,
            _ => 0,
        };
        let pairs = frequencies(text.rope_theta, text.head_dim)
            .into_iter()
            .enumerate()
            .map(|(pair, frequency)| (frequency, axis(pair)))
            .collect();
        Self { pairs }
    }

    pub(crate) fn rotary(&self, positions: &[MropePosition], device: &Device) -> Rotary {
        let angles: Vec<f32> = positions
            .iter()
            .flat_map(|position| {
                self.pairs.iter().map(|(frequency, axis)| {
                    frequency * position.get(*axis).copied().unwrap_or_default() as f32
                })
            })
            .collect();
        Rotary::from_angles(&angles, self.pairs.len(), device)
    }
}

/// The rotation of the patches of one image in the vision tower: half of the pairs follow the row, half the column.
pub(crate) fn vision_rotary(vision: &VisionConfig, grid: Grid, device: &Device) -> Rotary {
    const BASE: f64 = 10_000.0;
    let head_dim = vision.head_dim();
    let frequencies = frequencies(BASE, head_dim / 2);
    let angles: Vec<f32> = merge_order(grid, vision.spatial_merge_size)
        .flat_map(|(row, column)| {
            [row, column].into_iter().flat_map(|at| {
                frequencies
                    .iter()
                    .map(move |frequency| at as f32 * frequency)
            })
        })
        .collect();
    Rotary::from_angles(&angles, head_dim / 2, device)
}
