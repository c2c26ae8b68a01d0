//! Scoring of a video against an instruction. The messages and events are the same for the worker and for the studio.
//!
//! A job is one [`ScoreRequest`], then its frames, then events until [`ScoreEvent::Ended`]. Between page and worker each
//! is a worker message. For the studio, the request and the [`ScoreFrame`]s are the body of one `POST /api/scorer/score`:
//! each message as its length (`u32`, little endian) and its MessagePack. The answer is one JSON [`ScoreEvent`] per line,
//! sent during the computation. Closing the connection cancels the job.

use crate::bounded;
use crate::limits::{MAX_LISTED, MAX_LONG_TEXT_BYTES, MAX_NAME_BYTES};
use serde::{Deserialize, Serialize};

/// Largest frame of a job, in bytes: 5000x4000 pixels fit.
pub const MAX_PICTURE_BYTES: usize = 64 << 20;
/// Longest list of prefixes, in bytes.
pub const MAX_PREFIXES_BYTES: usize = 1 << 20;
/// Most curves of a job.
pub const MAX_CURVES: usize = 16;

/// The scorer that the studio hosts: `GET /api/scorer`. Its files are at `/api/scorer/files/{name}`, which supports range
/// requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScorerManifest {
    /// Name of the checkpoint's folder.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub name: String,
    /// Hash of the names and sizes of the files, the content of the small ones and samples of the large ones. Weights with
    /// another id are another model.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub id: String,
    /// Note for people, for example that it was trained on the built-in robot only.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub note: String,
    /// True for the nano scorer that ships with the studio.
    pub is_nano: bool,
    /// Number of values in the checkpoint.
    pub parameters: u64,
    /// Data types of the files, such as `BF16`.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub dtype: String,
    /// Number of values of the largest tensor that a device must hold in one piece. The embedding table does not count: it
    /// is stored in shards.
    pub largest_tensor_values: u64,
    /// Configuration, tokenizer and weights.
    #[serde(deserialize_with = "bounded::list::<_, MAX_LISTED, _>")]
    pub files: Vec<ScorerFile>,
    /// Device on which the studio itself scores, such as `NVIDIA H100 (wgpu)`; absent if it only serves the files.
    #[serde(
        default,
        deserialize_with = "bounded::optional_text::<MAX_LONG_TEXT_BYTES, _>"
    )]
    pub studio_device: Option<String>,
}

/// One file of a scorer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScorerFile {
    /// Name inside the folder.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
}

impl ScorerManifest {
    /// Size of all files in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// A request to score a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreRequest {
    /// Id of the job, chosen by the page; every event of the job has it.
    pub job: u64,
    /// Instruction that the video is scored against.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub instruction: String,
    /// Instruction of another episode, for the control. Without it, the control has the words of `instruction` shuffled.
    #[serde(
        default,
        deserialize_with = "bounded::optional_text::<MAX_LONG_TEXT_BYTES, _>"
    )]
    pub other_instruction: Option<String>,
    /// Rate of the frames [1/s].
    pub fps: f64,
    /// Number of frames of the whole video, including those that are not sampled. `None` for a live robot: every frame is
    /// sent when it is captured, and the job goes on until it is closed.
    pub frames: Option<u32>,
    /// `aligned`, `legacy` or `lerobot`.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub profile: String,
    /// A number of prefixes, `all`, `blocks`, or lengths separated by commas. Ignored for a live robot, whose every frame is
    /// a point.
    #[serde(deserialize_with = "bounded::text::<MAX_PREFIXES_BYTES, _>")]
    pub prefixes: String,
}

/// One frame of a job, in the resolution of the camera or the video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreFrame {
    /// Id of the job.
    pub job: u64,
    /// Index of the frame in the whole video, from 0.
    pub index: u32,
    /// Pixels per row.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// The pixels, `[height, width, 3]`, red, green, blue.
    #[serde(
        serialize_with = "serde_bytes::serialize",
        deserialize_with = "bounded::bytes::<MAX_PICTURE_BYTES, _>"
    )]
    pub rgb: Vec<u8>,
}

/// Kind of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CurveKind {
    /// The instruction itself.
    Instruction,
    /// The negated instruction.
    Negation,
    /// The instruction of another episode.
    OtherTask,
    /// The instruction's words in another order.
    ShuffledWords,
    /// The instruction, on the first frame repeated for the length of the video.
    Frozen,
}

/// Heading of a curve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurveHeading {
    /// Kind of the curve.
    pub kind: CurveKind,
    /// The instruction that was scored.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub instruction: String,
}

/// Log-probabilities of both answers for one prefix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Index of the curve in [`ScoreEvent::Started`].
    pub curve: u32,
    /// Length of the prefix (frames).
    pub length: u32,
    /// Natural logarithm of the probability of ` True`.
    pub log_prob: f64,
    /// Natural logarithm of the probability of ` False`; a diagnostic.
    pub false_log_prob: f64,
}

