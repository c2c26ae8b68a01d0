//! Page <-> its compute worker, inside one browser tab.
//!
//! These messages never cross a network. Both sides are built together, so there is no version byte. They are in this crate
//! because it is the only one that both wasm modules share. Each message is one MessagePack map, posted as a `Uint8Array`.

mod codec;
mod compute;
mod decode;
mod depth;
mod scorer;

pub use codec::{
    CodecRun, CodecTiming, EncodeRequest, PartialDecode, PartialDecodeOutcome,
    PartialDecodeRequest, StreamFault, TimeOutcome,
};
pub use compute::{
    ComputeDevice, ComputeKind, ComputeReport, SelfTestCheck, TimedProduct, Verdict,
};
pub use decode::{Comparison, DecodeOutcome, DecodeRequest};
pub use depth::{DecoderOutcome, DepthDrawing, DrawOutcome, DrawRequest};
pub use scorer::{LoadScorer, ScorerReady, ScorerState};

use crate::frame::FrameError;
use crate::score::{ScoreEvent, ScoreFrame, ScoreRequest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Messages of the page to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Fetch the policy's OpenFAST tokenizer, which replaces the loaded one.
    LoadTokenizer {
        /// Address of `tokenizer.json`.
        tokenizer_url: String,
        /// Address of `processor_config.json`.
        processor_config_url: String,
    },
    /// Compute on this device from now on; `None` chooses the measured best one.
    Choose(Option<ComputeKind>),
    /// Decode the tokens of one decision, and compare the result with the chunk.
    Decode(DecodeRequest),
    /// Decode the tokens of a stream so far.
    DecodePartial(PartialDecodeRequest),
    /// Encode a chunk as tokens.
    Encode(EncodeRequest),
    /// Time the codec, one run after the other.
    Time(Vec<CodecRun>),
    /// Fetch the policy's depth decoder, which replaces the loaded one.
    LoadDepthDecoder {
        /// Address of its safetensors file.
        url: String,
    },
    /// Draw depth codes.
    Draw(DrawRequest),
    /// Fetch a scorer and load its weights onto the chosen device. It replaces the loaded one. Files in the browser's
    /// storage are not fetched again.
    LoadScorer(LoadScorer),
    /// Stop fetching or loading the scorer.
    CancelScorer,
    /// Delete all scorer files from the browser's storage.
    ForgetScorers,
    /// Score a video; its frames follow.
    Score(ScoreRequest),
    /// The next frame of a job. Only the frames that the profile samples are needed, and the last one.
    ScoreFrame(ScoreFrame),
    /// End of the frames of a job. The controls of a watched robot are computed now.
    ScoreClose {
        /// The job.
        job: u64,
    },
    /// Stop a job.
    ScoreCancel {
        /// The job.
        job: u64,
    },
}

/// Messages of the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The module runs and accepts messages.
    Started,
    /// Devices were probed or chosen; replaces the previous report.
    Devices(ComputeReport),
    /// Outcome of loading the tokenizer.
    Tokenizer(TokenizerOutcome),
    /// The answer to one [`DecodeRequest`].
    Decoded {
        /// The request's own number.
        request_id: u64,
        /// Its outcome.
        outcome: DecodeOutcome,
    },
    /// The answer to one [`PartialDecodeRequest`].
    PartiallyDecoded {
        /// The request's own number.
        request_id: u64,
        /// Its outcome.
        outcome: PartialDecodeOutcome,
    },
    /// The answer to one [`EncodeRequest`]: the tokens of the chunk, and the chunk that they decode to.
    Encoded {
        /// The request's own number.
        request_id: u64,
        /// Its outcome.
        outcome: PartialDecodeOutcome,
    },
    /// The answer to [`ToWorker::Time`].
    Timed(TimeOutcome),
    /// Outcome of loading the depth decoder.
    DepthDecoder(DecoderOutcome),
    /// The answer to one [`DrawRequest`].
    Drawn {
        /// The request's own number.
        request_id: u64,
        /// Its outcome.
        outcome: DrawOutcome,
    },
    /// State of the tab's scorer.
    Scorer(ScorerState),
    /// The answer to [`ToWorker::ForgetScorers`].
    ScorersForgotten {
        /// Reason why the files could not be deleted, and the remedy; `None` if they are deleted.
        problem: Option<String>,
    },
    /// Event of a scoring job.
    Score(ScoreEvent),
}

