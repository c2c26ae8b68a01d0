//! Whole files, up to a limit.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::foreign::Foreign;
use crate::json::JsonError;

/// How much of a kind of file is taken into memory.
///
/// Several times what the largest published file of that kind has, and so little that what is made of it stays within
/// what loading may take beside the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub u64);

impl Limit {
    /// `config.json`, `norm_stats.json`, `info.json` and the like: published ones have up to 1 MB.
    pub const SETTINGS: Self = Self(16 << 20);
    /// Chat templates: published ones have up to 30 kB.
    pub const TEMPLATE: Self = Self(128 << 10);
    /// `tokenizer.json`: those of a quarter of a million tokens have 20 MB.
    pub const TOKENIZER: Self = Self(32 << 20);
    /// `model.safetensors.index.json`: published ones have up to 10 MB.
    pub const INDEX: Self = Self(32 << 20);
    /// Small weights that are read whole: the statistics of a LeRobot policy, a depth decoder (20 MB).
    pub const SMALL_WEIGHTS: Self = Self(64 << 20);
    /// An array of one question: noise, depth codes.
    pub const ARRAY: Self = Self(16 << 20);
    /// A picture as a file.
    pub const PICTURE: Self = Self(64 << 20);
    /// The score of one video: a hundred thousand points, each with its controls, have less.
    pub const SCORE: Self = Self(64 << 20);
    /// Results of all episodes of a data set: some kilobytes for each of the 65,536 that one may have.
    pub const RESULTS: Self = Self(128 << 20);

    /// That of the file `name` of a model, with or without folders in front.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let ends_in = |ending: &str| name.to_ascii_lowercase().ends_with(ending);
        match name {
            "tokenizer.json" | "vocab.json" | "merges.txt" => Self::TOKENIZER,
            _ if ends_in(".safetensors.index.json") => Self::INDEX,
            _ if ends_in(".jinja") => Self::TEMPLATE,
            _ if ends_in(".safetensors") => Self::SMALL_WEIGHTS,
            _ => Self::SETTINGS,
        }
    }
}

/// A file could not be read whole. Its words begin with the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system.
    #[error("cannot read {file}: {source}")]
    Io {
        /// Path of the file.
        file: String,
        /// What it said.
        source: io::Error,
    },
    /// A folder, a device or a pipe in its place: what is read here has a size and an end.
    #[error("{file} is {kind}, not a file")]
    NotAFile {
        /// Path of the file.
        file: String,
        /// What it is, such as "a folder".
        kind: &'static str,
    },
    /// The operating system does not let this user read it, or enter a folder above it.
    #[error(
        "cannot read {file}: permission denied. Give this user the right to read it and to enter the folders above it (such \
         as with `chmod -R a+rX` on the folder), or run as the user that it belongs to"
    )]
    Denied {
        /// Path of the file.
        file: String,
    },
    /// Something else in its place.
    #[error("{file} {foreign}")]
    Foreign {
        /// Path of the file.
        file: String,
        /// What it is.
        foreign: Foreign,
    },
    /// It is larger than any file of its kind.
    #[error(
        "{file} has {size} bytes; at most {limit} are read of such a file: it is not what its name says, or damaged"
    )]
    TooLarge {
        /// Path of the file.
        file: String,
        /// Bytes that it has, as far as is known.
        size: u64,
        /// Bytes that are read.
        limit: u64,
    },
    /// It is no UTF-8.
    #[error("{file} is not UTF-8 text: byte {at} (from 0) belongs to no character")]
    NotText {
        /// Path of the file.
        file: String,
        /// The first such byte.
        at: usize,
    },
    /// It is not the JSON that it should be.
    #[error("{file}: {error}")]
    Json {
        /// Path of the file.
        file: String,
        /// Where and why.
        error: Box<JsonError>,
    },
}

impl ReadError {
    /// The error of a file that the operating system did not open or read, or of a link in its place that leads nowhere.
    #[must_use]
    pub fn opening(path: &Path, source: io::Error) -> Self {
        match Foreign::broken_link(path) {
            Some(foreign) => Self::foreign(path, foreign),
            None if source.kind() == io::ErrorKind::PermissionDenied => Self::Denied {
                file: path.display().to_string(),
            },
            None => Self::Io {
                file: path.display().to_string(),
                source,
            },
        }
    }

