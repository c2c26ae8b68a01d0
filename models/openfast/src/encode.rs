//! Action chunk to token ids.

use std::ops::Range;

use crate::{EncodeError, FastTokenizer, Shape, bpe, dct};

/// An encoded chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The token ids.
    pub ids: Vec<u32>,
    /// The coefficients that the vocabulary could not express as wanted. Empty for most chunks.
    pub lost: Vec<LostCoefficient>,
}

impl Encoded {
    /// True if the ids decode: no coefficient was dropped (it may have been replaced).
    #[must_use]
    pub fn decodes(&self) -> bool {
        self.lost.iter().all(|lost| lost.kept.is_some())
    }

    /// Cost of the losses: the Euclidean norm, in normalized action units over the whole chunk,
    /// of the error added to plain rounding. `None` when the ids do not decode at all.
    #[must_use]
    pub fn lost_norm(&self, scale: f64) -> Option<f64> {
        // The transform is orthonormal, so the error has the same norm before and after it.
        let squares = self.lost.iter().map(|lost| {
            let error = (f64::from(lost.wanted) - f64::from(lost.kept?)) / scale;
            Some(error * error)
        });
        squares.sum::<Option<f64>>().map(f64::sqrt)
    }
}

/// A coefficient that the vocabulary could not express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostCoefficient {
    /// Row of the coefficient (0 is the mean).
    pub frequency: usize,
    /// Column of the coefficient.
    pub dim: usize,
    /// The quantised coefficient, saturated to `i32`.
    pub wanted: i32,
    /// The coefficient in its place; `None` when it was dropped, so that the stream is one short.
    pub kept: Option<i32>,
}

/// Treatment of a coefficient that the vocabulary cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misfit {
    /// As the reference does: raise to character 0 from below, drop otherwise.
    AsReference,
    /// Take the nearest expressible one.
    Nearest,
}

/// Memory for encoding, to be reused.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    scaled: Vec<f32>,
    text: Vec<u32>,
    dct: dct::Workspace,
    bpe: bpe::Workspace,
}

impl FastTokenizer {
    /// Encodes a chunk of normalised actions, `[horizon, dims]` row-major, to the same ids as the
    /// reference.
    ///
    /// Coefficients that the vocabulary cannot express are treated as by the reference: values below
    /// `min_token` become `min_token`, others vanish. [`Encoded::lost`] lists them.
    ///
    /// # Errors
    /// For a bad shape, for values that are not finite, and for coefficients that no Unicode
    /// character stands for. The reference raises for those too.
    pub fn encode(&self, chunk: &[f32], shape: Shape) -> Result<Encoded, EncodeError> {
        self.encode_into(chunk, shape, &mut Workspace::default())
    }

    /// [`Self::encode`] in memory that the next chunk can use.
    pub(crate) fn encode_into(
        &self,
        chunk: &[f32],
        shape: Shape,
        workspace: &mut Workspace,
    ) -> Result<Encoded, EncodeError> {
        self.encode_with(chunk, shape, Misfit::AsReference, workspace)
    }

    /// Like [`Self::encode`], but takes the nearest expressible coefficient where the wanted one
    /// is not expressible, so that the ids always decode. The reference has no such mode.
    ///
    /// # Errors
    /// For a bad shape, for values that are not finite, and for a vocabulary that expresses nothing.
    pub fn encode_nearest(&self, chunk: &[f32], shape: Shape) -> Result<Encoded, EncodeError> {
        self.encode_with(chunk, shape, Misfit::Nearest, &mut Workspace::default())
    }

