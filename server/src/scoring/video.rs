//! A video file, decoded by ffmpeg in a child process: no decoder is linked into this program.
//!
//! Frames arrive as binary PPM pictures through a pipe, every coded frame once whatever its time stamp, so that
//! frame numbers are those of the recording.

use super::{Keeper, Kept, ScoringError};
use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read},
    path::Path,
    process::{Command, Stdio},
};
use vision::RgbImage;

/// The program that decodes, found on the path.
const FFMPEG: &str = "ffmpeg";
/// The program that knows a file's frame rate.
const FFPROBE: &str = "ffprobe";
/// No picture has a longer side [pixels].
const MAX_SIDE: usize = 1 << 15;

/// The part of a file that is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Section {
    /// When its first frame is shown [s].
    pub from_secs: f64,
    /// How many frames it has, each once.
    pub frames: usize,
    /// Frames per second of the file.
    pub fps: f64,
}

/// Decodes a file, or a section of it. `tell` is told how many frames have come.
///
/// # Errors
/// [`ScoringError`] when there is no ffmpeg, when it fails, for a file without frames, and for a section with fewer
/// than it should have.
pub fn read(
    path: &Path,
    section: Option<Section>,
    mut keeper: Keeper,
    tell: &mut dyn FnMut(usize),
) -> Result<Kept, ScoringError> {
    let io = |source| ScoringError::Io {
        path: path.to_owned(),
        source,
    };
    // A missing file is said by its name, not in the decoder's words.
    std::fs::metadata(path).map_err(io)?;
    let (mut seek, mut limit) = (Vec::new(), Vec::new());
    if let Some(section) = section {
        // Half a frame early, so that the rounding of times cannot skip the first one. ffmpeg decodes from the key frame
        // before and drops what is earlier.
        let from = section.from_secs - 0.5 / section.fps;
        if from > 0.0 {
            seek = vec!["-ss".to_owned(), format!("{from:.6}")];
        }
        limit = vec!["-frames:v".to_owned(), section.frames.to_string()];
    }
    let mut child = Command::new(FFMPEG)
        .args(["-nostdin", "-v", "error"])
        .args(seek)
        .arg("-i")
        .arg(path)
        .args(["-map", "0:v:0", "-fps_mode", "passthrough"])
        .args(limit)
        .args(["-f", "image2pipe", "-c:v", "ppm", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| missing(FFMPEG, path, source))?;
    // Both pipes are read at once: a decoder that complains a lot would otherwise wait for us.
    let said = child.stderr.take().map(|mut stderr| {
        std::thread::spawn(move || {
            let mut said = String::new();
            stderr.read_to_string(&mut said).map(|_| said)
        })
    });
    let streamed = match child.stdout.take() {
        Some(stdout) => frames(path, BufReader::new(stdout), &mut keeper, tell),
        None => Ok(()),
    };
    if streamed.is_err() {
        child.kill().map_err(io)?;
    }
    let status = child.wait().map_err(io)?;
    let said = said
        .and_then(|thread| thread.join().ok())
        .and_then(Result::ok)
        .unwrap_or_default();
    streamed?;
    if !status.success() {
        return Err(ScoringError::Decoder {
            path: path.to_owned(),
            status,
            said: said.trim().to_owned(),
        });
    }
    if keeper.count() == 0 {
        return Err(ScoringError::NoFrames {
            path: path.to_owned(),
        });
    }
    if let Some(section) = section
        && keeper.count() != section.frames
    {
        return Err(ScoringError::TooShort {
            path: path.to_owned(),
            from_secs: section.from_secs,
            want: section.frames,
            got: keeper.count(),
        });
    }
    keeper
        .finish()
        .map_err(|error| stream(path, error.to_string()))
}

/// The frame rate that a file says it has [1/s], if it says one.
///
/// # Errors
/// [`ScoringError::NoDecoder`] without ffprobe.
pub fn frame_rate(path: &Path) -> Result<Option<f64>, ScoringError> {
    let output = Command::new(FFPROBE)
        .args(["-v", "error", "-select_streams", "v:0"])
        .args(["-show_entries", "stream=avg_frame_rate", "-of", "csv=p=0"])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| missing(FFPROBE, path, source))?;
    Ok(ratio(String::from_utf8_lossy(&output.stdout).trim()))
}