/// Event of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreEvent {
    /// The job waits in the studio's queue; sent again whenever a job before it ends. The worker never sends it.
    Waiting {
        /// The job.
        job: u64,
        /// Number of jobs before this one, the running one included.
        ahead: u32,
    },
    /// The computation has started.
    Started {
        /// The job.
        job: u64,
        /// Device: `wasm CPU`, an adapter's name, or the studio's device.
        #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
        device: String,
        /// Headings of the curves, the instruction's first.
        #[serde(deserialize_with = "bounded::list::<_, MAX_CURVES, _>")]
        curves: Vec<CurveHeading>,
    },
    /// Points of one prefix, one per curve that was scored there.
    Points {
        /// The job.
        job: u64,
        /// The points.
        #[serde(deserialize_with = "bounded::list::<_, MAX_CURVES, _>")]
        points: Vec<CurvePoint>,
        /// Completed steps, out of [`ScoreEvent::Points::of`].
        done: u32,
        /// Total number of steps; 0 for a live robot, which has no end.
        of: u32,
        /// Compute time of this step (ms).
        millis: f64,
    },
    /// The job has ended.
    Ended {
        /// The job.
        job: u64,
        /// Its outcome.
        outcome: ScoreOutcome,
    },
}

impl ScoreEvent {
    /// Id of the job.
    pub fn job(&self) -> u64 {
        match self {
            Self::Waiting { job, .. }
            | Self::Started { job, .. }
            | Self::Points { job, .. }
            | Self::Ended { job, .. } => *job,
        }
    }
}

/// Outcome of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreOutcome {
    /// The job was completed.
    Scored(Box<ScoreReport>),
    /// The job was cancelled.
    Stopped,
    /// The job failed.
    Failed {
        /// The cause and the remedy, as text for a person.
        #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
        reason: String,
    },
}

/// A scored video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreReport {
    /// Name of the scorer.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub scorer: String,
    /// Name of the profile, which defines the frame sampling. Values of different profiles cannot be compared.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub profile: String,
    /// Rate of the frames [1/s].
    pub fps: f64,
    /// Length of the video (frames).
    pub frames: u32,
    /// Length of each prefix (frames).
    #[serde(deserialize_with = "bounded::list::<_, MAX_LISTED, _>")]
    pub prefix_lengths: Vec<u32>,
    /// Curves in the order of [`ScoreEvent::Started`].
    #[serde(deserialize_with = "bounded::list::<_, MAX_CURVES, _>")]
    pub curves: Vec<ScoreCurve>,
    /// Time from the arrival of the last frame to the end (ms).
    pub millis: f64,
}

impl ScoreReport {
    /// Curve of a kind, if there is one.
    pub fn curve(&self, kind: CurveKind) -> Option<&ScoreCurve> {
        self.curves.iter().find(|curve| curve.heading.kind == kind)
    }
}

/// One complete curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreCurve {
    /// Kind and instruction of the curve.
    #[serde(flatten)]
    pub heading: CurveHeading,
    /// Natural logarithm of the probability of ` True`, for each prefix.
    #[serde(deserialize_with = "bounded::list::<_, MAX_LISTED, _>")]
    pub log_probs: Vec<f64>,
    /// Natural logarithm of the probability of ` False`, for each prefix.
    #[serde(deserialize_with = "bounded::list::<_, MAX_LISTED, _>")]
    pub false_log_probs: Vec<f64>,
    /// `log_probs`, scaled from 0 (lowest) to 1 (highest) within this curve.
    #[serde(deserialize_with = "bounded::list::<_, MAX_LISTED, _>")]
    pub progress: Vec<f64>,
    /// Value-order correlation: rank correlation with time; `None` if it is undefined.
    pub voc: Option<f64>,
    /// Mean of the last three `log_probs`.
    pub success_score: f64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json() {
        let event = ScoreEvent::Ended {
            job: 3,
            outcome: ScoreOutcome::Scored(Box::new(ScoreReport {
                scorer: "nano".into(),
                profile: "aligned".into(),
                fps: 30.0,
                frames: 60,
                prefix_lengths: vec![1, 60],
                curves: vec![ScoreCurve {
                    heading: CurveHeading {
                        kind: CurveKind::Frozen,
                        instruction: "open the \"drawer\"\n".into(),
                    },
                    log_probs: vec![-2.0, -1.0],
                    false_log_probs: vec![-0.5, -1.5],
                    progress: vec![0.0, 1.0],
                    voc: None,
                    success_score: -1.5,
                }],
                millis: 12.5,
            })),
        };
        let line = serde_json::to_string(&event).unwrap();
        assert!(!line.contains('\n'), "{line}");
        assert!(line.contains("\"kind\":\"frozen\""), "{line}");
        assert_eq!(serde_json::from_str::<ScoreEvent>(&line).unwrap(), event);
        assert_eq!(event.job(), 3);
    }
}
