//! Token ids to action chunk.

use crate::encode::largest_magnitude;
use crate::utf8::Pending;
use crate::{DecodeError, FastTokenizer, Shape};

/// The reference's decoding of a stream. See [`FastTokenizer::decode_as_reference`].
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceDecode {
    /// The chunk, `[horizon, dims]` row-major, normalised.
    pub chunk: Vec<f32>,
    /// True if the chunk is the reference's silent stand-in, all zeros.
    pub zeros: bool,
    /// The error of [`FastTokenizer::decode`] for the same stream.
    pub fault: Option<DecodeError>,
}

/// A chunk decoded from the beginning of a stream. See [`FastTokenizer::decode_partial`].
#[derive(Debug, Clone, PartialEq)]
pub struct PartialChunk {
    /// The chunk so far, `[horizon, dims]` row-major, normalised.
    pub chunk: Vec<f32>,
    /// The quantised coefficients so far, `[horizon, dims]`, frequency outer; zero from `known` on.
    pub coefficients: Vec<i32>,
    /// Coefficients that have arrived, lowest frequency first; the others count as zero.
    pub known: usize,
}

impl FastTokenizer {
    /// Decodes a stream to normalised actions, `[horizon, dims]` row-major.
    ///
    /// Within 1e-6 of the reference (which answers in float64) wherever the reference decodes what
    /// an encoder wrote.
    ///
    /// # Errors
    /// When the stream is not the encoding of a chunk of this shape; the error says why. The
    /// reference answers zeros instead, which a robot takes for a pose.
    pub fn decode(&self, ids: &[u32], shape: Shape) -> Result<Vec<f32>, DecodeError> {
        let coefficients = self.coefficients(ids, shape)?;
        Ok(self.inverse(&coefficients, shape))
    }

