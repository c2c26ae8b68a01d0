//! Several chunks of one shape at once.

use crate::encode::Workspace;
use crate::{DecodeError, EncodeError, Encoded, FastTokenizer, Shape};

/// One chunk of a batch failed; nothing of the batch is given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("chunk {index}: {source}")]
pub struct BatchError<E> {
    /// Index of the chunk, from 0.
    pub index: usize,
    /// The problem with it.
    pub source: E,
}

impl FastTokenizer {
    /// Encodes a batch of chunks, `[batch, horizon, dims]` row-major, each as [`Self::encode`] does.
    ///
    /// # Errors
    /// As [`Self::encode`], naming the first chunk that fails. When the values are no whole number
    /// of chunks, that is the chunk that begins and does not end.
    pub fn encode_batch(
        &self,
        chunks: &[f32],
        shape: Shape,
    ) -> Result<Vec<Encoded>, BatchError<EncodeError>> {
        let values = shape.values().ok_or(BatchError {
            index: 0,
            source: EncodeError::BadShape(shape),
        })?;
        let mut workspace = Workspace::default();
        let mut encoded = Vec::with_capacity(chunks.len() / values + 1);
        for (index, chunk) in chunks.chunks(values).enumerate() {
            let one = self.encode_into(chunk, shape, &mut workspace);
            encoded.push(one.map_err(|source| BatchError { index, source })?);
        }
        Ok(encoded)
    }

    /// Decodes a batch of streams to normalised actions, `[batch, horizon, dims]` row-major, each
    /// as [`Self::decode`] does.
    ///
    /// # Errors
    /// As [`Self::decode`], naming the first stream that fails.
    pub fn decode_batch(
        &self,
        streams: &[Vec<u32>],
        shape: Shape,
    ) -> Result<Vec<f32>, BatchError<DecodeError>> {
        // The capacity that is likely to be needed, within reason: the streams may not decode.
        let values = shape.values().unwrap_or_default();
        let mut chunks = Vec::with_capacity(values.saturating_mul(streams.len()).min(1 << 22));
        for (index, ids) in streams.iter().enumerate() {
            let chunk = self
                .decode(ids, shape)
                .map_err(|source| BatchError { index, source })?;
            chunks.extend_from_slice(&chunk);
        }
        Ok(chunks)
    }
}
