//! A video file, decoded by ffmpeg in a child process: no decoder is linked into this program.
//!
//! Frames arrive as binary PPM pictures of 8 bits through a pipe, whatever the file keeps: ffmpeg is asked for the one
//! form that is read here. It turns them as the file says (a phone held upright writes lying pictures), and takes them
//! by number or by time stamp, as [`Frames`] says.

use super::{
    Keeper, Kept, MOST_FRAMES, ScoringError,
    child::{Patience, Running},
    complaint, file,
    ppm::{self, Broken},
    probe::{self, Packets, Stream},
    tools::{self, FFMPEG},
};
use datasets::images::PictureLimits;
use std::{io::BufRead, path::Path, process::Command};

/// Of the time between two coded frames, the part at the end of a step of the clock in which none begins.
///
/// A section is sought earlier than its first frame by the rest of a step, so that the rounding of times cannot skip that
/// frame, and what is shown at the beginning of a step is the last that begins in it. Not half of it: in files whose clock
/// has a step a frame, half a frame is rounded to the frame before.
const MARGIN: f64 = 0.6;
/// A file's own rate that differs less from what is expected is the same [share].
const SAME_RATE: f64 = 0.01;

/// Which frames of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Frames {
    /// Every coded frame once, whatever its time stamp, so that frame numbers are those of the recording.
    Each {
        /// Which stream; the first with pictures when absent.
        stream: Option<Stream>,
    },
    /// What is shown at every step of a clock, for files whose frames do not follow each other evenly.
    Timed {
        /// Which stream.
        stream: Stream,
        /// Steps per second.
        fps: f64,
    },
    /// What is shown at every step of a clock in a part of a file.
    Section(Section),
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Section {
    /// When its first frame is shown (s).
    pub from_secs: f64,
    /// How many frames it has.
    pub frames: usize,
    /// Frames per second of the recording.
    pub fps: f64,
}

impl Section {
    /// Where ffmpeg is sent, if not to the beginning of the file (s); `own` is the rate of the file [1/s].
    fn sought_from(&self, own: f64) -> Option<f64> {
        let early = 1.0 - MARGIN / (own / self.fps).max(1.0);
        Some(self.from_secs - early / self.fps).filter(|from| *from > 0.0)
    }
}

/// What is known of a file before it is decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Frames per second.
    pub fps: f64,
    /// Which frames.
    pub frames: Frames,
    /// What is worth a sentence to whoever asked.
    pub notes: Vec<String>,
    /// How many frames the file announces.
    announced: Option<usize>,
    /// How many can be found in it, of those that are shown.
    there: Option<usize>,
}

impl Plan {
    fn of_each(fps: f64) -> Self {
        Self {
            fps,
            frames: Frames::Each { stream: None },
            notes: Vec::new(),
            announced: None,
            there: None,
        }
    }

    /// What is missing of the video when `got` frames have been read, in a sentence.
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
    file::check(path)?;
    let pictures = match (probe::pictures(path), fps) {
        (Ok(pictures), _) => pictures,
        // A decoder alone is enough where nothing needs to be known; it will say itself what is wrong with the file.
        (Err(ScoringError::NoDecoder { .. } | ScoringError::Program { .. }), Some(fps)) => {
            return Ok(Plan::of_each(fps));
        }
        (Err(error), _) => return Err(error),
    };
    let stream = pictures.stream;
    let each = Frames::Each {
        stream: Some(stream),
    };
    let mut notes = pictures.notes.clone();
    let packets = match probe::packets(path, stream.index) {
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
            let timed = Frames::Timed { stream, fps };
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
    })
}

/// Decodes what `wanted` says of a file. `tell` is told how many frames have come.
///
/// # Errors
/// [`ScoringError`] when there is no ffmpeg, when it fails or hangs, for a file without frames or with more than are
/// read, and for a section with fewer than it should have.
pub fn read(
    path: &Path,
    wanted: Frames,
    mut keeper: Keeper,
    tell: &mut dyn FnMut(usize),
) -> Result<Kept, ScoringError> {
    // A missing file is said by its name, not in the decoder's words.
    file::check(path)?;
    let ffmpeg = tools::find(FFMPEG)?;
    let (stream, own) = match wanted {
        Frames::Each { stream } => (stream, 0.0),
        Frames::Timed { stream, fps } => (Some(stream), fps),
        Frames::Section(section) => stream_of(path, section.fps),
    };
    let once = tools::every_frame_once(&ffmpeg);
    let mut running = Running::start(
        &ffmpeg,
        |command| ask(command, path, wanted, (stream, own), once),
        Patience::VIDEO,
    )?;
    let streamed = frames(&mut running, &mut keeper, tell);
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
    if keeper.count() == 0 {
        return Err(ScoringError::NoFrames {
            path: path.to_owned(),
        });
    }
    if let Frames::Section(section) = wanted
        && keeper.count() != section.frames
    {
        return Err(ScoringError::TooShort {
            path: path.to_owned(),
            from_secs: section.from_secs,
            want: section.frames,
            got: keeper.count(),
        });
    }
    if !ended.said.is_empty() {
        file::warn(&format!(
            "{}: ffmpeg read it, but complained: {}",
            path.display(),
            complaint::own_words(path, &ended.said)
        ));
    }
    keeper
        .finish()
        .map_err(|error| stream_error(path, error.to_string()))
}

