//! Errors of reading a data set.

use field_files::{Foreign, ReadError};
use std::{io, path::PathBuf};

/// A data set could not be read. Each message includes its cause, so no error has a `source`.
#[derive(Debug, thiserror::Error)]
pub enum DataSetError {
    /// A file is missing or unreadable, is not what its name says, or is not the expected JSON.
    #[error(transparent)]
    File(#[from] ReadError),
    /// A folder cannot be listed.
    #[error("cannot read {}: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Error of the file system.
        cause: io::Error,
    },
    /// The folder is not a data set.
    #[error("{} is no LeRobot data set: there is no meta/info.json in it", .0.display())]
    NotADataSet(PathBuf),
    /// A JSON file that is not an object.
    #[error("{} is not a JSON object", .0.display())]
    NoObject(PathBuf),
    /// A file that would take more memory than its size on disk accounts for.
    #[error("{} {problem}; a file of a recording has no need of that, so it is not read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Quantity that is too large, and its limit.
        problem: String,
    },
    /// An unknown layout.
    #[error("{} has the layout {version:?}; v2.0, v2.1 and v3.0 can be read", path.display())]
    Version {
        /// The data set.
        path: PathBuf,
        /// `codebase_version` of `meta/info.json`.
        version: String,
    },
    /// The folder holds no parquet files.
    #[error("there is no .parquet file under {}", .0.display())]
    NoFiles(PathBuf),
    /// A parquet file is broken, or compressed in a way that is not supported.
    #[error("{}: {reason}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Cause, for the reader of the message.
        reason: String,
    },
    /// A column is missing.
    #[error("{} has no column {column:?}; it has {}", path.display(), there.join(", "))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The missing column.
        column: String,
        /// Columns of the file.
        there: Vec<String>,
    },
    /// A column does not hold the expected values.
    #[error("{}, column {column:?}: {problem}", path.display())]
    BadColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Fault, for the reader of the message.
        problem: String,
    },
    /// Rows that do not make an episode.
    #[error("episode {episode}: {problem}")]
    BadEpisode {
        /// `episode_index`.
        episode: i64,
        /// Fault, for the reader of the message.
        problem: String,
    },
    /// Statistics that cannot be used.
    #[error("the statistics of {key:?}: {problem}")]
    BadStats {
        /// Column of the vectors.
        key: String,
        /// Fault, for the reader of the message.
        problem: String,
    },
    /// Dimensions that the vectors do not have.
    #[error("{0}")]
    BadDims(String),
    /// A camera is unknown or unsuitable, or must be named.
    #[error("{problem}; the cameras of this data set are {}", there.join(", "))]
    Camera {
        /// Fault, for the reader of the message.
        problem: String,
        /// Cameras of the data set.
        there: Vec<String>,
    },
    /// A data set without images.
    #[error("{} has no cameras: no feature of its meta/info.json is a video or an image", .0.display())]
    NoCameras(PathBuf),
    /// A path template that cannot be filled in.
    #[error("meta/info.json: {key} {problem}")]
    Template {
        /// Key of the template in `meta/info.json`.
        key: &'static str,
        /// Fault, for the reader of the message.
        problem: String,
    },
    /// A path in the metadata that leads out of the data set.
    #[error("{} is outside of the data set", .0.display())]
    Outside(PathBuf),
}

impl DataSetError {
    /// True if the error concerns the whole folder, not one file: a clone without its Git LFS files, which must be
    /// completed as a whole.
    #[must_use]
    pub fn is_of_the_whole_folder(&self) -> bool {
        let Self::File(error) = self else {
            return false;
        };
        matches!(error.instead(), Some(Foreign::GitLfs { .. }))
    }
}
