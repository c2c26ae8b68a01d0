//! What ffprobe says of a video: which of its streams has the pictures, and how fast they follow each other.

mod packets;
mod rate;
mod streams;

use super::{
    ScoringError,
    child::{self, Patience},
    complaint,
    tools::{self, FFPROBE},
};
use serde_json::Value;
use std::path::Path;

pub use packets::{Packets, packets};
pub use rate::{OpenEnd, Rate};

/// More than a description of any file's streams.
const MOST_ANSWER: usize = 16 << 20;

/// A stream of a file, as a decoder is asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Its number among all streams of the file.
    pub index: usize,
    /// What its pictures are first made of, if they have more than 8 bits: the same pixels with 8, so that colours come about
    /// in the same way as in files of 8 bits. ffmpeg has another way for deep pictures, with other neighbours.
    pub narrowed: Option<&'static str>,
}

/// A stream of pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// Which.
    pub stream: Stream,
    /// How many a second, as the file says it.
    pub fps: Option<f64>,
    /// How many frames there are, as the file says it; of files whose index says it exactly.
    pub frames: Option<usize>,
    /// How much later its first frame is shown than the file begins (s): sound may begin before the pictures.
    pub late_secs: f64,
    /// What is worth a sentence.
    pub notes: Vec<String>,
    /// True if the file is a bare stream of coded frames, which has no clock.
    raw: bool,
    /// When the file begins, by the clock of its frames (s).
    file_starts_secs: f64,
    /// The steps of its clock that frames are on, if the file says it [1/s].
    grid: Option<f64>,
}

/// Finds the pictures of a file.
///
/// # Errors
/// [`ScoringError`] without ffprobe, for a file that it cannot read, and for one without pictures.
pub fn pictures(path: &Path, patience: Patience) -> Result<Pictures, ScoringError> {
    let prepare = |command: &mut std::process::Command| {
        command
            .args(["-v", "error", "-protocol_whitelist", "file"])
            .args(["-show_format", "-show_streams", "-of", "json", "-i"])
            .arg(tools::named(path));
    };
    let program = tools::find(FFPROBE)?;
    let (answer, ended) = child::answer(&program, prepare, patience, MOST_ANSWER)?;
    if !ended.status.success() {
        return Err(ScoringError::Decoder {
            path: path.to_owned(),
            program: FFPROBE,
            status: ended.status,
            said: complaint::cause(path, &ended.said),
        });
    }
    let answer = String::from_utf8_lossy(&answer);
    let answer: Value =
        field_files::json::parse(answer.as_bytes()).map_err(|error| ScoringError::Program {
            program,
            reason: format!("what it says of {} cannot be used: {error}", path.display()),
        })?;
    streams::choose(path, &answer)
}
