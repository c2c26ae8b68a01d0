//! What a file is that is not what its name says.

use std::{
    fmt,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
};

/// Why a file cannot be read, as far as its first and last bytes tell: what happened to it, not where a parser stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The three lines that Git LFS leaves in place of a large file.
    LfsPointer,
    /// A file of 0 bytes.
    Empty,
    /// A parquet file without its end.
    Unfinished,
    /// JSON that ends in the middle.
    CutShort,
    /// Zeros alone: space that was set aside and never written.
    Zeros,
    /// What macOS keeps beside a file on a disk of another system.
    Sidecar,
    /// A web page, such as a server's refusal.
    WebPage,
    /// Text in UTF-16.
    Utf16,
}

impl Cause {
    /// What a file is instead of parquet.
    pub(super) fn of_parquet(file: &mut File, bytes: u64) -> Option<Self> {
        let mut first = Vec::new();
        file.take(512).read_to_end(&mut first).ok()?;
        Self::of_first(&first).or_else(|| {
            let mut last = [0; 4];
            file.seek(SeekFrom::Start(bytes.saturating_sub(4))).ok()?;
            file.read_exact(&mut last).ok()?;
            (first.starts_with(b"PAR1") && &last != b"PAR1").then_some(Self::Unfinished)
        })
    }

    /// What a file is that begins like this, if its first bytes tell.
    pub(crate) fn of_first(first: &[u8]) -> Option<Self> {
        let text = first.trim_ascii_start();
        let begins = |word: &[u8]| {
            text.get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        if first.is_empty() {
            Some(Self::Empty)
        } else if first.starts_with(b"version https://git-lfs.github.com/spec/") {
            Some(Self::LfsPointer)
        } else if first.starts_with(&[0, 5, 0x16, 7]) {
            Some(Self::Sidecar)
        } else if first.iter().all(|byte| *byte == 0) {
            Some(Self::Zeros)
        } else if begins(b"<!doctype html") || begins(b"<html") || begins(b"<?xml") {
            Some(Self::WebPage)
        } else if first.starts_with(&[0xFF, 0xFE]) || first.starts_with(&[0xFE, 0xFF]) {
            Some(Self::Utf16)
        } else {
            None
        }
    }

    /// Whether one such file means that the whole folder is in this state, and is mended as a whole.
    #[must_use]
    pub fn is_of_the_whole_folder(self) -> bool {
        self == Self::LfsPointer
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LfsPointer => {
                "is a Git LFS pointer, not the file that it stands for: its folder was cloned without Git LFS; run \
                 `git lfs install` and `git lfs pull` there, or download it again"
            }
            Self::Empty => {
                "is empty (0 bytes): it was never finished, as after an interrupted recording, copy or download; fetch \
                 it again, or remove it"
            }
            Self::Unfinished => {
                "was never finished, as after an interrupted recording, copy or download: its end (the parquet footer) \
                 is missing; fetch it again, or remove it"
            }
            Self::CutShort => {
                "was never finished, as after an interrupted recording, copy or download: it ends in the middle; fetch \
                 it again"
            }
            Self::Zeros => {
                "holds nothing but zeros, as after a power failure while it was written; fetch it again, or remove it"
            }
            Self::Sidecar => {
                "is a macOS sidecar (AppleDouble), not the file that it was kept beside; remove it"
            }
            Self::WebPage => {
                "is a web page: the download was answered with a page instead of the file; fetch it again"
            }
            Self::Utf16 => "is text in UTF-16; save it as UTF-8",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_what_a_file_is() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
        for (bytes, cause) in [
            (&b""[..], Some(Cause::Empty)),
            (pointer, Some(Cause::LfsPointer)),
            (&[0, 5, 0x16, 7, 0, 2], Some(Cause::Sidecar)),
            (&[0; 9], Some(Cause::Zeros)),
            (b"\n<!DOCTYPE HTML><html>", Some(Cause::WebPage)),
            (b"\xFF\xFE{\0", Some(Cause::Utf16)),
            (b"PAR1", None),
            (b"{\"fps\": 30}", None),
        ] {
            assert_eq!(Cause::of_first(bytes), cause, "{bytes:?}");
        }
    }
}
