//! The data folder: what a studio keeps between two runs.
//!
//! - `latches`: stops, one file per latched robot in `stops/`
//! - `events`: commands, stops and releases with who gave them, in `events.jsonl`
//!
//! Everything is written by one thread per file kind, so that a slow disk never delays a stop on its way to a robot.

pub(crate) mod events;
pub(crate) mod latches;

use std::path::{Path, PathBuf};

/// A data folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The platform names no folder for a program's data.
    #[error("this account has no folder for the data of programs; name one with --data DIR")]
    NoDefault,
    /// It cannot be made, read or written.
    #[error("the data folder {}: cannot {action} {}: {error}; give another with --data DIR", folder.display(), path.display())]
    Io {
        /// The data folder.
        folder: PathBuf,
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// No thread.
    #[error("cannot start a thread for the data folder: {0}")]
    Thread(std::io::Error),
}

/// The data folder of this account, as the platform has it: for example `~/.local/share/policy-studio`.
///
/// # Errors
/// [`DataError::NoDefault`] where the platform names none.
pub fn default_folder() -> Result<PathBuf, DataError> {
    dirs::data_dir()
        .map(|folder| folder.join("policy-studio"))
        .ok_or(DataError::NoDefault)
}

/// Makes the folder and tries whether it can be written.
///
/// # Errors
/// [`DataError::Io`] naming the folder and what cannot be done in it.
pub fn open(folder: &Path) -> Result<(), DataError> {
    let failed = |action, path: &Path| {
        let (folder, path) = (folder.to_owned(), path.to_owned());
        move |error| DataError::Io {
            folder,
            action,
            path,
            error,
        }
    };
    std::fs::create_dir_all(folder).map_err(failed("make", folder))?;
    // Several studios may try at the same time.
    let trial = folder.join(format!(".trial-{}", std::process::id()));
    std::fs::write(&trial, b"").map_err(failed("write", &trial))?;
    std::fs::remove_file(&trial).map_err(failed("remove", &trial))
}
