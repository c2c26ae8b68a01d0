//! Action chunk to token ids.

use crate::bpe::Text;
use crate::{EncodeError, FastTokenizer, Shape};

/// An encoded chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The token ids.
    pub ids: Vec<u32>,
    /// The coefficients that the vocabulary could not express as wanted. Empty for most chunks.
    pub lost: Vec<Lost>,
}

impl Encoded {
    /// Whether the ids decode: no coefficient was dropped (it may have been replaced).
    #[must_use]
    pub fn decodes(&self) -> bool {
        self.lost.iter().all(|lost| lost.kept.is_some())
    }

    /// What the losses cost: the Euclidean norm, in normalised action units over the whole chunk,
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
pub struct Lost {
    /// Row of the coefficient (0 is the mean).
    pub frequency: usize,
    /// Column of the coefficient.
    pub dim: usize,
    /// The quantised coefficient, saturated to `i32`.
    pub wanted: i32,
    /// What stands in its place; `None` when it was dropped, so that the stream is one short.
    pub kept: Option<i32>,
}

/// What to do with a coefficient that the vocabulary cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misfit {
    /// What the reference does: raise to character 0 from below, drop otherwise.
    AsReference,
    /// Take the nearest expressible one.
    Nearest,
}

impl FastTokenizer {
    /// Encodes a chunk of normalised actions, `[horizon, dims]` row-major, to the same ids as the
    /// reference.
    ///
    /// Where the vocabulary cannot express a coefficient, so does the reference: values below
    /// `min_token` become `min_token`, others vanish. [`Encoded::lost`] says where that happened.
    ///
    /// # Errors
    /// For a bad shape, for values that are not finite, and for coefficients that no Unicode
    /// character stands for. The reference raises for those too.
    pub fn encode(&self, chunk: &[f32], shape: Shape) -> Result<Encoded, EncodeError> {
        self.encode_with(chunk, shape, Misfit::AsReference)
    }

    /// Like [`Self::encode`], but takes the nearest expressible coefficient where the wanted one
    /// is not expressible, so that the ids always decode. The reference has no such mode.
    ///
    /// # Errors
    /// For a bad shape, for values that are not finite, and for a vocabulary that expresses nothing.
    pub fn encode_nearest(&self, chunk: &[f32], shape: Shape) -> Result<Encoded, EncodeError> {
        self.encode_with(chunk, shape, Misfit::Nearest)
    }

    fn encode_with(
        &self,
        chunk: &[f32],
        shape: Shape,
        misfit: Misfit,
    ) -> Result<Encoded, EncodeError> {
        let quantised = self.quantise(chunk, shape)?;
        let vocabulary = &self.inner.vocabulary;
        let min_token = i64::from(self.inner.config.min_token);
        let mut text = Text::default();
        text.characters.reserve(quantised.len());
        let mut lost = Vec::new();
        for (index, &value) in quantised.iter().enumerate() {
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
                    text.characters.push(u32::from(character));
                    Some(character).filter(|&c| vocabulary.can_express(c as u32))
                }
                Misfit::Nearest => {
                    let character = vocabulary
                        .nearest(offset, -min_token)
                        .and_then(char::from_u32)
                        .ok_or(EncodeError::EmptyVocabulary)?;
                    text.characters.push(u32::from(character));
                    Some(character)
                }
            };
            let kept = kept.map(|character| i64::from(character as u32));
            if kept != Some(offset) {
                let kept = kept.and_then(|character| i32::try_from(character + min_token).ok());
                lost.push(Lost {
                    frequency,
                    dim,
                    wanted,
                    kept,
                });
            }
        }
        let mut ids = Vec::new();
        self.inner.bpe.encode(&mut text, &mut ids);
        Ok(Encoded { ids, lost })
    }

    /// The quantised coefficients of a chunk, `[horizon, dims]`, frequency outer: rounded half to
    /// even, not yet limited to what the vocabulary expresses. They are whole numbers in float32,
    /// because that is where the reference's encoder computes.
    ///
    /// # Errors
    /// For a bad shape and for values that are not finite.
    pub fn quantise(&self, chunk: &[f32], shape: Shape) -> Result<Vec<f32>, EncodeError> {
        let want = shape.values().ok_or(EncodeError::BadShape(shape))?;
        if chunk.len() != want {
            return Err(EncodeError::WrongLength {
                got: chunk.len(),
                want,
                shape,
            });
        }
        if let Some(index) = chunk.iter().position(|value| !value.is_finite()) {
            return Err(EncodeError::NotFinite {
                step: index / shape.dims,
                dim: index % shape.dims,
                value: chunk.get(index).copied().unwrap_or(f32::NAN),
            });
        }
        let scale = self.inner.config.scale as f32;
        let dct = self.dct(shape.horizon);
        Ok(dct.forward_with(chunk, shape.dims, |c| round(c as f32 * scale)))
    }
}

/// The nearest whole number, of two the even one, without a call or a branch.
fn round(value: f32) -> f32 {
    /// Adding this leaves no bits for a fraction in a float64 of magnitude below 2^51.
    const WHOLE: f64 = 6_755_399_441_055_744.0;
    let wide = f64::from(value);
    let rounded = (wide + WHOLE) - WHOLE;
    // Every larger float32 is whole, also infinity.
    if wide.abs() < 16_777_216.0 {
        rounded as f32
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::round;

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