/// The command line: only options that every ffmpeg from 4.4 on has, and `once`, which this one has.
fn ask(
    command: &mut Command,
    path: &Path,
    wanted: Frames,
    (stream, own): (Option<Stream>, f64),
    once: &str,
) {
    command.args(["-nostdin", "-hide_banner", "-v", "error"]);
    if let Frames::Section(section) = wanted {
        // ffmpeg decodes from the key frame before and drops what is earlier.
        if let Some(from) = section.sought_from(own) {
            command.args(["-ss", &format!("{from:.6}")]);
        }
    }
    command
        // A playlist that calls itself a video opens nothing else; a picture without end is not begun.
        .args(["-protocol_whitelist", "file"])
        .args(["-max_pixels", &PictureLimits::FRAME.pixels.to_string()])
        .arg("-i")
        .arg(probe::named(path));
    // V is a stream of pictures that is no cover.
    let map = stream.map_or_else(
        || "0:V:0".to_owned(),
        |stream| format!("0:{}", stream.index),
    );
    command.args(["-map", &map]);
    let mut filters: Vec<String> = Vec::new();
    match wanted {
        Frames::Each { .. } => {}
        Frames::Timed { fps, .. } => filters.push(format!("fps=fps={fps}:round=near")),
        Frames::Section(section) => {
            let round = section.sought_from(own).map_or("near", |_| "down");
            let Section { fps, frames, .. } = section;
            filters.push(format!("fps=fps={fps}:round={round}:start_time=0"));
            command.args(["-frames:v", &frames.to_string()]);
        }
    }
    filters.extend(
        stream
            .and_then(|stream| stream.narrowed)
            .map(|format| format!("format={format}")),
    );
    if !filters.is_empty() {
        command.args(["-vf", &filters.join(",")]);
    }
    command.args([once, "passthrough"]).args([
        "-f",
        "image2pipe",
        "-c:v",
        "ppm",
        "-pix_fmt",
        "rgb24",
        "-",
    ]);
}

/// Which stream of a data set's video has the pictures, and their rate [1/s]. What is odd is said; what is not known does not
/// stop anybody.
fn stream_of(path: &Path, fps: f64) -> (Option<Stream>, f64) {
    let Ok(pictures) = probe::pictures(path) else {
        return (None, fps);
    };
    let own = pictures.fps.unwrap_or(fps);
    if (own / fps - 1.0).abs() > SAME_RATE {
        file::warn(&format!(
            "{}: it has {own:.4} frames a second, the data set says {fps}: its frames are taken by their time stamps, and \
             some are left out or stand for several",
            path.display()
        ));
    }
    (Some(pictures.stream), own)
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

fn frames(
    pipe: &mut impl BufRead,
    keeper: &mut Keeper,
    tell: &mut dyn FnMut(usize),
) -> Result<(), Broken> {
    let mut size = None;
    while let Some(frame) = ppm::picture(pipe)? {
        let own = (frame.width(), frame.height());
        let first = *size.get_or_insert(own);
        if own != first {
            return Err(Broken::Bad(format!(
                "{}x{} pixels follow {}x{}, and all frames of a video have one size",
                own.0, own.1, first.0, first.1
            )));
        }
        if keeper.count() >= MOST_FRAMES {
            return Err(Broken::TooMany);
        }
        keeper
            .take(frame)
            .map_err(|error| Broken::Bad(error.to_string()))?;
        tell(keeper.count());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails by panicking"
    )]
    use super::*;

    #[test]
    fn every_option_is_in_the_oldest_and_the_newest_ffmpeg_that_is_supported() {
        // Taken from the documentation of 4.4 and of 9; `once` is asked for at run time.
        const KNOWN: [&str; 11] = [
            "-nostdin",
            "-hide_banner",
            "-v",
            "-ss",
            "-protocol_whitelist",
            "-max_pixels",
            "-i",
            "-map",
            "-vf",
            "-frames:v",
            "-f",
        ];
        let section = Section {
            from_secs: 3.0,
            frames: 7,
            fps: 30.0,
        };
        let mut command = Command::new(FFMPEG);
        ask(
            &mut command,
            Path::new("-a%d:b.mp4"),
            Frames::Section(section),
            (None, 30.0),
            "-vsync",
        );
        let words: Vec<String> = command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        for word in &words {
            let is_option = word.starts_with('-') && word.len() > 1;
            assert!(
                !is_option
                    || ["-vsync", "-c:v", "-pix_fmt"].contains(&word.as_str())
                    || KNOWN.contains(&word.as_str()),
                "{word}"
            );
        }
        assert!(words.contains(&"file:-a%d:b.mp4".to_owned()), "{words:?}");
        assert!(words.contains(&"0:V:0".to_owned()), "{words:?}");
    }
}
