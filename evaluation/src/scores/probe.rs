//! What ffprobe says of a video: which of its streams has the pictures, and how fast they follow each other.

mod streams;

use super::{
    MOST_FRAMES, ScoringError,
    child::{self, Patience, Running},
    complaint,
    pace::{self, Pace},
    tools::{self, FFPROBE},
};
use serde_json::Value;
use std::{
    ffi::OsString,
    io::{BufRead as _, Read as _},
    path::Path,
};

/// More than a description of any file's streams.
const MOST_ANSWER: usize = 16 << 20;
/// More than a line about a packet.
const MOST_LINE: u64 = 4096;
/// A grid of time stamps finer than this is that of a clock, not of frames [1/s].
const MOST_RATE: f64 = 120.0;

/// A file as ffmpeg and ffprobe are given it: never an option, a pattern or an address, whatever its name is.
pub(super) fn named(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

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
    /// The steps of its clock that frames are on, if the file says it [1/s].
    grid: Option<f64>,
    /// What is worth a sentence.
    pub notes: Vec<String>,
}

/// How frames of a file are to be counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// Frames per second.
    pub fps: f64,
    /// Whether frame numbers over `fps` are their times; if not, they are to be taken by their time stamps.
    pub even: bool,
    /// What is worth a sentence.
    pub note: Option<String>,
}

/// Finds the pictures of a file.
///
/// # Errors
/// [`ScoringError`] without ffprobe, for a file that it cannot read, and for one without pictures.
pub fn pictures(path: &Path) -> Result<Pictures, ScoringError> {
    let prepare = |command: &mut std::process::Command| {
        command
            .args(["-v", "error", "-protocol_whitelist", "file"])
            .args(["-show_format", "-show_streams", "-of", "json", "-i"])
            .arg(named(path));
    };
    let program = tools::find(FFPROBE)?;
    let (answer, ended) = child::answer(&program, prepare, Patience::VIDEO, MOST_ANSWER)?;
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

/// The coded frames of a stream, as a reader of the file without a decoder finds them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Packets {
    /// How many there are.
    pub count: usize,
    /// Those that only lead up to a cut and are not shown.
    pub hidden: usize,
    /// When the others are shown, where the file says it (s), in its order.
    times: Vec<f64>,
}

impl Packets {
    fn add(&mut self, line: &str) {
        let mut values = line.trim().split(',');
        let Some(time) = values.next().filter(|time| !time.is_empty()) else {
            return;
        };
        self.count += 1;
        if values.next().is_some_and(|flags| flags.contains('D')) {
            self.hidden += 1;
        } else {
            let time = time.trim().parse::<f64>().ok();
            self.times.extend(time.filter(|time| time.is_finite()));
        }
    }
}

impl Pictures {
    /// How frames are to be counted, if the file or the times of its frames say it.
    #[must_use]
    pub fn rate(&self, packets: &Packets) -> Option<Rate> {
        let even = |fps| Rate {
            fps,
            even: true,
            note: None,
        };
        match pace::of(packets.times.clone()) {
            Pace::Unknown => self.fps.map(even),
            Pace::Even { fps } => Some(even(match self.fps {
                // What the file says is exact where it is not wrong: 30000/1001.
                Some(said) if (said / fps - 1.0).abs() < 0.02 => said,
                _ => fps,
            })),
            Pace::Uneven {
                typical,
                shortest,
                longest,
                secs,
            } => {
                let fps = self
                    .grid
                    .filter(|grid| *grid <= MOST_RATE && *grid * secs <= MOST_FRAMES as f64)
                    .unwrap_or(typical.min(MOST_RATE));
                Some(Rate {
                    fps,
                    even: false,
                    note: Some(format!(
                        "its frames do not follow each other evenly ({shortest:.3} to {longest:.3} s apart): they are taken \
                         by their time stamps, {fps:.4} a second; with --fps each counts once"
                    )),
                })
            }
        }
    }
}

/// Lists the coded frames of a stream.
///
/// # Errors
/// [`ScoringError`].
pub fn packets(path: &Path, stream: usize) -> Result<Packets, ScoringError> {
    let program = tools::find(FFPROBE)?;
    let mut running = Running::start(
        &program,
        |command| {
            command
                .args(["-v", "error", "-protocol_whitelist", "file"])
                .args(["-select_streams", &stream.to_string()])
                .args(["-show_entries", "packet=pts_time,flags"])
                .args(["-of", "csv=p=0", "-i"])
                .arg(named(path));
        },
        Patience::VIDEO,
    )?;
    let mut packets = Packets::default();
    loop {
        let mut line = Vec::new();
        let read = (&mut running).take(MOST_LINE).read_until(b'\n', &mut line);
        if let Some(overdue) = running.overdue() {
            return Err(overdue);
        }
        match read {
            Ok(0) => break,
            Ok(_) => packets.add(&String::from_utf8_lossy(&line)),
            Err(error) => {
                return Err(ScoringError::Program {
                    program,
                    reason: error.to_string(),
                });
            }
        }
        if packets.count > MOST_FRAMES {
            return Err(ScoringError::TooManyFrames {
                path: path.to_owned(),
            });
        }
    }
    // How it ended does not matter: what it has not said is not known.
    running.finish()?;
    Ok(packets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_packets_are_read_whatever_follows() {
        let mut packets = Packets::default();
        for line in [
            "0.033333,K__\n",
            "1.5,_,\n",
            "0.5",
            "-0.066,_D_",
            "N/A,K__",
            "",
            "\n",
        ] {
            packets.add(line);
        }
        assert_eq!((packets.count, packets.hidden), (5, 1));
        assert_eq!(packets.times, [0.033_333, 1.5, 0.5]);
    }
}