    /// The error of a file in whose place something else is.
    #[must_use]
    pub fn foreign(path: &Path, foreign: Foreign) -> Self {
        Self::Foreign {
            file: path.display().to_string(),
            foreign,
        }
    }

    /// The thing in the place of the file, if it is something else.
    #[must_use]
    pub fn instead(&self) -> Option<&Foreign> {
        match self {
            Self::Foreign { foreign, .. } => Some(foreign),
            _ => None,
        }
    }

    /// True if the file is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Opens the file `path` and answers its size in bytes. Only what is a file is opened: a pipe would wait for whoever writes
/// into it, and a device may have no end.
///
/// # Errors
/// [`ReadError`], which names the file.
pub fn open(path: &Path) -> Result<(File, u64), ReadError> {
    let failed = |source| ReadError::opening(path, source);
    let about = std::fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(ReadError::NotAFile {
            file: path.display().to_string(),
            kind: kind(&about),
        });
    }
    Ok((File::open(path).map_err(failed)?, about.len()))
}

/// What something is that is no file.
fn kind(about: &std::fs::Metadata) -> &'static str {
    if about.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let of = about.file_type();
        if of.is_fifo() {
            return "a pipe";
        }
        if of.is_char_device() || of.is_block_device() {
            return "a device";
        }
        if of.is_socket() {
            return "a socket";
        }
    }
    "something else"
}

/// True if `path` is anything but a folder: a file, or a pipe, a device or a link that leads nowhere, which opening names.
///
/// # Errors
/// [`ReadError`] where the operating system does not tell, as for a folder that this user may not enter: a file that may
/// not be looked at is not a missing one.
pub fn is_there(path: &Path) -> Result<bool, ReadError> {
    match std::fs::metadata(path) {
        Ok(about) => Ok(!about.is_dir()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Foreign::broken_link(path).is_some())
        }
        Err(error) => Err(ReadError::opening(path, error)),
    }
}

/// Reads the file `path` whole if it has at most `limit` bytes and is a file at all, not a stand-in for one
/// ([`Foreign::of`]).
///
/// # Errors
/// [`ReadError`], which names the file.
pub fn read(path: &Path, limit: Limit) -> Result<Vec<u8>, ReadError> {
    let bytes = read_any(path, limit)?;
    match Foreign::of(&bytes, bytes.len() as u64) {
        Some(foreign) => Err(ReadError::foreign(path, foreign)),
        None => Ok(bytes),
    }
}

