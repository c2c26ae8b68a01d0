//! What is known of a video file before it is decoded.

use super::frames::Frames;
use crate::scores::{
    ScoringError,
    child::Patience,
    container, file,
    probe::{self, Packets},
};
use std::path::Path;

/// Properties of a file, known before it is decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Frames per second.
    pub fps: f64,
    /// The frames that are read.
    pub frames: Frames,
    /// Sentences about oddities, for whoever asked.
    pub notes: Vec<String>,
    /// How many frames the file announces.
    announced: Option<usize>,
    /// How many can be found in it, of those that are shown.
    there: Option<usize>,
    /// The part that is missing at its end by the words of its container.
    cut: Option<String>,
}

impl Plan {
    fn of_each(path: &Path, fps: f64) -> Self {
        Self {
            fps,
            frames: Frames::Each { stream: None },
            notes: Vec::new(),
            announced: None,
            there: None,
            cut: container::shortfall(path),
        }
    }

    /// A sentence about the part of the video that is missing when `got` frames have been read.
    #[must_use]
    pub fn shortage(&self, got: usize) -> Option<String> {
        if let (Some(announced), Some(there)) = (self.announced, self.there)
            && there < announced
        {
            return Some(format!(
                "it announces {announced} frames and has {there}: it was cut short, as when a download or a recording is \
                 interrupted"
            ));
        }
        if let Some(cut) = &self.cut {
            return Some(format!("{cut}; {got} frames are there"));
        }
        // Decoders may leave out a frame or two where a file begins in the middle of a group.
        let there = self
            .there
            .filter(|_| matches!(self.frames, Frames::Each { .. }))?;
        (got * 50 < there.saturating_sub(2) * 49)
            .then(|| format!("of its {there} frames {got} could be decoded: it is damaged"))
    }
}

/// Looks at a file: how fast its frames follow each other, or that each counts once at `fps` frames per second.
///
/// # Errors
/// [`ScoringError`]; with `fps`, only for files that cannot be a video.
pub fn plan(path: &Path, fps: Option<f64>) -> Result<Plan, ScoringError> {
    plan_within(path, fps, Patience::VIDEO)
}

/// The same, within a time.
pub(in crate::scores) fn plan_within(
    path: &Path,
    fps: Option<f64>,
    patience: Patience,
) -> Result<Plan, ScoringError> {
    file::check(path)?;
    let pictures = match (probe::pictures(path, patience), fps) {
        (Ok(pictures), _) => pictures,
        // A decoder alone is enough where nothing needs to be known; it will say itself what is wrong with the file.
        (Err(ScoringError::NoDecoder { .. } | ScoringError::Program { .. }), Some(fps)) => {
            return Ok(Plan::of_each(path, fps));
        }
        (Err(error), _) => return Err(error),
    };
    let stream = pictures.stream;
    let each = Frames::Each {
        stream: Some(stream),
    };
    let mut notes = pictures.notes.clone();
    let packets = match probe::packets(path, stream.index, patience) {
        // Only how much of it is there would be known.
        Err(_) if fps.is_some() => Packets::default(),
        packets => packets?,
    };
    let (fps, frames) = match (fps, pictures.rate(&packets)) {
        (Some(fps), _) => (fps, each),
        (None, None) => {
            return Err(ScoringError::NoRate {
                path: path.to_owned(),
            });
        }
        (None, Some(rate)) => {
            notes.extend(rate.note);
            let fps = rate.fps;
            let open_end = rate.open_end;
            let timed = Frames::Timed {
                stream,
                fps,
                open_end,
            };
            (fps, if rate.even { each } else { timed })
        }
    };
    let shown = |frames: usize| frames.saturating_sub(packets.hidden);
    Ok(Plan {
        fps,
        frames,
        notes,
        announced: pictures.frames.map(shown),
        there: Some(shown(packets.count)).filter(|there| *there > 0),
        cut: container::shortfall(path),
    })
}