    fn encode_with(
        &self,
        chunk: &[f32],
        shape: Shape,
        misfit: Misfit,
        workspace: &mut Workspace,
    ) -> Result<Encoded, EncodeError> {
        let Workspace {
            scaled,
            text,
            dct,
            bpe,
        } = workspace;
        self.scale(chunk, shape, dct, scaled)?;
        let vocabulary = &self.inner.vocabulary;
        let min_token = i64::from(self.inner.config.min_token);
        let plainly = |&value: &f32| plain_character(value, self.inner.config.min_token);
        text.clear();
        text.extend(scaled.iter().map(plainly));
        // Nearly all chunks are wholly as wanted, in both modes.
        let begin = if all_within(text, vocabulary.plain_range()) {
            text.len()
        } else {
            let odd = |character: &u32| !vocabulary.is_plain(*character);
            text.iter().position(odd).unwrap_or(text.len())
        };
        text.truncate(begin);
        let mut lost = Vec::new();
        for (index, value) in scaled.iter().enumerate().skip(begin) {
            let character = plainly(value);
            if vocabulary.is_plain(character) {
                text.push(character);
                continue;
            }
            let value = round(*value);
            let (frequency, dim) = (index / shape.dims, index % shape.dims);
            let wanted = value as i32;
            // In float32 as the reference subtracts; the cast saturates.
            let offset = (value - min_token as f32) as i64;
            let reference = u32::try_from(offset.max(0)).ok().and_then(char::from_u32);
            let kept = match misfit {
                Misfit::AsReference => {
                    let character = reference.ok_or(EncodeError::NoCharacter {
                        frequency,
                        dim,
                        coefficient: wanted,
                    })?;
                    text.push(u32::from(character));
                    Some(character).filter(|&c| vocabulary.can_express(c as u32))
                }
                Misfit::Nearest => {
                    let character = vocabulary
                        .nearest(offset, -min_token)
                        .and_then(char::from_u32)
                        .ok_or(EncodeError::EmptyVocabulary)?;
                    text.push(u32::from(character));
                    Some(character)
                }
            };
            let kept = kept.map(|character| i64::from(character as u32));
            if kept != Some(offset) {
                let kept = kept.and_then(|character| i32::try_from(character + min_token).ok());
                lost.push(LostCoefficient {
                    frequency,
                    dim,
                    wanted,
                    kept,
                });
            }
        }
        let mut ids = Vec::with_capacity(text.len() / 4 + 8);
        self.inner.bpe.encode(text, bpe, &mut ids);
        Ok(Encoded { ids, lost })
    }

    /// The quantised coefficients of a chunk, `[horizon, dims]`, frequency outer: rounded half to
    /// even, not yet limited to what the vocabulary expresses. They are whole numbers in float32,
    /// because that is where the reference's encoder computes.
    ///
    /// # Errors
    /// For a bad shape and for values that are not finite.
    pub fn quantize(&self, chunk: &[f32], shape: Shape) -> Result<Vec<f32>, EncodeError> {
        let mut quantized = Vec::new();
        self.scale(chunk, shape, &mut dct::Workspace::default(), &mut quantized)?;
        for value in &mut quantized {
            *value = round(*value);
        }
        Ok(quantized)
    }

    /// Writes the scaled coefficients before rounding to `scaled`.
    fn scale(
        &self,
        chunk: &[f32],
        shape: Shape,
        workspace: &mut dct::Workspace,
        scaled: &mut Vec<f32>,
    ) -> Result<(), EncodeError> {
        let want = shape.values().ok_or(EncodeError::BadShape(shape))?;
        if chunk.len() != want {
            return Err(EncodeError::WrongLength {
                got: chunk.len(),
                want,
                shape,
            });
        }
        let largest = largest_magnitude(chunk);
        if !largest.is_finite() {
            let index = chunk.iter().position(|value| !value.is_finite());
            let index = index.unwrap_or_default();
            return Err(EncodeError::NotFinite {
                step: index / shape.dims,
                dim: index % shape.dims,
                value: chunk.get(index).copied().unwrap_or(f32::NAN),
            });
        }
        let scale = self.inner.config.scale as f32;
        self.dct(shape.horizon)
            .forward_for_rounding(chunk, shape.dims, scale, largest, workspace, scaled);
        Ok(())
    }
}

/// The largest magnitude; infinity or NaN where there is one.
pub(crate) fn largest_magnitude(values: &[f32]) -> f32 {
    // Of magnitudes the bits have the same order, and those of NaN are above all. As whole numbers they
    // are compared several at a time.
    let magnitude = |value: &f32| (value.to_bits() & 0x7FFF_FFFF) as i32;
    let largest = values.iter().map(magnitude).fold(0, i32::max);
    f32::from_bits(largest as u32)
}