/// Reads the file `path` whole if it has at most `limit` bytes, whatever they are: for files that may be empty.
///
/// # Errors
/// [`ReadError`], which names the file.
pub fn read_any(path: &Path, limit: Limit) -> Result<Vec<u8>, ReadError> {
    let failed = |source| ReadError::opening(path, source);
    let (opened, size) = open(path)?;
    let too_large = |size| ReadError::TooLarge {
        file: path.display().to_string(),
        size,
        limit: limit.0,
    };
    if size > limit.0 {
        return Err(too_large(size));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // A file may grow while it is read.
    opened
        .take(limit.0.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let size = bytes.len() as u64;
    if size > limit.0 {
        return Err(too_large(size));
    }
    Ok(bytes)
}

/// Reads the text file `path` as [`read`] does, without the mark that some editors put in front of UTF-8.
///
/// # Errors
/// [`ReadError`], which names the file.
pub fn read_text(path: &Path, limit: Limit) -> Result<String, ReadError> {
    let bytes = read(path, limit)?;
    let text = String::from_utf8(bytes).map_err(|error| ReadError::NotText {
        file: path.display().to_string(),
        at: error.utf8_error().valid_up_to(),
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn with_file<T>(name: &str, bytes: &[u8], test: impl FnOnce(&Path) -> T) -> T {
        let path = std::env::temp_dir().join(format!("limit-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let tested = test(&path);
        std::fs::remove_file(path).unwrap();
        tested
    }

    #[test]
    fn a_file_at_the_limit_is_read_and_one_above_is_named_with_both_sizes() {
        with_file("size", b"12345", |path| {
            assert_eq!(read(path, Limit(5)).unwrap(), b"12345");
            let error = read(path, Limit(4)).unwrap_err().to_string();
            assert!(
                error.contains("size") && error.contains("5 bytes") && error.contains("at most 4"),
                "{error}"
            );
        });
        with_file("nothing", b"", |path| {
            assert!(
                read(path, Limit(4))
                    .unwrap_err()
                    .to_string()
                    .contains("0 bytes")
            );
            assert_eq!(read_any(path, Limit(4)).unwrap(), b"");
        });
        let missing = read(Path::new("/nowhere/at/all"), Limit(4)).unwrap_err();
        assert!(missing.is_missing() && missing.to_string().contains("/nowhere/at/all"));
    }

    #[cfg(unix)]
    #[test]
    fn what_has_no_end_is_not_opened() {
        for (path, kind) in [("/dev/zero", "a device"), ("/tmp", "a folder")] {
            let error = read(Path::new(path), Limit(4)).unwrap_err().to_string();
            assert_eq!(error, format!("{path} is {kind}, not a file"));
        }
        let pipe = std::env::temp_dir().join(format!("limit-{}-pipe", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = open(&pipe).unwrap_err().to_string();
        std::fs::remove_file(&pipe).unwrap();
        assert!(error.ends_with("is a pipe, not a file"), "{error}");
    }

    #[test]
    fn a_file_that_may_not_be_read_is_denied_and_not_missing() {
        let path = Path::new("/checkpoints/tokenizer.json");
        let denied = ReadError::opening(path, io::ErrorKind::PermissionDenied.into());
        assert!(!denied.is_missing());
        let words = denied.to_string();
        for part in ["/checkpoints/tokenizer.json", "permission denied", "chmod"] {
            assert!(words.contains(part), "{part}: {words}");
        }
    }

    /// A user who may read everything, as in a container, is denied nothing, so another fault stands for it.
    #[cfg(unix)]
    #[test]
    fn a_file_that_cannot_be_looked_at_is_not_missing() {
        with_file("there", b"12345", |path| {
            assert!(is_there(path).unwrap());
            assert!(!is_there(&path.join("below")).unwrap());
            assert!(!is_there(&path.with_extension("none")).unwrap());
            // A link to itself.
            let link = path.with_extension("link");
            std::os::unix::fs::symlink(&link, &link).unwrap();
            let error = is_there(&link);
            std::fs::remove_file(&link).unwrap();
            let error = error.unwrap_err();
            assert!(!error.is_missing(), "{error}");
            assert!(
                error.to_string().contains(&link.display().to_string()),
                "{error}"
            );
        });
        assert!(!is_there(&std::env::temp_dir()).unwrap());
    }

    #[test]
    fn the_name_of_a_file_tells_its_limit() {
        for (name, limit) in [
            ("config.json", Limit::SETTINGS),
            ("openfast/tokenizer.json", Limit::TOKENIZER),
            ("model.safetensors.index.json", Limit::INDEX),
            ("chat_template.jinja", Limit::TEMPLATE),
            ("state.safetensors", Limit::SMALL_WEIGHTS),
        ] {
            assert_eq!(Limit::of(name), limit, "{name}");
        }
    }

    #[test]
    fn a_pointer_is_no_file() {
        with_file(
            "lfs",
            b"version https://git-lfs.github.com/spec/v1\nsize 7\n",
            |path| {
                let error = read(path, Limit::SETTINGS).unwrap_err().to_string();
                assert!(
                    error.contains("Git LFS") && error.contains("lfs"),
                    "{error}"
                );
            },
        );
    }

    #[test]
    fn text_has_no_mark_in_front_and_no_other_encoding() {
        with_file("bom", b"\xef\xbb\xbfyes", |path| {
            assert_eq!(read_text(path, Limit(9)).unwrap(), "yes");
        });
        with_file("latin", b"caf\xe9", |path| {
            let error = read_text(path, Limit(9)).unwrap_err().to_string();
            assert!(error.contains("byte 3"), "{error}");
        });
    }
}
