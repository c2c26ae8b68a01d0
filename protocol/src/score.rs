//! Scoring of a video against an instruction, wherever the scorer runs: the page sends its worker or the studio the same
//! messages and draws the same events.
//!
//! A job is one [`ScoreRequest`], then its frames, then events until [`ScoreEvent::Ended`]. Between page and worker each
//! is a worker message. To the studio they are the body of one `POST /api/scorer/score`: every message as its length
//! (`u32`, little endian) and its MessagePack, the request first, then [`ScoreFrame`]s; the answer is one JSON
//! [`ScoreEvent`] per line, while it is computed. Leaving the connection stops the job.

use crate::bounded;
use crate::limits::{MAX_LISTED, MAX_LONG_TEXT_BYTES, MAX_NAME_BYTES};
use serde::{Deserialize, Serialize};

/// Largest picture of a job, in bytes: 5000x4000.
pub const MAX_PICTURE_BYTES: usize = 64 << 20;
/// Longest list of prefixes, in bytes.
pub const MAX_PREFIXES_BYTES: usize = 1 << 20;
/// Most curves of a job.
pub const MAX_CURVES: usize = 16;

/// The scorer that the studio hosts: `GET /api/scorer`. Its files are at `/api/scorer/files/{name}` and can be fetched
/// by range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScorerManifest {
    /// Name of the checkpoint's folder.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub name: String,
    /// A hash over names and sizes of the files, all of the small ones and samples of the large ones: weights of another
    /// id are another model.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub id: String,
    /// Note for people, such as that it was trained on the built-in robot only.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub note: String,
    /// Whether it is the nano scorer that ships with the studio.
    pub is_nano: bool,
    /// Values in the checkpoint.
    pub parameters: u64,
    /// Types that the files are stored in, such as `BF16`.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub dtype: String,
    /// Values of the largest tensor that a device must hold in one piece, the vocabulary's table apart: that one is
    /// kept in shards.
    pub largest_tensor_values: u64,
    /// Configuration, tokenizer and weights.
    #[serde(deserialize_with = "bounded::list::<_, MAX_LISTED, _>")]
    pub files: Vec<ScorerFile>,
    /// Device on which the studio itself scores, such as `NVIDIA H100 (wgpu)`; absent where it only serves the files.
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
    /// Its size.
    pub bytes: u64,
}

impl ScorerManifest {
    /// Size of everything.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// A request to score a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreRequest {
    /// Chosen by the page, in every event of the job.
    pub job: u64,
    /// The instruction that the video is claimed to complete.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub instruction: String,
    /// The instruction of another episode, for the control; the words of the instruction are shuffled when absent.
    #[serde(
        default,
        deserialize_with = "bounded::optional_text::<MAX_LONG_TEXT_BYTES, _>"
    )]
    pub other_instruction: Option<String>,
    /// Rate of the frames [1/s].
    pub fps: f64,
    /// Number of frames of the whole video, shown or not; `None` for a live robot, whose every frame is sent as it comes and
    /// whose job goes on until it is closed.
    pub frames: Option<u32>,
    /// `aligned`, `legacy` or `lerobot`.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub profile: String,
    /// A number of prefixes, `all`, `blocks`, or lengths separated by commas; ignored for a live robot, where every
    /// frame is a point.
    #[serde(deserialize_with = "bounded::text::<MAX_PREFIXES_BYTES, _>")]
    pub prefixes: String,
}

/// One frame of a job, as the camera or the video has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreFrame {
    /// The job.
    pub job: u64,
    /// Its number in the whole video, from 0.
    pub index: u32,
    /// Pixels per row.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// `[height, width, 3]`, red, green, blue.
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
    /// The instruction, on the first frame held for as long as the video.
    Frozen,
}

/// A curve to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurveHeading {
    /// Kind of the curve.
    pub kind: CurveKind,
    /// The instruction that was scored.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub instruction: String,
}

/// Log-probabilities of both answers at the end of one prefix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Index of the curve in [`ScoreEvent::Started`].
    pub curve: u32,
    /// Length of the prefix (frames).
    pub length: u32,
    /// Natural logarithm of the probability of ` True`.
    pub log_prob: f64,
    /// The same of ` False`; a diagnostic.
    pub false_log_prob: f64,
}

/// Event of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreEvent {
    /// Queued behind others on the studio; sent again whenever one of them is done. The worker never sends it.
    Waiting {
        /// The job.
        job: u64,
        /// Number of jobs before this one, the running one included.
        ahead: u32,
    },
    /// It is being computed.
    Started {
        /// The job.
        job: u64,
        /// Device: `wasm CPU`, an adapter's name, or the studio's device.
        #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
        device: String,
        /// The curves, the instruction's own first.
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
        /// Steps done, of [`ScoreEvent::Points::of`].
        done: u32,
        /// All steps; 0 for a live robot, which has no end.
        of: u32,
        /// Time of computing this step (ms).
        millis: f64,
    },
    /// The job is over.
    Ended {
        /// The job.
        job: u64,
        /// Its outcome.
        outcome: ScoreOutcome,
    },
}

impl ScoreEvent {
    /// The job that it is about.
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
    /// Everything was scored.
    Scored(Box<ScoreReport>),
    /// It was cancelled.
    Stopped,
    /// It failed.
    Failed {
        /// The cause and the remedy, as text for a person.
        #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
        reason: String,
    },
}

/// A scored video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreReport {
    /// The scorer's name.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub scorer: String,
    /// Frame sampling. Values of different profiles cannot be compared.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub profile: String,
    /// Rate of the frames [1/s].
    pub fps: f64,
    /// Length of the video (frames).
    pub frames: u32,
    /// Length of each prefix (frames).
    #[serde(deserialize_with = "bounded::list::<_, MAX_LISTED, _>")]
    pub prefix_lengths: Vec<u32>,
    /// In the order of [`ScoreEvent::Started`].
    #[serde(deserialize_with = "bounded::list::<_, MAX_CURVES, _>")]
    pub curves: Vec<ScoreCurve>,
    /// Time of everything after the last frame came (ms).
    pub millis: f64,
}

impl ScoreReport {
    /// The curve of this kind, if there is one.
    pub fn curve(&self, kind: CurveKind) -> Option<&ScoreCurve> {
        self.curves.iter().find(|curve| curve.heading.kind == kind)
    }
}

/// One curve, complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreCurve {
    /// Kind of the curve.
    #[serde(flatten)]
    pub heading: CurveHeading,
    /// Natural logarithm of the probability of ` True`, per prefix.
    #[serde(deserialize_with = "bounded::list::<_, MAX_LISTED, _>")]
    pub log_probs: Vec<f64>,
    /// The same of ` False`.
    #[serde(deserialize_with = "bounded::list::<_, MAX_LISTED, _>")]
    pub false_log_probs: Vec<f64>,
    /// `log_probs` from 0 (lowest) to 1 (highest) within this curve.
    #[serde(deserialize_with = "bounded::list::<_, MAX_LISTED, _>")]
    pub progress: Vec<f64>,
    /// Rank correlation with time; none where it is undefined.
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