    /// Decodes a stream to quantised coefficients, `[horizon, dims]`, frequency outer.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn coefficients(&self, ids: &[u32], shape: Shape) -> Result<Vec<i32>, DecodeError> {
        let want = shape.values().ok_or(DecodeError::BadShape(shape))?;
        let (coefficients, pending) = self.read(ids, shape, want)?;
        if pending != Pending::Nothing {
            return Err(DecodeError::UnfinishedCharacter);
        }
        if coefficients.len() != want {
            return Err(DecodeError::WrongCount {
                got: coefficients.len(),
                want,
                shape,
            });
        }
        Ok(coefficients)
    }

    /// The chunk of quantised coefficients: divided by the scale, then transformed back over time.
    /// Computed in float64, as in the reference.
    ///
    /// # Errors
    /// For a bad shape, when there are not `horizon * dims` coefficients, and when they are so large
    /// that the actions are not finite.
    pub fn inverse_dct(&self, coefficients: &[i32], shape: Shape) -> Result<Vec<f32>, DecodeError> {
        let want = shape.values().ok_or(DecodeError::BadShape(shape))?;
        if coefficients.len() != want {
            return Err(DecodeError::WrongCount {
                got: coefficients.len(),
                want,
                shape,
            });
        }
        let chunk = self.inverse(coefficients, shape);
        if largest_magnitude(&chunk).is_finite() {
            return Ok(chunk);
        }
        let bad = chunk.iter().position(|value| !value.is_finite());
        let dim = bad.unwrap_or_default() % shape.dims;
        let column = coefficients.iter().skip(dim).step_by(shape.dims).copied();
        let largest = column.enumerate().max_by_key(|(_, c)| c.unsigned_abs());
        let (frequency, coefficient) = largest.unwrap_or_default();
        Err(DecodeError::OutOfRange {
            frequency,
            dim,
            coefficient,
        })
    }

    /// Finite for the coefficients of any stream: see [`crate::config::usable_scale`].
    fn inverse(&self, coefficients: &[i32], shape: Shape) -> Vec<f32> {
        let dct = self.dct(shape.horizon);
        dct.inverse(coefficients, shape.dims, self.inner.config.scale)
    }

    /// The best chunk known from the beginning of a stream, to draw while tokens arrive: low
    /// frequencies come first, and what has not arrived counts as zero. Not for a robot.
    ///
    /// # Errors
    /// When the beginning can no longer become the encoding of a chunk of this shape.
    pub fn decode_partial(&self, ids: &[u32], shape: Shape) -> Result<PartialChunk, DecodeError> {
        let want = shape.values().ok_or(DecodeError::BadShape(shape))?;
        let (mut coefficients, _) = self.read(ids, shape, want)?;
        let known = coefficients.len();
        coefficients.resize(want, 0);
        Ok(PartialChunk {
            chunk: self.inverse(&coefficients, shape),
            coefficients,
            known,
        })
    }

    /// Decodes a stream exactly as the reference does, faults included: unknown ids are skipped,
    /// bytes that are no character become U+FFFD (and so a coefficient in the tens of thousands),
    /// and a stream of the wrong length becomes **all zeros**, the middle of every joint's range.
    ///
    /// For comparing with the reference. Do not send the result to a robot: use [`Self::decode`].
    ///
    /// # Errors
    /// Only for a bad shape.
    pub fn decode_as_reference(
        &self,
        ids: &[u32],
        shape: Shape,
    ) -> Result<ReferenceDecode, DecodeError> {
        let want = shape.values().ok_or(DecodeError::BadShape(shape))?;
        let pieces = ids.iter().filter_map(|&id| self.inner.vocabulary.piece(id));
        let mut bytes = Vec::new();
        for piece in pieces {
            bytes.extend_from_slice(&piece.bytes);
            // U+FFFD stands for at most three bytes: a stream this long is too long, whatever
            // follows. It bounds the memory that a hostile stream can take.
            if bytes.len() / 4 > want {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let mut coefficients: Vec<i32> = text
            .chars()
            .map(|c| self.coefficient(u32::from(c)))
            .collect();
        let zeros = coefficients.len() != want;
        if zeros {
            coefficients = vec![0; want];
        }
        Ok(ReferenceDecode {
            chunk: self.inverse(&coefficients, shape),
            zeros,
            fault: self.coefficients(ids, shape).err(),
        })
    }

    /// The whole characters' coefficients at the beginning of a stream, and what its end still owes.
    fn read(
        &self,
        ids: &[u32],
        shape: Shape,
        want: usize,
    ) -> Result<(Vec<i32>, Pending), DecodeError> {
        let vocabulary = &self.inner.vocabulary;
        let mut state = Pending::Nothing;
        let mut begun = 0usize;
        // The bits so far of a character that has begun.
        let mut bits = 0;
        let mut coefficients = Vec::with_capacity(want);
        for (position, &id) in ids.iter().enumerate() {
            let characters = vocabulary.whole(id);
            if state == Pending::Nothing && !characters.is_empty() {
                begun = begun.saturating_add(characters.len());
                // Past the end only the count matters, for the error.
                if begun <= want {
                    coefficients.extend(characters.iter().map(|&c| self.coefficient(c)));
                }
                continue;
            }
            let piece = vocabulary.piece(id).ok_or(DecodeError::UnknownId {
                position,
                id,
                vocabulary: vocabulary.len(),
            })?;
            let class = vocabulary
                .class(id)
                .ok_or(DecodeError::UnreachableId { position, id })?;
            let broken = DecodeError::BrokenCharacter { position, id };
            if class.after(state).is_none() {
                return Err(broken);
            }
            begun = begun.saturating_add(class.begun);
            for &byte in &piece.bytes {
                bits = state.bits_after(bits, byte);
                state = state.after(byte).ok_or_else(|| broken.clone())?;
                if state == Pending::Nothing && begun <= want {
                    coefficients.push(self.coefficient(bits));
                }
            }
        }
        if begun > want {
            return Err(DecodeError::WrongCount {
                got: begun,
                want,
                shape,
            });
        }
        Ok((coefficients, state))
    }

    fn coefficient(&self, character: u32) -> i32 {
        // Both are within the range of Unicode, so the sum is too small to overflow.
        (character as i32).wrapping_add(self.inner.config.min_token)
    }
}
