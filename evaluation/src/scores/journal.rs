//! A file of JSON lines that only grows.

use super::ScoringError;
use field_files::{Limit, read_any, write_whole};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// One JSON object per line. A line is written whole and to the disk before the next is begun.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens a journal and reads what is in it. A last line that was cut off, as by a power failure, is removed.
    ///
    /// # Errors
    /// [`ScoringError::BadResult`] for any other line that cannot be read, [`ScoringError::Earlier`] for a file that cannot
    /// be read, or is larger than one of all episodes of a data set, [`ScoringError::Io`].
    pub fn open<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>), ScoringError> {
        let io = |source| ScoringError::Io {
            path: path.to_owned(),
            source,
        };
        // A data set may come from anybody, and results lie in it by default: nothing is written through its links.
        if path.is_symlink() {
            return Err(ScoringError::BadResult {
                path: path.to_owned(),
                reason: "is a link, and results are not written through links; remove it"
                    .to_owned(),
            });
        }
        let text = match read_any(path, Limit::RESULTS) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => return Err(ScoringError::Earlier(error)),
        };
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let mut entries = Vec::new();
        for (index, line) in text
            .get(..whole)
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
            .enumerate()
        {
            if line.trim_ascii().is_empty() {
                continue;
            }
            entries.push(serde_json::from_slice(line).map_err(|error| {
                ScoringError::BadResult {
                    path: path.to_owned(),
                    reason: format!("line {}: {error}", index + 1),
                }
            })?);
        }
        let file = append_to(path).map_err(io)?;
        if whole < text.len() {
            file.set_len(whole as u64).map_err(io)?;
        }
        let journal = Self {
            path: path.to_owned(),
            file,
        };
        Ok((journal, entries))
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`ScoringError::BadResult`] for what JSON cannot hold, [`ScoringError::Io`].
    pub fn add(&mut self, entry: &impl Serialize) -> Result<(), ScoringError> {
        let line = self.line(entry)?;
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| self.io(source))
    }

    /// Puts these lines in place of all there are.
    ///
    /// # Errors
    /// As [`Journal::add`]; the lines are those of before then.
    pub fn rewrite<'a, T: Serialize + 'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a T>,
    ) -> Result<(), ScoringError> {
        let mut text = Vec::new();
        for entry in entries {
            text.extend(self.line(entry)?);
        }
        write_whole(&self.path, |file| file.write_all(&text)).map_err(|source| self.io(source))?;
        self.file = append_to(&self.path).map_err(|source| self.io(source))?;
        Ok(())
    }

    fn line(&self, entry: &impl Serialize) -> Result<Vec<u8>, ScoringError> {
        let mut line = serde_json::to_vec(entry).map_err(|error| ScoringError::BadResult {
            path: self.path.clone(),
            reason: error.to_string(),
        })?;
        line.push(b'\n');
        Ok(line)
    }

    fn io(&self, source: io::Error) -> ScoringError {
        ScoringError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_is_removed_and_no_other() {
        let path = std::env::temp_dir().join(format!("journal-{}", std::process::id()));
        std::fs::remove_file(&path).ok();
        let (mut journal, none) = Journal::open::<u32>(&path).unwrap();
        assert!(none.is_empty());
        journal.add(&7).unwrap();
        journal.add(&8).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"9"].concat()).unwrap();
        let (mut journal, read) = Journal::open::<u32>(&path).unwrap();
        assert_eq!(read, [7, 8]);
        journal.add(&10).unwrap();
        drop(journal);
        let (mut journal, read) = Journal::open::<u32>(&path).unwrap();
        assert_eq!(read, [7, 8, 10]);
        journal.rewrite(&[7, 10]).unwrap();
        journal.add(&11).unwrap();
        assert_eq!(Journal::open::<u32>(&path).unwrap().1, [7, 10, 11]);
        std::fs::write(&path, "7\nseven\n8\n").unwrap();
        let error = Journal::open::<u32>(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_journal_that_no_data_set_fills_is_not_read() {
        let path = std::env::temp_dir().join(format!("journal-large-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        file.set_len(Limit::RESULTS.0 + 1).unwrap();
        let error = Journal::open::<u32>(&path).unwrap_err().to_string();
        assert!(
            error.contains("at most") && error.contains("--out"),
            "{error}"
        );
        file.set_len(0).unwrap();
        assert!(Journal::open::<u32>(&path).unwrap().1.is_empty());
        std::fs::remove_file(&path).unwrap();
    }
}
