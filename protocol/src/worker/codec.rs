//! Action codec in the page: decoding of a stream while it arrives, trial encoding of a chunk, and timings of both.

use crate::viewer::{ActionDimension, Trace};
use serde::{Deserialize, Serialize};

/// The tokens of a stream so far. The answer is the best chunk that they decode to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartialDecodeRequest {
    /// Chosen by the page, returned with the answer.
    pub request_id: u64,
    /// OpenFAST ids so far.
    pub tokens: Vec<u32>,
    /// True if the stream is complete, so that missing tokens are an error.
    pub ended: bool,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Mapping of normalized values to robot units, one entry per dimension.
    pub action: Vec<ActionDimension>,
}

impl PartialDecodeRequest {
    /// Request with all tokens of a decision.
    pub fn of(trace: &Trace, action: &[ActionDimension], request_id: u64) -> Self {
        Self {
            request_id,
            tokens: trace.action_tokens.clone(),
            ended: true,
            rows: trace.rows,
            dims: trace.dims,
            action: action.to_vec(),
        }
    }
}

/// Outcome of a [`PartialDecodeRequest`] or of an [`EncodeRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PartialDecodeOutcome {
    /// The readable beginning of the stream.
    Decoded(PartialDecode),
    /// Nothing could be decoded.
    Failed {
        /// The cause and the remedy, as text for a person.
        reason: String,
    },
}

/// Decoded beginning of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartialDecode {
    /// The tokens of the stream.
    pub tokens: Vec<u32>,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Number of coefficients that begin in each readable token, in order. Shorter than `tokens` if the stream cannot be
    /// decoded completely.
    pub token_lengths: Vec<u32>,
    /// Quantized coefficients, row-major `[rows, dims]`, one row per frequency; zero from `known` on.
    pub coefficients: Vec<i32>,
    /// Number of coefficients that have arrived, lowest frequency first.
    pub known: u32,
    /// The best chunk so far, row-major `[rows, dims]`, normalized.
    pub chunk_normalised: Vec<f32>,
    /// The best chunk so far, row-major `[rows, dims]`, in robot units.
    pub actions: Vec<f32>,
    /// Fault that ends the decoding, if there is one.
    pub fault: Option<StreamFault>,
}

/// Position and cause of a fault in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamFault {
    /// Index of the token that cannot be decoded; absent if the stream ended too early.
    pub position: Option<u32>,
    /// The cause, as text.
    pub reason: String,
}

/// A chunk to encode as tokens, to see the cost of a change. It never leaves the tab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodeRequest {
    /// Chosen by the page, returned with the answer.
    pub request_id: u64,
    /// The chunk, row-major `[rows, dims]`, normalized.
    pub chunk_normalised: Vec<f32>,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Mapping of normalized values to robot units, one entry per dimension.
    pub action: Vec<ActionDimension>,
}

/// Shape and number of the chunks of one timing run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodecRun {
    /// Rows of a chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Chunks per call.
    pub batch: u32,
}

/// Timing of the codec, per chunk.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CodecTiming {
    /// The timed run.
    pub run: CodecRun,
    /// Microseconds to encode one chunk: median over the rounds.
    pub encode_micros: f64,
    /// Microseconds to decode one chunk: median over the rounds.
    pub decode_micros: f64,
    /// Number of rounds of each.
    pub rounds: u32,
    /// Tokens per chunk, mean over the batch.
    pub tokens: f64,
}

/// Outcome of a timing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TimeOutcome {
    /// One timing per run, in the order of the request.
    Timed(Vec<CodecTiming>),
    /// The codec could not run.
    Failed {
        /// The cause, as text.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::worker::{FromWorker, ToWorker, from_bytes, to_bytes};

    #[test]
    fn messages_of_the_codec_are_read_back_as_they_were_written() {
        for request in [
            ToWorker::DecodePartial(PartialDecodeRequest {
                request_id: 1,
                tokens: vec![3, 9],
                ended: false,
                rows: 2,
                dims: 1,
                action: vec![],
            }),
            ToWorker::Encode(EncodeRequest {
                request_id: 2,
                chunk_normalised: vec![0.5, -0.5],
                rows: 2,
                dims: 1,
                action: vec![],
            }),
            ToWorker::Time(vec![CodecRun {
                rows: 16,
                dims: 6,
                batch: 256,
            }]),
        ] {
            assert_eq!(
                from_bytes::<ToWorker>(&to_bytes(&request).unwrap()).unwrap(),
                request
            );
        }
        let decoded = FromWorker::PartiallyDecoded {
            request_id: 1,
            outcome: PartialDecodeOutcome::Decoded(PartialDecode {
                tokens: vec![3, 9],
                rows: 2,
                dims: 1,
                token_lengths: vec![1],
                coefficients: vec![-4, 0],
                known: 1,
                chunk_normalised: vec![-0.2, -0.2],
                actions: vec![10.0, 10.0],
                fault: Some(StreamFault {
                    position: Some(1),
                    reason: "no such token".into(),
                }),
            }),
        };
        assert_eq!(
            from_bytes::<FromWorker>(&to_bytes(&decoded).unwrap()).unwrap(),
            decoded
        );
    }
}
