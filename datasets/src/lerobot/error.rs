//! Why a data set could not be used.

use field_files::{Foreign, ReadError};
use std::{io, path::PathBuf};

/// A data set could not be read. Each says what is behind it in its own words, once.
#[derive(Debug, thiserror::Error)]
pub enum DataSetError {
    /// A file is missing or unreadable, something else than its name says, or not the JSON that it should be.
    #[error(transparent)]
    File(#[from] ReadError),
    /// A folder cannot be looked into.
    #[error("cannot read {}: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The folder is no data set.
    #[error("{} is no LeRobot data set: there is no meta/info.json in it", .0.display())]
    NotADataSet(PathBuf),
    /// A file of JSON that describes no data set.
    #[error("{} is no object of names and values", .0.display())]
    NoObject(PathBuf),
    /// A file that would take more memory than such a file has any use for.
    #[error("{} {problem}; a file of a recording has no need of that, so it is not read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is too large, and where the limit is.
        problem: String,
    },
    /// A layout that is not known here.
    #[error("{} has the layout {version:?}; v2.0, v2.1 and v3.0 can be read", path.display())]
    Version {
        /// The data set.
        path: PathBuf,
        /// What info.json says.
        version: String,
    },
    /// There is nothing to read.
    #[error("there is no .parquet file under {}", .0.display())]
    NoFiles(PathBuf),
    /// A parquet file is broken, or packed in a way that cannot be read here.
    #[error("{}: {reason}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A column that is not there.
    #[error("{} has no column {column:?}; it has {}", path.display(), there.join(", "))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column wanted.
        column: String,
        /// The columns there are.
        there: Vec<String>,
    },
    /// A column that does not hold what it should.
    #[error("{}, column {column:?}: {problem}", path.display())]
    BadColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Rows that do not make an episode.
    #[error("episode {episode}: {problem}")]
    BadEpisode {
        /// Its index.
        episode: i64,
        /// What is wrong with it.
        problem: String,
    },
    /// Statistics that cannot be used.
    #[error("the statistics of {key:?}: {problem}")]
    BadStats {
        /// The vector.
        key: String,
        /// What is wrong with them.
        problem: String,
    },
    /// Dimensions that the vectors do not have.
    #[error("{0}")]
    BadDims(String),
    /// A camera that is not there, or a choice that was not made.
    #[error("{problem}; the cameras of this data set are {}", there.join(", "))]
    Camera {
        /// What is wrong.
        problem: String,
        /// The cameras there are.
        there: Vec<String>,
    },
    /// A data set without pictures.
    #[error("{} has no cameras: no feature of its meta/info.json is a video or an image", .0.display())]
    NoCameras(PathBuf),
    /// A path template that cannot be filled in.
    #[error("meta/info.json: {key} {problem}")]
    Template {
        /// Which.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A path of the data set's own that leads out of it.
    #[error("{} is outside of the data set", .0.display())]
    Outside(PathBuf),
}

impl DataSetError {
    /// Whether it is the state of the whole folder rather than of one file, and is mended as a whole: a clone without the
    /// files of Git LFS.
    #[must_use]
    pub fn is_of_the_whole_folder(&self) -> bool {
        let Self::File(error) = self else {
            return false;
        };
        matches!(error.instead(), Some(Foreign::GitLfs { .. }))
    }
}
