//! The command line of ffmpeg for a part of a file.

use super::frames::{Frames, Known};
use crate::scores::{probe::Stream, tools};
use datasets::images::PictureLimits;
use std::{path::Path, process::Command};

/// A part of a file that ffmpeg is asked for.
#[derive(Debug)]
pub(super) struct Request<'a> {
    path: &'a Path,
    stream: Option<Stream>,
    /// Where it is sent (s after the beginning of the file); it decodes from the key frame before and drops what is earlier.
    sought_secs: Option<f64>,
    /// The filter that takes frames by their times.
    clock: Option<String>,
    /// Most frames.
    most: Option<usize>,
}

impl<'a> Request<'a> {
    /// For these frames of a file.
    pub(super) fn new(path: &'a Path, wanted: Frames, known: Known) -> Self {
        let all = Self {
            path,
            stream: known.stream,
            sought_secs: None,
            clock: None,
            most: None,
        };
        match wanted {
            Frames::Each { .. } => all,
            Frames::Timed { fps, .. } => Self {
                clock: Some(format!("fps=fps={fps}:round=near")),
                ..all
            },
            Frames::Section(section) => {
                let sought_secs = Some(section.sought_secs(0, known)).filter(|from| *from > 0.0);
                let round = sought_secs.map_or("near", |_| "down");
                let fps = section.fps;
                Self {
                    sought_secs,
                    clock: Some(format!("fps=fps={fps}:round={round}:start_time=0")),
                    most: Some(section.frames),
                    ..all
                }
            }
        }
    }

    /// For the first frame that is shown from a time on (s after the beginning of the file).
    pub(super) fn one(path: &'a Path, stream: Option<Stream>, from_secs: f64) -> Self {
        Self {
            path,
            stream,
            sought_secs: Some(from_secs).filter(|from| *from > 0.0),
            clock: None,
            most: Some(1),
        }
    }

    /// Writes it as options that every ffmpeg from 4.4 on has, and `once`, which this one has.
    pub(super) fn write(&self, command: &mut Command, once: &str) {
        command.args(["-nostdin", "-hide_banner", "-v", "error"]);
        if let Some(from) = self.sought_secs {
            command.args(["-ss", &format!("{from:.6}")]);
        }
        command
            // A playlist that calls itself a video opens nothing else; a picture without end is not begun.
            .args(["-protocol_whitelist", "file"])
            .args(["-max_pixels", &PictureLimits::FRAME.pixels.to_string()])
            .arg("-i")
            .arg(tools::named(self.path));
        // V is a stream of pictures that is no cover.
        let map = self.stream.map_or_else(
            || "0:V:0".to_owned(),
            |stream| format!("0:{}", stream.index),
        );
        command.args(["-map", &map]);
        if let Some(most) = self.most {
            command.args(["-frames:v", &most.to_string()]);
        }
        let mut filters: Vec<String> = self.clock.iter().cloned().collect();
        filters.extend(
            self.stream
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
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::frames::Section;
    use super::*;

    const SECTION: Section = Section {
        from_secs: 3.0,
        frames: 7,
        fps: 30.0,
    };
    const KNOWN: Known = Known {
        stream: None,
        fps: 30.0,
        late_secs: 0.0,
    };

    fn words(path: &str, wanted: Frames, known: Known) -> Vec<String> {
        let mut command = Command::new("ffmpeg");
        Request::new(Path::new(path), wanted, known).write(&mut command, "-vsync");
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    fn after(words: &[String], option: &str) -> Option<String> {
        let place = words.iter().position(|word| word == option)?;
        words.get(place + 1).cloned()
    }

    #[test]
    fn every_option_is_in_the_oldest_and_the_newest_ffmpeg_that_is_supported() {
        // Taken from the documentation of 4.4 and of 9; `once` is asked for at run time.
        const KNOWN_OPTIONS: [&str; 11] = [
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
        let words = words("-a%d:b.mp4", Frames::Section(SECTION), KNOWN);
        for word in &words {
            let is_option = word.starts_with('-') && word.len() > 1;
            assert!(
                !is_option
                    || ["-vsync", "-c:v", "-pix_fmt"].contains(&word.as_str())
                    || KNOWN_OPTIONS.contains(&word.as_str()),
                "{word}"
            );
        }
        assert!(words.contains(&"file:-a%d:b.mp4".to_owned()), "{words:?}");
        assert!(words.contains(&"0:V:0".to_owned()), "{words:?}");
    }

    #[test]
    fn a_section_is_counted_from_the_first_picture() {
        let sought = |from_secs, late_secs| {
            let section = Section {
                from_secs,
                ..SECTION
            };
            let known = Known { late_secs, ..KNOWN };
            after(&words("a.mp4", Frames::Section(section), known), "-ss")
        };
        assert_eq!(sought(0.0, 0.0), None);
        assert_eq!(sought(0.0, 0.5).unwrap(), "0.486667");
        assert_eq!(sought(1.0, 0.5).unwrap(), "1.486667");
        assert_eq!(sought(1.0, 0.0).unwrap(), "0.986667");
    }
}
