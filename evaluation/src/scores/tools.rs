//! ffmpeg and ffprobe, looked at before they are used: where they are, which they are, and what they can do.
//!
//! Nothing is concluded from a version number. Builds from a repository have none, distributions change theirs, and
//! options come and go (`-fps_mode` came with 5.1, `-vsync` went with 9): the program is asked for the list.

use super::{
    ScoringError,
    child::{self, Patience},
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The program that decodes.
pub const FFMPEG: &str = "ffmpeg";
/// The program that knows what is in a file.
pub const FFPROBE: &str = "ffprobe";
/// More than any of the lists that are asked for.
const MOST_ANSWER: usize = 8 << 20;

/// Codecs of videos that people score, and the decoders in software that read each. ffmpeg's own `av1` is none: it hands
/// the work to a graphics card.
pub const CODECS: [(&str, &[&str]); 6] = [
    ("h264", &["h264", "libopenh264"]),
    ("hevc", &["hevc"]),
    ("av1", &["libdav1d", "libaom-av1", "libgav1"]),
    ("vp9", &["vp9", "libvpx-vp9"]),
    ("mpeg4", &["mpeg4"]),
    ("ffv1", &["ffv1"]),
];

/// A file as these programs are given it: never an option, a pattern or an address, whatever its name is.
pub(super) fn named(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

/// Where `program` is.
///
/// # Errors
/// [`ScoringError::NoDecoder`] when it is not on the path.
pub fn find(program: &'static str) -> Result<PathBuf, ScoringError> {
    child::find(program).ok_or(ScoringError::NoDecoder { program })
}

/// Which version a program says that it is.
///
/// # Errors
/// [`ScoringError::Program`] for one that does not answer, or not as `name` would.
pub fn version(program: &Path, name: &str) -> Result<String, ScoringError> {
    let answer = ask(program, &["-version"])?;
    answer
        .lines()
        .find_map(|line| {
            line.trim()
                .strip_prefix(name)?
                .trim_start()
                .strip_prefix("version")
        })
        .and_then(|rest| rest.split_whitespace().next())
        .map(str::to_owned)
        .ok_or_else(|| ScoringError::Program {
            program: program.to_owned(),
            reason: match answer.trim().lines().next() {
                Some(line) => format!(
                    "asked for its version it says {:?}, which is not what {name} says",
                    line.chars().take(80).collect::<String>()
                ),
                None => "asked for its version it says nothing".to_owned(),
            },
        })
}

/// Of [`CODECS`], those that an ffmpeg cannot decode.
///
/// # Errors
/// [`ScoringError::Program`] for one that does not answer.
pub fn missing_codecs(ffmpeg: &Path) -> Result<Vec<&'static str>, ScoringError> {
    let answer = ask(ffmpeg, &["-hide_banner", "-decoders"])?;
    // ` VFS..D h264   H.264 / AVC / …`: what it can do, its name, a description.
    let names: Vec<&str> = answer
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            words.next().filter(|what| what.starts_with('V'))?;
            words.next()
        })
        .collect();
    Ok(CODECS
        .iter()
        .filter(|(_, decoders)| !decoders.iter().any(|decoder| names.contains(decoder)))
        .map(|(codec, _)| *codec)
        .collect())
}

/// The option that makes this ffmpeg hand over every frame once, asked once.
pub(super) fn every_frame_once(ffmpeg: &Path) -> &'static str {
    static OPTION: OnceLock<&str> = OnceLock::new();
    OPTION.get_or_init(|| match ask(ffmpeg, &["-hide_banner", "-h", "long"]) {
        // The older name where the list says so. One that does not answer is taken for a newer one: what is wrong
        // with it will be said when it decodes.
        Ok(options) if options.contains("-vsync") && !options.contains("-fps_mode") => "-vsync",
        _ => "-fps_mode",
    })
}

fn ask(program: &Path, arguments: &[&str]) -> Result<String, ScoringError> {
    let prepare = |command: &mut std::process::Command| {
        command.args(arguments);
    };
    let (answer, ended) = child::answer(program, prepare, Patience::ANSWER, MOST_ANSWER)?;
    if !ended.status.success() {
        let said = ended.said.lines().last().unwrap_or_default().to_owned();
        return Err(ScoringError::Program {
            program: program.to_owned(),
            reason: format!("it ended with {}: {said}", ended.status),
        });
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
