//! A file that is to be a video, looked at before a decoder is asked.

use super::ScoringError;
use field_files::Foreign;
use std::{
    collections::BTreeSet,
    io::Read as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// How much of a file's beginning is looked at (bytes).
const BEGINNING: u64 = 1024;
/// Sentences that are remembered as said.
const MOST_SAID: usize = 256;

/// An error for a file that is not there, is no file (a folder, a device, a pipe), or has something else in its place.
pub(super) fn check(path: &Path) -> Result<(), ScoringError> {
    let foreign = |foreign| ScoringError::Foreign {
        path: path.to_owned(),
        foreign,
    };
    let io = |source| match Foreign::broken_link(path) {
        Some(link) => foreign(link),
        None => ScoringError::Io {
            path: path.to_owned(),
            source,
        },
    };
    let about = std::fs::metadata(path).map_err(io)?;
    if about.is_dir() {
        return Err(ScoringError::NotAFile {
            path: path.to_owned(),
        });
    }
    let (file, _) = field_files::open(path)?;
    let mut beginning = Vec::new();
    file.take(BEGINNING)
        .read_to_end(&mut beginning)
        .map_err(io)?;
    Foreign::instead(&beginning, about.len()).map_or(Ok(()), |found| Err(foreign(found)))
}

/// Says a sentence on standard error, once.
pub(super) fn warn(words: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.len() < MOST_SAID && said.insert(words.to_owned()) {
        tracing::warn!("{words}");
    }
}
