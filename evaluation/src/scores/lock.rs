//! A folder that one run at a time writes into.

use super::ScoringError;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::ErrorKind,
    path::Path,
};

/// Its name begins with a dot: it is no data.
const NAME: &str = ".policy-studio.lock";

/// The right to write into a folder. The operating system takes it back when the process ends, however it ends; the file
/// that it is tied to stays, and means nothing by itself.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the right, at once or not at all. The folder is made if it is not there.
    ///
    /// # Errors
    /// [`ScoringError::Busy`] while another run has it, [`ScoringError::Io`].
    pub fn take(folder: &Path) -> Result<Self, ScoringError> {
        std::fs::create_dir_all(folder).map_err(|source| ScoringError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let path = folder.join(NAME);
        let io = |source| ScoringError::Io {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ScoringError::Busy {
                path: folder.to_owned(),
            }),
            // Some network drives have no locks; nobody is kept from working there.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                Ok(Self { _file: file })
            }
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_second_run_is_refused_until_the_first_is_over() {
        let folder = std::env::temp_dir().join(format!("lock-{}", std::process::id()));
        let first = FolderLock::take(&folder).unwrap();
        let second = FolderLock::take(&folder).unwrap_err();
        assert!(second.to_string().contains("another run"), "{second}");
        drop(first);
        FolderLock::take(&folder).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
