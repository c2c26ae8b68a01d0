//! Bytes to the floats that the vision tower reads.

use crate::ImageError;

/// Mapping of a channel's bytes to floats: `(byte / 255 - mean) / std`, brought back onto the grid of 256
/// values that the model was trained on.
///
/// The reference's processor normalises to f32, and its model then re-quantises
/// (`round((x + 1) / 2 * 255) / 255 * 2 - 1`). Both depend on the byte alone, so they are one table lookup.
#[derive(Clone, PartialEq)]
pub struct PixelNormalization {
    processor: [[f32; 256]; 3],
    model: [[f32; 256]; 3],
}

impl PixelNormalization {
    /// The tables for `image_mean` and `image_std` of a processor configuration (red, green, blue).
    ///
    /// # Errors
    /// [`ImageError::BadStd`] when a standard deviation is not a number above zero.
    pub fn new(mean: [f32; 3], std: [f32; 3]) -> Result<Self, ImageError> {
        for (channel, value) in std.into_iter().enumerate() {
            if !(value.is_finite() && value > 0.0) {
                return Err(ImageError::BadStd {
                    channel,
                    std_bits: value.to_bits(),
                });
            }
        }
        // The reference takes a shortcut here that rounds differently from the general formula.
        let halves = mean.iter().chain(&std).all(|x| (x - 0.5).abs() <= 5e-6);
        let table = |channel: usize| -> [f32; 256] {
            let (mean, std) = (mean[channel], std[channel]);
            std::array::from_fn(|byte| {
                let unit = byte as f32 / 255.0;
                if halves {
                    unit * 2.0 - 1.0
                } else {
                    (unit - mean) / std
                }
            })
        };
        let processor = std::array::from_fn(table);
        let model = processor.map(|values: [f32; 256]| values.map(requantize));
        Ok(Self { processor, model })
    }

    /// Input of the vision tower for `byte` of `channel` (0 red, 1 green, 2 blue; higher ones wrap round).
    #[inline]
    #[must_use]
    pub fn apply(&self, channel: usize, byte: u8) -> f32 {
        self.model[channel % 3][usize::from(byte)]
    }

    /// Output of the reference's processor for `byte`, before the model re-quantizes it.
    #[must_use]
    pub fn before_requantization(&self, channel: usize, byte: u8) -> f32 {
        self.processor[channel % 3][usize::from(byte)]
    }
}

fn requantize(value: f32) -> f32 {
    let level = (((value + 1.0) * 0.5) * 255.0).round_ties_even();
    level.clamp(0.0, 255.0) / 255.0 * 2.0 - 1.0
}

impl std::fmt::Debug for PixelNormalization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PixelNormalization").finish_non_exhaustive()
    }
}
