//! Trial of ffmpeg and ffprobe for scoring videos, like that of the device.

use evaluation::scores::{
    tools::{CODECS, FFMPEG, FFPROBE, find, missing_codecs, version},
    trial::{self, Trial},
};
use serde::Serialize;
use std::{fmt, path::PathBuf};

/// The oldest ffmpeg of which every option that is used is known: that of Ubuntu 22.04.
const OLDEST: (u32, u32) = (4, 4);

/// What the programs can do that videos are read with.
#[derive(Debug, Serialize)]
pub(super) struct VideoFinding {
    ffmpeg: Tool,
    ffprobe: Tool,
    /// Codecs that can be decoded, by the list of decoders and by clips that were read.
    codecs: Vec<&'static str>,
    /// How many small clips were read as videos are.
    clips_read: usize,
    /// What is missing or odd, and what to do.
    advice: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct Tool {
    #[serde(serialize_with = "crate::path_text::of_any")]
    path: Option<PathBuf>,
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl VideoFinding {
    pub(super) fn look() -> Self {
        let (ffmpeg, ffprobe) = (Tool::look(FFMPEG), Tool::look(FFPROBE));
        let mut advice = Vec::new();
        let mut codecs = Vec::new();
        let mut clips_read = 0;
        if let (Some(path), None) = (&ffmpeg.path, &ffmpeg.error) {
            let mut lacking = Vec::new();
            match missing_codecs(path) {
                Ok(missing) => {
                    lacking.clone_from(&missing);
                    let names = CODECS.iter().map(|(codec, _)| *codec);
                    codecs = names.filter(|codec| !missing.contains(codec)).collect();
                    if !missing.is_empty() {
                        advice.push(format!(
                            "this ffmpeg has no decoder for {}: install a complete build (Debian, Ubuntu: apt install ffmpeg; \
                             conda: conda install -c conda-forge ffmpeg), or convert such videos elsewhere",
                            missing.join(", ")
                        ));
                    }
                }
                Err(error) => advice.push(format!("its decoders are not known: {error}")),
            }
            match trial::run(&lacking, ffprobe.error.is_none()) {
                Ok(trials) => {
                    let fails = |codec: &str| {
                        let own = |one: &&Trial| one.what == codec;
                        trials.iter().filter(own).any(|one| one.problem.is_some())
                    };
                    codecs.retain(|codec| !fails(codec));
                    clips_read = trials.iter().filter(|one| one.problem.is_none()).count();
                    advice.extend(failures(&trials));
                }
                Err(error) => advice.push(format!(
                    "they were not tried: the clips for that cannot be written into the folder for temporary files: \
                     {error}"
                )),
            }
        }
        for (name, tool) in [(FFMPEG, &ffmpeg), (FFPROBE, &ffprobe)] {
            let is_old = |version: &String| numbers(version).is_some_and(|found| found < OLDEST);
            if let Some(version) = tool.version.as_ref().filter(|version| is_old(version)) {
                advice.push(format!(
                    "{name} {version} is older than {}.{}, the oldest that videos are known to be read with",
                    OLDEST.0, OLDEST.1
                ));
            }
        }
        if let (Some(one), Some(other)) = (&ffmpeg.version, &ffprobe.version)
            && one != other
        {
            advice.push(format!(
                "ffmpeg is {one} and ffprobe {other}: they are of two installations; see the order of the folders on the PATH"
            ));
        }
        Self {
            ffmpeg,
            ffprobe,
            codecs,
            clips_read,
            advice,
        }
    }
}

/// Sentences about clips that could not be read. The same cause behind several is said once.
fn failures(trials: &[Trial]) -> Vec<String> {
    let mut causes: Vec<(&str, Vec<&str>)> = Vec::new();
    for trial in trials {
        let Some(problem) = trial.problem.as_deref() else {
            continue;
        };
        match causes.iter_mut().find(|(known, _)| *known == problem) {
            Some((_, what)) => what.push(trial.what),
            None => causes.push((problem, vec![trial.what])),
        }
    }
    causes
        .into_iter()
        .map(|(problem, what)| {
            if what.len() == trials.len() {
                format!("no video can be scored: a small clip could not be read: {problem}")
            } else {
                format!(
                    "videos cannot be scored that are {}: a small clip could not be read: {problem}",
                    what.join(", ")
                )
            }
        })
        .collect()
}

impl Tool {
    fn look(name: &'static str) -> Self {
        let path = match find(name) {
            Ok(path) => path,
            Err(error) => {
                return Self {
                    error: Some(error.to_string()),
                    ..Self::default()
                };
            }
        };
        let (version, error) = match version(&path, name) {
            Ok(version) => (Some(version), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            path: Some(path),
            version,
            error,
        }
    }
}

/// `4.4.2-0ubuntu0.22.04.1` and `n6.0` are numbers, `N-109542-g0a1b2c3` and `git-2023-01-01` are none.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('n').split(['.', '-', '+', '_']);
    let major: u32 = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|part| part.parse().ok());
    Some((major, minor.unwrap_or(0)))
}

impl fmt::Display for VideoFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (head, name, tool) in [
            ("videos    ", FFMPEG, &self.ffmpeg),
            ("          ", FFPROBE, &self.ffprobe),
        ] {
            match (&tool.path, &tool.version, &tool.error) {
                (Some(path), Some(version), None) => {
                    writeln!(f, "{head} {name} {version}, {}", path.display())?;
                }
                (_, _, Some(error)) => writeln!(f, "{head} {error}")?,
                _ => writeln!(f, "{head} {name} was not found")?,
            }
        }
        if !self.codecs.is_empty() {
            writeln!(
                f,
                "           decoded are {}; {} small clips were read",
                self.codecs.join(", "),
                self.clips_read
            )?;
        }
        self.advice
            .iter()
            .try_for_each(|advice| writeln!(f, "  but      {advice}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Trial, failures, numbers};

    #[test]
    fn a_cause_behind_several_clips_is_said_once() {
        let trial = |what, problem: Option<&str>| Trial {
            what,
            problem: problem.map(str::to_owned),
        };
        let both = [trial("h264", Some("no")), trial("hevc", Some("no"))];
        let said = failures(&both);
        assert!(said.len() == 1 && said.iter().all(|words| words.starts_with("no video can")));
        let one = [
            trial("h264", None),
            trial("hevc", Some("no")),
            trial("vp9", Some("no")),
            trial("av1", Some("never")),
        ];
        let said = failures(&one).join("\n");
        assert!(said.contains("hevc, vp9: ") && said.contains("av1: ") && !said.contains("h264"));
        assert!(failures(&one[..1]).is_empty());
    }

    #[test]
    fn versions_of_distributions_are_numbers_and_those_of_repositories_are_not() {
        assert_eq!(numbers("4.4.2-0ubuntu0.22.04.1"), Some((4, 4)));
        assert_eq!(numbers("5.1.9-0+deb12u1"), Some((5, 1)));
        assert_eq!(numbers("n6.0"), Some((6, 0)));
        assert_eq!(numbers("8.0-full_build-www.gyan.dev"), Some((8, 0)));
        assert_eq!(numbers("N-109542-g0a1b2c3"), None);
        assert_eq!(numbers("git-2023-01-01-62da0b4"), None);
        assert_eq!(numbers(""), None);
    }
}