/// `30000/1001`, or `30`.
fn ratio(text: &str) -> Option<f64> {
    let (above, below) = text.split_once('/').unwrap_or((text, "1"));
    let rate = above.parse::<f64>().ok()? / below.parse::<f64>().ok()?;
    (rate.is_finite() && rate > 0.0).then_some(rate)
}

fn missing(program: &'static str, path: &Path, source: io::Error) -> ScoringError {
    if source.kind() == ErrorKind::NotFound {
        ScoringError::NoDecoder { program }
    } else {
        ScoringError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

fn stream(path: &Path, reason: impl Into<String>) -> ScoringError {
    ScoringError::Stream {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

fn frames(
    path: &Path,
    mut pipe: impl BufRead,
    keeper: &mut Keeper,
    tell: &mut dyn FnMut(usize),
) -> Result<(), ScoringError> {
    while let Some(frame) = picture(&mut pipe).map_err(|reason| stream(path, reason))? {
        keeper
            .take(frame)
            .map_err(|error| stream(path, error.to_string()))?;
        tell(keeper.count());
    }
    Ok(())
}

/// The next binary PPM picture, or none at the end of the pipe.
fn picture(pipe: &mut impl BufRead) -> Result<Option<RgbImage>, String> {
    if pipe
        .fill_buf()
        .map_err(|error| error.to_string())?
        .is_empty()
    {
        return Ok(None);
    }
    if word(pipe)? != "P6" {
        return Err("it does not begin with P6".to_owned());
    }
    let mut number = |what: &str, most: usize| -> Result<usize, String> {
        let word = word(pipe)?;
        match word.parse::<usize>() {
            Ok(value) if (1..=most).contains(&value) => Ok(value),
            _ => Err(format!("{word:?} is not a {what} from 1 to {most}")),
        }
    };
    let width = number("width", MAX_SIDE)?;
    let height = number("height", MAX_SIDE)?;
    number("depth", 255)?;
    let mut data = vec![0; width * height * 3];
    pipe.read_exact(&mut data)
        .map_err(|error| format!("it ends within its {width}x{height} pixels: {error}"))?;
    RgbImage::new(width, height, data)
        .map(Some)
        .map_err(|error| error.to_string())
}

/// Letters up to the next white space, which is taken too.
fn word(pipe: &mut impl BufRead) -> Result<String, String> {
    let mut word = String::new();
    for byte in pipe.bytes() {
        let byte = byte.map_err(|error| error.to_string())?;
        if byte.is_ascii_whitespace() {
            return Ok(word);
        }
        word.push(char::from(byte));
        if word.len() > 16 {
            break;
        }
    }
    Err(format!("its header has {word:?}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn pictures_are_cut_out_of_a_pipe() {
        let mut bytes = b"P6\n2 1\n255\n\x01\x02\x03\x04\x05\x06".to_vec();
        bytes.extend(b"P6\n1 1\n255\n \n\t");
        let mut pipe = bytes.as_slice();
        let first = picture(&mut pipe).unwrap().unwrap();
        assert_eq!((first.width(), first.data()), (2, &[1, 2, 3, 4, 5, 6][..]));
        let second = picture(&mut pipe).unwrap().unwrap();
        assert_eq!(second.data(), b" \n\t");
        assert!(picture(&mut pipe).unwrap().is_none());
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for bytes in [
            &b"P5\n1 1\n255\n1"[..],
            b"P6\n0 1\n255\n",
            b"P6\n99999 1\n255\n",
            b"P6\n2 2\n255\n123",
            b"P6\n1 1\n65535\n123456",
            b"Error while decoding stream",
        ] {
            assert!(picture(&mut &*bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn rates_are_ratios() {
        assert_eq!(ratio("30/1"), Some(30.0));
        assert_eq!(ratio("25"), Some(25.0));
        assert!((ratio("30000/1001").unwrap() - 29.97).abs() < 1e-3);
        assert_eq!(ratio("0/0"), None);
        assert_eq!(ratio("N/A"), None);
    }
}
