//! The page and its compute worker, inside one browser tab.
//!
//! These never cross a network: both sides are built together, so there is no version byte. They live
//! here because the page and the worker are two wasm modules that share nothing but this crate. Each
//! message is one MessagePack map, posted as a `Uint8Array`.

mod codec;
mod depth;
mod scorer;

pub use codec::{
    CodecRun, CodecTiming, EncodeRequest, StreamFault, TimeOutcome, UnfoldOutcome, UnfoldRequest,
    Unfolded,
};

pub use depth::{DecoderOutcome, DepthDrawing, DrawOutcome, DrawRequest};
pub use scorer::{LoadScorer, ScorerReady, ScorerState};

use crate::frame::FrameError;
use crate::score::{ScoreEvent, ScoreFrame, ScoreRequest};
use crate::viewer::{ActionDimension, TokensOrigin, Trace};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Something in the tab that tensors can live on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeKind {
    /// burn-flex in wasm with 128-bit SIMD, on the worker's own thread.
    Cpu,
    /// burn-wgpu through the browser's WebGPU.
    Webgpu,
}

/// What the page asks of the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Fetch the policy's OpenFAST tokenizer, replacing the one held.
    LoadTokenizer {
        /// Address of `tokenizer.json`.
        tokenizer_url: String,
        /// Address of `processor_config.json`.
        processor_config_url: String,
    },
    /// Compute on this device from now on; `None` leaves the choice to the measurement.
    Choose(Option<ComputeKind>),
    /// Decode the tokens of one decision and compare.
    Decode(DecodeRequest),
    /// Read a stream as far as it has come.
    Unfold(UnfoldRequest),
    /// Write a chunk as tokens.
    Encode(EncodeRequest),
    /// Time the codec, one run after the other.
    Time(Vec<CodecRun>),
    /// Fetch the policy's depth decoder, replacing the one held.
    LoadDepthDecoder {
        /// Address of its safetensors file.
        url: String,
    },
    /// Draw depth codes.
    Draw(DrawRequest),
    /// Fetch a scorer and put its weights on the chosen device, replacing the one held. Files that this browser has
    /// kept are not fetched again.
    LoadScorer(LoadScorer),
    /// Stop fetching or loading the scorer.
    CancelScorer,
    /// Forget every scorer's files that this browser has kept.
    ForgetScorers,
    /// Score a video; its frames follow.
    Score(ScoreRequest),
    /// The next frame of a job. Only those that the profile shows are needed, and the last one.
    ScoreFrame(ScoreFrame),
    /// No more frames of this job come. A watched robot's controls are computed now.
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

/// What the worker tells the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The module runs and listens.
    Started,
    /// Devices were tried or chosen; replaces the report before it.
    Devices(ComputeReport),
    /// How loading the tokenizer ended.
    Tokenizer(TokenizerOutcome),
    /// The answer to one [`DecodeRequest`].
    Decoded {
        /// The request's own number.
        request_id: u64,
        /// What came of it.
        outcome: DecodeOutcome,
    },
    /// The answer to one [`UnfoldRequest`].
    Unfolded {
        /// The request's own number.
        request_id: u64,
        /// What came of it.
        outcome: UnfoldOutcome,
    },
    /// The answer to one [`EncodeRequest`]: the chunk as a stream, and what that stream gives again.
    Encoded {
        /// The request's own number.
        request_id: u64,
        /// What came of it.
        outcome: UnfoldOutcome,
    },
    /// The answer to [`ToWorker::Time`].
    Timed(TimeOutcome),
    /// How loading the depth decoder ended.
    DepthDecoder(DecoderOutcome),
    /// The answer to one [`DrawRequest`].
    Drawn {
        /// The request's own number.
        request_id: u64,
        /// What came of it.
        outcome: DrawOutcome,
    },
    /// Where the tab is with its scorer.
    Scorer(ScorerState),
    /// The answer to [`ToWorker::ForgetScorers`].
    ScorersForgotten {
        /// Why the files are still there, and what to do; `None` when they are gone.
        problem: Option<String>,
    },
    /// What happens to a job of scoring.
    Score(ScoreEvent),
}

/// Tokens to decode, and what their decode should equal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecodeRequest {
    /// Chosen by the page, returned with the answer.
    pub request_id: u64,
    /// OpenFAST ids.
    pub tokens: Vec<u32>,
    /// Whether equality is exact or up to quantisation.
    pub origin: TokensOrigin,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Row-major `[rows, dims]`, normalised, as the policy computed it.
    pub chunk_normalised: Vec<f32>,
    /// Row-major `[rows, dims]`, robot units, as the robot was sent it.
    pub actions: Vec<f32>,
    /// How normalised values become robot units, one per dimension.
    pub action: Vec<ActionDimension>,
}

impl DecodeRequest {
    /// The part of a trace that the worker needs.
    pub fn of(trace: &Trace, action: &[ActionDimension], request_id: u64) -> Self {
        Self {
            request_id,
            tokens: trace.action_tokens.clone(),
            origin: trace.tokens_origin,
            rows: trace.rows,
            dims: trace.dims,
            chunk_normalised: trace.chunk_normalised.clone(),
            actions: trace.actions.clone(),
            action: action.to_vec(),
        }
    }
}

/// A decode that ran, or why it did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DecodeOutcome {
    /// The tokens decoded.
    Compared(Comparison),
    /// They did not, or nothing may compute; in words for a person.
    Failed {
        /// What was wrong and what to do.
        reason: String,
    },
}