/// True if all characters are in the range: without a way out at the first that is not, which goes several
/// at a time.
fn all_within(text: &[u32], range: &Range<u32>) -> bool {
    let (low, high) = (range.start, range.end.wrapping_sub(1));
    // The highest bit of a difference says whether it is below zero, as long as no number has that bit.
    let outside = |&c: &u32| c | c.wrapping_sub(low) | high.wrapping_sub(c);
    text.iter().map(outside).fold(0, |all, one| all | one) >> 31 == 0
}

/// Added to a float64 of magnitude below 2^51, this leaves no bits for a fraction: the sum is rounded
/// to a whole number, half to even, and its low bits are that number.
const WHOLE: f64 = 6_755_399_441_055_744.0;

/// The nearest whole number, of two the even one, without a call or a branch.
fn round(value: f32) -> f32 {
    let wide = f64::from(value);
    let rounded = (wide + WHOLE) - WHOLE;
    // Every larger float32 is whole, also infinity.
    if wide.abs() < 16_777_216.0 {
        rounded as f32
    } else {
        value
    }
}

/// Added to a float32 of magnitude below 2^22, this does the same in that precision.
const WHOLE_32: f32 = 12_582_912.0;

/// The character that the rounded value stands for, where both are small; something that is no
/// character elsewhere, and below `min_token`.
fn plain_character(value: f32, min_token: i32) -> u32 {
    let rounded = (value + WHOLE_32)
        .to_bits()
        .wrapping_sub(WHOLE_32.to_bits());
    // Without a branch, so that it goes several at a time: all bits are set where the value is large.
    let is_small = u32::from(value.abs() < 1_000_000.0);
    rounded.wrapping_sub(min_token as u32) | is_small.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::{all_within, largest_magnitude, plain_character, round};

    #[test]
    fn plain_characters_are_rounded_values_above_the_smallest() {
        let steps = (-200_000..200_000).map(|i| i as f32 / 128.0);
        for value in steps.chain([999_999.5, -999_999.5]) {
            for min_token in [-55, 0, 7, 1_114_111, -1_114_111] {
                let want = i64::from(round(value) as i32) - i64::from(min_token);
                let got = plain_character(value, min_token);
                match u32::try_from(want) {
                    Ok(want) => assert_eq!(got, want, "{value} {min_token}"),
                    Err(_) => assert!(got > 0x8000_0000, "{value} {min_token}"),
                }
            }
        }
        for value in [1e6f32, -1e6, 5e9, f32::MAX, f32::INFINITY] {
            assert_eq!(plain_character(value, -55), u32::MAX);
        }
    }

    #[test]
    fn finds_the_largest_magnitude_and_what_is_not_finite() {
        assert_eq!(largest_magnitude(&[]), 0.0);
        assert_eq!(largest_magnitude(&[0.25, -3.5, -0.0]), 3.5);
        let extremes = [0.0, -0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE];
        assert_eq!(largest_magnitude(&extremes), f32::MAX);
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = [1.0; 21];
            values[17] = bad;
            assert!(!largest_magnitude(&values).is_finite());
        }
    }

    #[test]
    fn finds_characters_outside_a_range() {
        for bad in [2, 0, 10, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0005, u32::MAX] {
            for place in 0..19 {
                let mut text = [3; 19];
                text[18 - place] = 9;
                assert!(all_within(&text, &(3..10)));
                text[place] = bad;
                assert!(!all_within(&text, &(3..10)), "{bad}");
            }
        }
        assert!(!all_within(&[0], &(0..0)));
        assert!(!all_within(&[1], &(0..0)));
        assert!(all_within(&[], &(0..0)));
    }

    #[test]
    fn rounds_as_the_standard_library_does() {
        let edges = [
            0.5f32,
            1.5,
            2.5,
            0.499_999_97,
            4_194_303.5,
            8_388_607.5,
            1e20,
            f32::INFINITY,
        ];
        let steps = (0..2_000_000u32).map(|i| f32::from_bits(i * 2_003));
        for value in edges
            .into_iter()
            .chain(steps)
            .filter(|value| !value.is_nan())
        {
            for value in [value, -value] {
                assert_eq!(round(value), value.round_ties_even(), "{value}");
            }
        }
    }
}
