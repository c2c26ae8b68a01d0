//! The action codec at work in the page: a stream decoded while it arrives, a chunk encoded on trial, and
//! how long both take in this tab.

use crate::viewer::{ActionDimension, Trace};
use serde::{Deserialize, Serialize};

/// The tokens of a stream so far; the answer is the best chunk that they give.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartialDecodeRequest {
    /// Chosen by the page, returned with the answer.
    pub request_id: u64,
    /// OpenFAST ids so far.
    pub tokens: Vec<u32>,
    /// No more tokens will come: what is missing then is an error.
    pub ended: bool,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Mapping of normalized values to robot units, one entry per dimension.
    pub action: Vec<ActionDimension>,
}

impl PartialDecodeRequest {
    /// All tokens of a decision.
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
    /// The stream itself.
    pub tokens: Vec<u32>,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Number of coefficients that begin in each readable token, in order. Shorter than `tokens` when the stream
    /// cannot be read to its end.
    pub token_lengths: Vec<u32>,
    /// Quantised coefficients, row-major `[rows, dims]`, one row per frequency; zero from `known` on.
    pub coefficients: Vec<i32>,
    /// Coefficients that have arrived, lowest frequency first.
    pub known: u32,
    /// Row-major `[rows, dims]`, normalised: the best chunk so far.
    pub chunk_normalised: Vec<f32>,
    /// The same in robot units.
    pub actions: Vec<f32>,
    /// The fault after which the stream cannot be decoded further, if there is one.
    pub fault: Option<StreamFault>,
}

/// Place and cause of an undecodable stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamFault {
    /// The token that cannot be read; absent when the stream ended too early.
    pub position: Option<u32>,
    /// The cause, as text.
    pub reason: String,
}

/// A chunk to encode as tokens, to try the cost of a change. It never leaves the tab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodeRequest {
    /// Chosen by the page, returned with the answer.
    pub request_id: u64,
    /// Row-major `[rows, dims]`, normalised.
    pub chunk_normalised: Vec<f32>,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Mapping of normalized values to robot units, one entry per dimension.
    pub action: Vec<ActionDimension>,
}

/// Chunks to time the codec with.
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
    /// Microseconds to write one chunk as tokens: median over the rounds.
    pub encode_micros: f64,
    /// Microseconds to read one chunk from tokens: median over the rounds.
    pub decode_micros: f64,
    /// Rounds of each.
    pub rounds: u32,
    /// Tokens per chunk, mean over the batch.
    pub tokens: f64,
}

/// Outcome of a timing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TimeOutcome {
    /// One timing per run, in the order of the request.
    Timed(Vec<CodecTiming>),
    /// It could not run.
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
    fn the_codec_s_messages_survive_the_trip() {
        for asked in [
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
                from_bytes::<ToWorker>(&to_bytes(&asked).unwrap()).unwrap(),
                asked
            );
        }
        let told = FromWorker::PartiallyDecoded {
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
            from_bytes::<FromWorker>(&to_bytes(&told).unwrap()).unwrap(),
            told
        );
    }
}