/// The browser's decode beside the chunk that the robot was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Where the inverse cosine transform ran.
    pub computed_on: ComputeKind,
    /// Row-major `[rows, dims]`, normalised, decoded here.
    pub chunk_normalised: Vec<f32>,
    /// Largest absolute difference to the policy's chunk, normalised units.
    pub max_difference: f32,
    /// Largest difference that counts as equal: rounding of `f32`, plus half a quantisation step per
    /// frequency for tokens that were encoded for transport.
    pub tolerance: f32,
    /// Largest absolute difference to the actions that the robot was sent, robot units.
    pub max_difference_in_robot_units: f32,
    /// The dimension in which that largest difference is.
    pub worst_dimension: u32,
    /// How many coefficients begin in each token, in the tokens' order.
    pub token_lengths: Vec<u32>,
    /// Wall time of the decode in microseconds.
    pub micros: u64,
}

impl Comparison {
    /// Whether the decode equals the policy's chunk within [`Comparison::tolerance`].
    pub fn is_equal(&self) -> bool {
        self.max_difference <= self.tolerance
    }
}

/// How loading the tokenizer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenizerOutcome {
    /// It can decode.
    Ready {
        /// Ids that it knows.
        vocabulary: u32,
    },
    /// It could not be fetched or read.
    Failed {
        /// What was wrong.
        reason: String,
    },
}

/// Every device of the tab, and the one in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComputeReport {
    /// In the order that they were tried.
    pub devices: Vec<ComputeDevice>,
    /// Where tensors go now; `None` while testing, or when every device was refused.
    pub chosen: Option<ComputeKind>,
    /// Whether the visitor chose it.
    pub chosen_by_visitor: bool,
    /// Why this one, in words.
    pub reason: String,
    /// Whether every device has been tried.
    pub settled: bool,
}

impl ComputeReport {
    /// The device in use.
    pub fn chosen_device(&self) -> Option<&ComputeDevice> {
        let chosen = self.chosen?;
        self.devices.iter().find(|device| device.kind == chosen)
    }
}

/// What was found out about one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComputeDevice {
    /// Which one.
    pub kind: ComputeKind,
    /// Name of the adapter, or of the CPU path.
    pub name: String,
    /// Whether it may be used.
    pub verdict: Verdict,
    /// The self-test's operations, in order.
    pub checks: Vec<SelfTestCheck>,
    /// Square products timed after a warm-up, read-back included.
    pub products: Vec<TimedProduct>,
    /// Wall time of start, self-test and timing in milliseconds.
    pub probe_millis: f64,
}

/// Whether a device may compute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Still being tried.
    Testing,
    /// Measured to be far slower than another device, so its self-test waits until it is chosen; why, in
    /// words.
    Postponed(String),
    /// The self-test passed.
    Passed,
    /// It exists and must not be used; why, in words.
    Refused(String),
    /// It does not exist here; why, in words.
    Unavailable(String),
}

/// One operation of the numerical self-test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfTestCheck {
    /// Operation and size.
    pub name: String,
    /// Largest absolute difference from the known answer.
    pub max_error: f64,
    /// Largest that counts as right.
    pub tolerance: f64,
    /// Whether it was right.
    pub passed: bool,
}

/// One timed matrix product of two `size x size` matrices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimedProduct {
    /// Side of the matrices.
    pub size: u32,
    /// Median wall time in milliseconds, reading the result back included.
    pub millis: f64,
}

impl TimedProduct {
    /// Billions of multiplications and additions per second.
    pub fn gflops(&self) -> f64 {
        let n = f64::from(self.size);
        2.0 * n * n * n / (self.millis.max(1e-6) * 1e6)
    }
}

/// Writes one message.
///
/// # Errors
/// [`FrameError::Encode`] when memory runs out.
pub fn to_bytes<M: Serialize>(message: &M) -> Result<Vec<u8>, FrameError> {
    rmp_serde::to_vec_named(message).map_err(|e| FrameError::Encode {
        message: "worker message",
        reason: e.to_string(),
    })
}

/// Reads one message.
///
/// # Errors
/// [`FrameError::BadBody`] when page and worker were not built together.
pub fn from_bytes<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, FrameError> {
    rmp_serde::from_slice(bytes).map_err(|e| FrameError::BadBody {
        message: "worker message",
        reason: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_message_survives_the_trip() {
        let asked = ToWorker::Decode(DecodeRequest {
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
            from_bytes::<ToWorker>(&to_bytes(&asked).unwrap()).unwrap(),
            asked
        );
        for asked in [
            ToWorker::Choose(None),
            ToWorker::Choose(Some(ComputeKind::Webgpu)),
        ] {
            assert_eq!(
                from_bytes::<ToWorker>(&to_bytes(&asked).unwrap()).unwrap(),
                asked
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
        let told = FromWorker::Devices(ComputeReport {
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
            from_bytes::<FromWorker>(&to_bytes(&told).unwrap()).unwrap(),
            told
        );
    }

    #[test]
    fn bytes_of_something_else_are_refused_in_words() {
        let error = from_bytes::<FromWorker>(&[0xc1, 0x00]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("worker message: body does not decode")
        );
    }

    #[test]
    fn a_512_product_in_nine_milliseconds_is_thirty_gflops() {
        let gflops = TimedProduct {
            size: 512,
            millis: 9.0,
        }
        .gflops();
        assert!((gflops - 29.8).abs() < 0.1, "{gflops}");
    }
}
