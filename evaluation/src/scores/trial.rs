//! ffmpeg and ffprobe, tried on small clips in the way in which videos are scored.
//!
//! What a build lacks is not always on its lists: a protocol, a muxer, a filter, a decoder that needs a graphics card. So clips
//! of known frames go through the same command lines as videos do. `clips/make.sh` made them.

use super::{
    Keeper, ScoringError,
    child::Patience,
    video::{self, Frames, Section},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use topreward::scorer::FrameSource as _;

/// Frames of a clip.
const FRAMES: usize = 6;
/// Their rate [1/s].
const FPS: f64 = 10.0;
/// Brightness of the first one, and how much lighter each is than the one before.
const LEVELS: (f64, f64) = (28.0, 37.3);
/// Greatest deviation of a brightness.
const OFF: f64 = 10.0;
/// Names of folders that are tried.
const NAMES: usize = 16;

/// A clip.
struct Clip {
    /// The kind of video that it stands for.
    what: &'static str,
    codec: &'static str,
    file: &'static str,
    bytes: &'static [u8],
}

const CLIPS: [Clip; 7] = [
    Clip {
        what: "h264",
        codec: "h264",
        file: "h264.mp4",
        bytes: include_bytes!("trial/clips/h264.mp4"),
    },
    Clip {
        what: "hevc",
        codec: "hevc",
        file: "hevc.mp4",
        bytes: include_bytes!("trial/clips/hevc.mp4"),
    },
    Clip {
        what: "av1",
        codec: "av1",
        file: "av1.mp4",
        bytes: include_bytes!("trial/clips/av1.mp4"),
    },
    Clip {
        what: "vp9",
        codec: "vp9",
        file: "vp9.webm",
        bytes: include_bytes!("trial/clips/vp9.webm"),
    },
    Clip {
        what: "mpeg4",
        codec: "mpeg4",
        file: "mpeg4.mp4",
        bytes: include_bytes!("trial/clips/mpeg4.mp4"),
    },
    Clip {
        what: "ffv1",
        codec: "ffv1",
        file: "ffv1.mkv",
        bytes: include_bytes!("trial/clips/ffv1.mkv"),
    },
    Clip {
        what: "h264 of 10 bits",
        codec: "h264",
        file: "h264_10bit.mp4",
        bytes: include_bytes!("trial/clips/h264_10bit.mp4"),
    },
];

/// The outcome for a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The kind of video that was tried: a codec, or a way of reading.
    pub what: &'static str,
    /// The reason why it could not be read, if it could not.
    pub problem: Option<String>,
}

/// Tries the ffmpeg on the path, and the ffprobe too where `with_ffprobe`, on clips of all codecs but those that `lacking` names.
/// One that hangs is tried no further.
///
/// # Errors
/// When the clips cannot be written into the folder for temporary files.
pub fn run(lacking: &[&str], with_ffprobe: bool) -> io::Result<Vec<Trial>> {
    let folder = Folder::new()?;
    let mut trials = Vec::new();
    let mut is_sectioned = !with_ffprobe;
    for clip in CLIPS.iter().filter(|clip| !lacking.contains(&clip.codec)) {
        let path = folder.0.join(clip.file);
        fs::write(&path, clip.bytes)?;
        let read = whole(&path, with_ffprobe);
        let mut hangs = matches!(read, Err(Problem::Read(ScoringError::Program { .. })));
        let is_read = read.is_ok();
        trials.push(Trial::new(clip.what, &path, read));
        // Of one is enough: what is asked for is the same for all codecs.
        if is_read && !is_sectioned {
            is_sectioned = true;
            let read = section(&path);
            hangs = matches!(read, Err(Problem::Read(ScoringError::Program { .. })));
            trials.push(Trial::new("episodes inside of longer videos", &path, read));
        }
        if hangs {
            break;
        }
    }
    Ok(trials)
}

/// The reason why a clip is not what it should be.
enum Problem {
    Read(ScoringError),
    Other(String),
}

impl From<ScoringError> for Problem {
    fn from(error: ScoringError) -> Self {
        Self::Read(error)
    }
}

impl Trial {
    fn new(what: &'static str, path: &Path, read: Result<(), Problem>) -> Self {
        let problem = read.err().map(|problem| match problem {
            Problem::Read(error) => {
                let words = error.to_string();
                let name = format!("{}: ", path.display());
                words
                    .strip_prefix(&name)
                    .map_or_else(|| words.clone(), str::to_owned)
            }
            Problem::Other(words) => words,
        });
        Self { what, problem }
    }
}

fn whole(path: &Path, with_ffprobe: bool) -> Result<(), Problem> {
    let frames = if with_ffprobe {
        let plan = video::plan_within(path, None, Patience::TRIAL)?;
        if (plan.fps - FPS).abs() > 0.01 || !matches!(plan.frames, Frames::Each { .. }) {
            return Err(Problem::Other(format!(
                "ffprobe says {} frames a second of a clip with {FPS}",
                plan.fps
            )));
        }
        plan.frames
    } else {
        Frames::Each { stream: None }
    };
    check(path, frames, 0, FRAMES)
}

fn section(path: &Path) -> Result<(), Problem> {
    let (first, frames) = (2, 3);
    let section = Section {
        from_secs: first as f64 / FPS,
        frames,
        fps: FPS,
    };
    check(path, Frames::Section(section), first, frames)
}

/// Reads a clip and looks at what comes: `count` frames, the first of which is its frame `first`.
fn check(path: &Path, frames: Frames, first: usize, count: usize) -> Result<(), Problem> {
    let keeper = Keeper::only(0..count, None);
    let film = video::read_within(path, frames, keeper, Patience::TRIAL, &mut |_| ())?;
    if film.count() != count {
        return Err(Problem::Other(format!(
            "{} frames came of a clip with {count}",
            film.count()
        )));
    }
    for index in 0..count {
        let frame = film
            .frame(index)
            .map_err(|error| Problem::Other(error.to_string()))?;
        let sum: f64 = frame.data().iter().map(|byte| f64::from(*byte)).sum();
        let level = sum / frame.data().len().max(1) as f64;
        let expected = LEVELS.0 + LEVELS.1 * (first + index) as f64;
        if (level - expected).abs() > OFF {
            return Err(Problem::Other(format!(
                "frame {index} came with a brightness of {level:.0} instead of {expected:.0}: frames are wrong or in another \
                 order"
            )));
        }
    }
    Ok(())
}

/// A folder that goes when it is no longer needed.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        let mut failed = io::Error::from(io::ErrorKind::AlreadyExists);
        for number in 0..NAMES {
            let path = parent.join(format!(
                "policy-studio-clips-{}-{number}",
                std::process::id()
            ));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whoever cannot remove it has a small folder more.
        fs::remove_dir_all(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs an ffmpeg with all decoders, as `cargo xtask test` installs it.
    #[test]
    fn a_complete_ffmpeg_reads_all_clips() {
        for with_ffprobe in [true, false] {
            let trials = run(&[], with_ffprobe).unwrap_or_default();
            let problems: Vec<_> = trials.iter().filter(|one| one.problem.is_some()).collect();
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(trials.len(), CLIPS.len() + usize::from(with_ffprobe));
        }
    }

    #[test]
    fn clips_of_codecs_that_are_lacking_are_left_out() {
        let trials = run(&["h264", "hevc", "av1", "vp9", "ffv1"], true).unwrap_or_default();
        let what: Vec<_> = trials.iter().map(|trial| trial.what).collect();
        assert_eq!(what, ["mpeg4", "episodes inside of longer videos"]);
    }
}
