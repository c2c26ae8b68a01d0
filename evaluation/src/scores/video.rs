//! A video file, decoded by ffmpeg in a child process: no decoder is linked into this program.
//!
//! Frames arrive as binary PPM pictures of 8 bits through a pipe, whatever the file keeps: ffmpeg is asked for the one
//! form that is read here. It turns them as the file says (a phone held upright writes lying pictures), and takes them
//! by number or by time stamp, as [`Frames`] says.

mod frames;
mod plan;
mod request;

pub use frames::{Frames, Section};
pub(super) use plan::plan_within;
pub use plan::{Plan, plan};

use super::{
    Keeper, Kept, MOST_FRAMES, ScoringError,
    child::{Patience, Running},
    complaint, container, file,
    ppm::{self, Broken},
    probe,
    tools::{self, FFMPEG},
};
use frames::Known;
use request::Request;
use std::{
    io::BufRead,
    path::{Path, PathBuf},
};

/// A file's own rate that differs less from what is expected is the same [share].
const SAME_RATE: f64 = 0.01;
/// The same by the frames that a file has in the end: an average may count one time less than there are frames.
const SAME_COUNT: f64 = 1.5;

/// Decodes what `wanted` says of a file. `tell` is told how many frames have come.
///
/// # Errors
/// [`ScoringError`] when there is no ffmpeg, when it fails or hangs, for a file without frames or with more than are
/// read, and for a section with fewer than it should have.
pub fn read(
    path: &Path,
    wanted: Frames,
    keeper: Keeper,
    tell: &mut dyn FnMut(usize),
) -> Result<Kept, ScoringError> {
    read_within(path, wanted, keeper, Patience::VIDEO, tell)
}

/// The same, within a time for each program that is started.
pub(super) fn read_within(
    path: &Path,
    wanted: Frames,
    keeper: Keeper,
    patience: Patience,
    tell: &mut dyn FnMut(usize),
) -> Result<Kept, ScoringError> {
    // A missing file is said by its name, not in the decoder's words.
    file::check(path)?;
    let ffmpeg = tools::find(FFMPEG)?;
    let known = match wanted {
        Frames::Each { stream } => Known {
            stream,
            fps: 0.0,
            late_secs: 0.0,
        },
        Frames::Timed { stream, fps, .. } => Known {
            stream: Some(stream),
            fps,
            late_secs: 0.0,
        },
        Frames::Section(section) => known_of_set(path, section.fps, patience),
    };
    let decoder = Decoder {
        path,
        once: tools::every_frame_once(&ffmpeg),
        ffmpeg,
        patience,
    };
    let mut intake = Intake {
        keeper,
        size: None,
        tell,
    };
    let said = decoder.run(&Request::new(path, wanted, known), &mut intake)?;
    if let Some(from_secs) = wanted.last_left_out(intake.keeper.count(), known) {
        match decoder.run(&Request::one(path, known.stream, from_secs), &mut intake) {
            // One that cannot be had is missing, which is said below.
            Ok(_) | Err(ScoringError::Decoder { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let keeper = intake.keeper;
    if let Frames::Section(section) = wanted
        && keeper.count() != section.frames
    {
        return Err(ScoringError::TooShort {
            path: path.to_owned(),
            from_secs: section.from_secs,
            want: section.frames,
            got: keeper.count(),
            cut: container::shortfall(path),
        });
    }
    if keeper.count() == 0 {
        return Err(ScoringError::NoFrames {
            path: path.to_owned(),
        });
    }
    if !said.is_empty() {
        file::warn(&format!(
            "{}: ffmpeg read it, but complained: {}",
            path.display(),
            complaint::own_words(path, &said)
        ));
    }
    keeper
        .finish()
        .map_err(|error| stream_error(path, error.to_string()))
}

/// Properties of the stream of a data set's video that has the pictures. Odd ones are said; unknown ones do not stop the
/// reading.
fn known_of_set(path: &Path, fps: f64, patience: Patience) -> Known {
    let Ok(pictures) = probe::pictures(path, patience) else {
        return Known {
            stream: None,
            fps,
            late_secs: 0.0,
        };
    };
    let own = pictures.fps.unwrap_or(fps);
    let count = pictures.frames.unwrap_or(usize::MAX) as f64;
    if (own / fps - 1.0).abs() > SAME_RATE.max(SAME_COUNT / count) {
        file::warn(&format!(
            "{}: it has {own:.4} frames a second, the data set says {fps}: its frames are taken by their time stamps, and \
             some are left out or stand for several",
            path.display()
        ));
    }
    Known {
        stream: Some(pictures.stream),
        fps: own,
        late_secs: pictures.late_secs,
    }
}

/// ffmpeg, and the file that it reads.
struct Decoder<'a> {
    path: &'a Path,
    ffmpeg: PathBuf,
    /// The option that makes it hand over every frame once.
    once: &'static str,
    patience: Patience,
}

impl Decoder<'_> {
    /// Takes in what a request gives, and returns what ffmpeg complained of.
    fn run(&self, request: &Request<'_>, intake: &mut Intake<'_>) -> Result<String, ScoringError> {
        let path = self.path;
        let mut running = Running::start(
            &self.ffmpeg,
            |command| request.write(command, self.once),
            self.patience,
        )?;
        let streamed = intake.take_all(&mut running);
        if let Some(overdue) = running.overdue() {
            return Err(overdue);
        }
        // Pictures that break off are the decoder's end, which has its own reason; anything else is wrong here, and the
        // decoder goes with `running`.
        if let Err(broken @ (Broken::Bad(_) | Broken::TooMany)) = streamed {
            return Err(broken_error(path, broken));
        }
        let ended = running.finish()?;
        if !ended.status.success() {
            return Err(ScoringError::Decoder {
                path: path.to_owned(),
                program: FFMPEG,
                status: ended.status,
                said: complaint::cause(path, &ended.said),
            });
        }
        streamed.map_err(|broken| broken_error(path, broken))?;
        Ok(ended.said)
    }
}

/// Frames as they come.
struct Intake<'a> {
    keeper: Keeper,
    /// Width and height of the first one (pixels).
    size: Option<(usize, usize)>,
    tell: &'a mut dyn FnMut(usize),
}

impl Intake<'_> {
    fn take_all(&mut self, pipe: &mut impl BufRead) -> Result<(), Broken> {
        while let Some(frame) = ppm::picture(pipe)? {
            let own = (frame.width(), frame.height());
            let first = *self.size.get_or_insert(own);
            if own != first {
                return Err(Broken::Bad(format!(
                    "{}x{} pixels follow {}x{}, and all frames of a video have one size",
                    own.0, own.1, first.0, first.1
                )));
            }
            if self.keeper.count() >= MOST_FRAMES {
                return Err(Broken::TooMany);
            }
            self.keeper
                .take(frame)
                .map_err(|error| Broken::Bad(error.to_string()))?;
            (self.tell)(self.keeper.count());
        }
        Ok(())
    }
}

fn stream_error(path: &Path, reason: impl Into<String>) -> ScoringError {
    ScoringError::Stream {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

fn broken_error(path: &Path, broken: Broken) -> ScoringError {
    match broken {
        Broken::Off(reason) | Broken::Bad(reason) => stream_error(path, reason),
        Broken::TooMany => ScoringError::TooManyFrames {
            path: path.to_owned(),
        },
    }
}