/// Outcome of loading the tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenizerOutcome {
    /// The tokenizer is loaded.
    Ready {
        /// Size of its vocabulary.
        vocabulary: u32,
    },
    /// The tokenizer could not be fetched or read.
    Failed {
        /// The cause.
        reason: String,
    },
}

/// Writes one message.
///
/// # Errors
/// [`FrameError::Encode`] if memory runs out.
pub fn to_bytes<M: Serialize>(message: &M) -> Result<Vec<u8>, FrameError> {
    rmp_serde::to_vec_named(message).map_err(|e| FrameError::Encode {
        message: "worker message",
        reason: e.to_string(),
    })
}

/// Reads one message.
///
/// # Errors
/// [`FrameError::BadBody`] if the bytes are no such message, for example when page and worker were not built together.
pub fn from_bytes<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, FrameError> {
    rmp_serde::from_slice(bytes).map_err(|e| FrameError::BadBody {
        message: "worker message",
        reason: e.to_string(),
    })
}

/// Reads one message from a network. A message with more than `max_values` MessagePack values or with deep nesting is
/// refused before it is decoded.
///
/// # Errors
/// [`FrameError::BadBody`] for bytes that are no such message.
pub fn from_untrusted_bytes<M: DeserializeOwned>(
    bytes: &[u8],
    max_values: usize,
) -> Result<M, FrameError> {
    crate::body_scan::check(bytes, max_values, crate::score::MAX_PREFIXES_BYTES).map_err(
        |reason| FrameError::BadBody {
            message: "message",
            reason,
        },
    )?;
    from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::viewer::TokensOrigin;

    #[test]
    fn every_message_is_read_back_as_it_was_written() {
        let request = ToWorker::Decode(DecodeRequest {
            request_id: 7,
            tokens: vec![55, 148],
            origin: TokensOrigin::Generated,
            rows: 2,
            dims: 1,
            chunk_normalised: vec![0.5, -0.25],
            actions: vec![10.0, 12.0],
            action: vec![],
        });
        assert_eq!(
            from_bytes::<ToWorker>(&to_bytes(&request).unwrap()).unwrap(),
            request
        );
        for request in [
            ToWorker::Choose(None),
            ToWorker::Choose(Some(ComputeKind::Webgpu)),
        ] {
            assert_eq!(
                from_bytes::<ToWorker>(&to_bytes(&request).unwrap()).unwrap(),
                request
            );
        }
        let drawn = FromWorker::Drawn {
            request_id: 3,
            outcome: DrawOutcome::Drawn(DepthDrawing {
                computed_on: ComputeKind::Cpu,
                width: 1,
                height: 2,
                values: [0.5_f32, -2.0].map(f32::to_le_bytes).concat(),
                micros: 9,
            }),
        };
        let bytes = to_bytes(&drawn).unwrap();
        let read = from_bytes::<FromWorker>(&bytes).unwrap();
        assert_eq!(read, drawn);
        if let FromWorker::Drawn {
            outcome: DrawOutcome::Drawn(drawing),
            ..
        } = read
        {
            assert_eq!(drawing.floats(), [0.5, -2.0]);
        }
        let devices = FromWorker::Devices(ComputeReport {
            devices: vec![ComputeDevice {
                kind: ComputeKind::Cpu,
                name: "CPU".into(),
                verdict: Verdict::Refused("wrong results".into()),
                checks: vec![SelfTestCheck {
                    name: "gather".into(),
                    max_error: f64::INFINITY,
                    tolerance: 0.0,
                    passed: false,
                }],
                products: vec![TimedProduct {
                    size: 128,
                    millis: 0.5,
                }],
                probe_millis: 12.0,
            }],
            chosen: None,
            chosen_by_visitor: false,
            reason: "none passed".into(),
            settled: true,
        });
        assert_eq!(
            from_bytes::<FromWorker>(&to_bytes(&devices).unwrap()).unwrap(),
            devices
        );
    }

    #[test]
    fn bytes_that_are_no_message_are_refused_with_a_reason() {
        let error = from_bytes::<FromWorker>(&[0xc1, 0x00]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("worker message: body does not decode")
        );
    }
}
