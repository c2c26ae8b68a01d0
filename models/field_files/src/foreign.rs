//! The cause when a file is not what its name says.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Bytes of a file's start that tell what it is.
const START: usize = 1024;

/// Something else in the place of a file: the cause in the words of a person, with what to do about it.
///
/// Its words follow a file's name: `model.safetensors is a Git LFS pointer …`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// Zero bytes.
    Empty,
    /// Nothing but zeros: room made for a file that never came.
    Zeros,
    /// The text that Git keeps where Git LFS keeps the file.
    GitLfs {
        /// Bytes of the file itself, where the pointer says.
        size: Option<u64>,
    },
    /// The text, or the link, that git-annex keeps in place of the file.
    GitAnnex,
    /// A link whose target is not there.
    BrokenLink {
        /// Where it leads.
        target: PathBuf,
    },
    /// A page or an error message of a web server, saved under the name of a file.
    WebPage,
    /// A file that begins as it should and does not end: an interrupted recording, copy or download.
    Unfinished {
        /// The sign of it, such as "its end is missing".
        sign: &'static str,
    },
    /// A text that ends in the middle.
    CutShort {
        /// Bytes that are there.
        bytes: u64,
    },
    /// Another kind of file.
    Kind(&'static str),
}

/// How files of other kinds begin.
const KINDS: [(&[u8], &str); 13] = [
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (
        b"PK\x03\x04",
        "a zip archive (PyTorch's .pt and .bin files are such); unpack it, or convert it to safetensors",
    ),
    (b"\xfd7zXZ\0", "an xz archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!", "a rar archive; unpack it first"),
    (
        b"\x80\x02",
        "a Python pickle (an old PyTorch file), which is a program; convert it to safetensors",
    ),
    (
        b"\x80\x04",
        "a Python pickle, which is a program; convert it to a plain format",
    ),
    (b"GGUF", "a GGUF file; download the safetensors files"),
    (b"\x89HDF", "an HDF5 file; another format is expected"),
    (b"PAR1", "a Parquet file; another format is expected"),
    (b"\x93NUMPY", "a NumPy file; another format is expected"),
];

/// The beginning and the name of the files that a Mac keeps beside others on a disk of another system.
const SIDECAR: (&[u8], &str) = (
    b"\x00\x05\x16\x07",
    "a macOS sidecar file (AppleDouble), not the file itself; copy the file again, and leave out names that begin with ._",
);

/// The cause behind a file without its content or its end ...
const NEVER_FINISHED: &str =
    "was never finished, as after an interrupted recording, copy or download";
/// ... and what to do about it.
const AGAIN: &str = "get it again, or remove it";

/// Answers of download servers that are saved in place of a file.
const SERVER_WORDS: [&str; 9] = [
    "entry not found",
    "repository not found",
    "not found",
    "404: not found",
    "access denied",
    "access to model",
    "invalid username or password",
    "invalid credentials",
    "unauthorized",
];

impl Foreign {
    /// The kind of bytes that begin with `start` and are `size` long, if they are none of what any reader here wants:
    /// neither weights nor JSON nor Parquet nor a picture begins like that.
    ///
    /// Formats that some reader wants are not told here: see [`Foreign::instead`].
    #[must_use]
    pub fn of(start: &[u8], size: u64) -> Option<Self> {
        if size == 0 {
            return Some(Self::Empty);
        }
        let start = start.get(..START).unwrap_or(start);
        let text = start.trim_ascii_start();
        if text.starts_with(b"version https://git-lfs.github.com/spec/")
            || text.starts_with(b"version https://hawser.github.com/spec/")
        {
            return Some(Self::GitLfs {
                size: lfs_size(text),
            });
        }
        if text.starts_with(b"/annex/objects/") || text.starts_with(b".git/annex/objects/") {
            return Some(Self::GitAnnex);
        }
        let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let head = lower(text.get(..64).unwrap_or(text));
        let is_page = ["<!doctype", "<html", "<?xml", "<head", "<body", "<error"]
            .iter()
            .any(|tag| head.starts_with(tag));
        let is_message =
            size < START as u64 && SERVER_WORDS.iter().any(|words| head.starts_with(words));
        if is_page || is_message {
            return Some(Self::WebPage);
        }
        let (sidecar, kind) = SIDECAR;
        if start.starts_with(sidecar) {
            return Some(Self::Kind(kind));
        }
        // A header of eight zeros is a length of nothing for any format.
        if size >= 16 && start.len() >= 16 && start.iter().all(|byte| *byte == 0) {
            return Some(Self::Zeros);
        }
        None
    }

    /// The kind of bytes in place of JSON or of safetensors: as [`Foreign::of`], and the kinds of file that begin in a way
    /// of their own.
    #[must_use]
    pub fn instead(start: &[u8], size: u64) -> Option<Self> {
        Self::of(start, size).or_else(|| {
            KINDS
                .iter()
                .find(|(magic, _)| start.starts_with(magic))
                .map(|(_, kind)| Self::Kind(kind))
        })
    }

