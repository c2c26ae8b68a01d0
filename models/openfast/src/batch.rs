//! Several chunks of one shape at once.

use crate::{DecodeError, EncodeError, Encoded, FastTokenizer, Shape};

/// One chunk of a batch failed; nothing of the batch is given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("chunk {index}: {source}")]
pub struct BatchError<E> {
    /// Which chunk, counted from 0.
    pub index: usize,
    /// What is wrong with it.
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
        chunks
            .chunks(values)
            .enumerate()
            .map(|(index, chunk)| {
                self.encode(chunk, shape)
                    .map_err(|source| BatchError { index, source })
            })
            .collect()
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
        let mut chunks = Vec::new();
        for (index, ids) in streams.iter().enumerate() {
            let chunk = self
                .decode(ids, shape)
                .map_err(|source| BatchError { index, source })?;
            chunks.extend_from_slice(&chunk);
        }
        Ok(chunks)
    }
}