    /// What the file `path` is, by its first bytes: as [`Foreign::of`]. `None` too where it cannot be looked at.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        Self::broken_link(path).or_else(|| {
            let (start, size) = start_of(path)?;
            Self::of(&start, size)
        })
    }

    /// The link at `path`, if it is one and leads nowhere.
    #[must_use]
    pub fn broken_link(path: &Path) -> Option<Self> {
        // A target that is there and may not be looked at is another fault.
        let leads_nowhere = |path: &Path| {
            std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        if !path.is_symlink() || !leads_nowhere(path) {
            return None;
        }
        let target = std::fs::read_link(path).ok()?;
        let annexed = target
            .to_string_lossy()
            .replace('\\', "/")
            .contains("annex/objects/");
        Some(if annexed {
            Self::GitAnnex
        } else {
            Self::BrokenLink { target }
        })
    }
}

fn start_of(path: &Path) -> Option<(Vec<u8>, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    // Opening a pipe would wait for whoever writes into it.
    if !metadata.is_file() {
        return None;
    }
    let file = File::open(path).ok()?;
    let mut start = Vec::with_capacity(START);
    file.take(START as u64).read_to_end(&mut start).ok()?;
    Some((start, metadata.len()))
}

fn lfs_size(pointer: &[u8]) -> Option<u64> {
    std::str::from_utf8(pointer)
        .ok()?
        .lines()
        .find_map(|line| line.strip_prefix("size "))?
        .trim()
        .parse()
        .ok()
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "has 0 bytes: it {NEVER_FINISHED}; {AGAIN}"),
            Self::Zeros => write!(
                f,
                "begins with nothing but zeros: room was made for it, and it {NEVER_FINISHED}; {AGAIN}"
            ),
            Self::Unfinished { sign } => write!(f, "{NEVER_FINISHED}: {sign}; {AGAIN}"),
            Self::CutShort { bytes } => write!(
                f,
                "{NEVER_FINISHED}: it ends in the middle, after {bytes} bytes; {AGAIN}"
            ),
            Self::GitLfs { size } => {
                f.write_str("is a Git LFS pointer, not the file itself")?;
                if let Some(size) = size {
                    write!(f, " (which has {size} bytes)")?;
                }
                f.write_str(
                    ": the folder was cloned without Git LFS. Install it and run `git lfs pull` in the folder, or download \
                     the file again",
                )
            }
            Self::GitAnnex => f.write_str(
                "is kept by git-annex and was not fetched: run `git annex get` (or `datalad get`) in the folder, or \
                 download the file again",
            ),
            Self::BrokenLink { target } => write!(
                f,
                "is a link to {}, which is not there: the folder was moved or copied without the files its links lead to; \
                 copy it again following links (cp -L), or download it again",
                target.display()
            ),
            Self::WebPage => f.write_str(
                "is a web page or the answer of a web server, saved in place of the file (a log-in page, or a message of an \
                 error): download the file itself",
            ),
            Self::Kind(kind) => write!(f, "is {kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn words(bytes: &[u8]) -> Option<String> {
        Foreign::instead(bytes, bytes.len() as u64).map(|foreign| foreign.to_string())
    }

    #[test]
    fn what_stands_in_for_a_file_is_told_by_its_cause() {
        let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:abab\nsize 4932307584\n";
        for (bytes, cause, remedy) in [
            (lfs.as_slice(), "Git LFS", "git lfs pull"),
            (b"", "0 bytes", "again"),
            (&[0; 4096], "zeros", "again"),
            (
                b"\0\x05\x16\x07\0\x02\0\0Mac OS X",
                "macOS sidecar",
                "again",
            ),
            (
                b"/annex/objects/SHA256E-s12--ab.bin\n",
                "git-annex",
                "git annex get",
            ),
            (b"\n<!DOCTYPE html><html>", "web page", "download"),
            (
                b"<?xml version='1.0'?><Error><Code>AccessDenied",
                "web page",
                "download",
            ),
            (b"Entry not found", "web server", "download"),
            (b"\x1f\x8b\x08\0rest", "gzip", "unpack"),
            (b"PK\x03\x04rest", "zip", "safetensors"),
            (b"\x80\x02}q\0", "pickle", "safetensors"),
        ] {
            let said = words(bytes).unwrap();
            assert!(said.contains(cause) && said.contains(remedy), "{said}");
        }
        assert!(words(lfs).unwrap().contains("4932307584 bytes"));
        let sign = "its end is missing";
        let said = Foreign::Unfinished { sign }.to_string();
        assert!(
            said.contains(sign) && said.contains("interrupted recording"),
            "{said}"
        );
    }

    #[test]
    fn files_that_are_what_they_say_pass() {
        let mut weights = 40_u64.to_le_bytes().to_vec();
        weights.extend([b' '; 40]);
        for bytes in [
            weights.as_slice(),
            b"{}",
            b"[1]",
            b"\xef\xbb\xbf{}",
            b"null",
        ] {
            assert_eq!(words(bytes), None);
        }
        assert_eq!(Foreign::of(b"PAR1rest", 8), None);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_nowhere_are_told() {
        let folder = std::env::temp_dir().join(format!("foreign-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, target) in [
            ("blob", "../../blobs/abab"),
            ("annexed", "../.git/annex/objects/zz/SHA256E-s1--a"),
        ] {
            let link = folder.join(name);
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(target, link).unwrap();
        }
        assert!(matches!(
            Foreign::at(&folder.join("blob")),
            Some(Foreign::BrokenLink { .. })
        ));
        assert_eq!(
            Foreign::at(&folder.join("annexed")),
            Some(Foreign::GitAnnex)
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
