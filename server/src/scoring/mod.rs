//! Videos for the progress scorer, and what is written of its curves.
//!
//! - [`Kept`]: the frames of a video that a profile can show, squeezed as they come in, and how many there were
//! - [`stills`]: frames from a folder of images
//! - [`video`]: frames from a video file, decoded by the system's ffmpeg as a child process
//! - [`footage`]: frames of an episode of a data set, whichever way it keeps them
//! - [`progress`]: a curve for every frame of a data set, in the file that LeRobot's trainer reads
//! - [`picture`]: a score as a picture
//! - [`Journal`]: one line per finished episode, so that an interrupted run goes on where it was
//! - [`Store`]: everything that is kept of a data set's scores
//! - [`Summary`]: what they come to
//! - [`export`]: weights and values for training

pub mod export;
pub mod footage;
mod journal;
mod kept;
pub mod picture;
pub mod progress;
pub mod stills;
mod store;
mod summary;
pub mod video;

pub use journal::Journal;
pub use kept::{Keeper, Kept};
pub use store::{Finished, RunSetting, Store};
pub use summary::{Failure, Summary};

use std::{io, path::PathBuf, process::ExitStatus};

/// Why a video could not be read, or a curve not be written.
#[derive(Debug, thiserror::Error)]
pub enum ScoringError {
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A folder without images.
    #[error("{}: no PNG or JPEG images in it", path.display())]
    NoImages {
        /// Which.
        path: PathBuf,
    },
    /// An image that cannot be decoded, or has another size than the first.
    #[error("{}: {reason}", path.display())]
    Image {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// There is no decoder.
    #[error(
        "{program} is not installed, and videos are decoded with it; install it (Debian, Ubuntu: apt install ffmpeg; \
         macOS: brew install ffmpeg; Windows: winget install ffmpeg), or write the frames to a folder and give \
         --frames DIR"
    )]
    NoDecoder {
        /// Which program.
        program: &'static str,
    },
    /// The decoder failed.
    #[error("{}: ffmpeg {status}: {said}", path.display())]
    Decoder {
        /// The video.
        path: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// The decoder wrote something else than pictures.
    #[error("{}: what ffmpeg wrote is not a picture: {reason}", path.display())]
    Stream {
        /// The video.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A video without frames.
    #[error("{}: no frames in it", path.display())]
    NoFrames {
        /// The video.
        path: PathBuf,
    },
    /// A section of a video with fewer frames than it should have.
    #[error(
        "{}: {want} frames should follow from {from_secs:.3} s on, but there are {got}; the data set's metadata and this \
         file do not belong together", path.display()
    )]
    TooShort {
        /// The video.
        path: PathBuf,
        /// Where the section begins [s].
        from_secs: f64,
        /// Frames that there should be.
        want: usize,
        /// Frames that there are.
        got: usize,
    },
    /// A folder with results of something else.
    #[error(
        "{}: the results in this folder were made with {key} {theirs}, this run has {ours}; name another folder with \
         --out, or remove this one", path.display()
    )]
    OtherSetting {
        /// The folder.
        path: PathBuf,
        /// What differs.
        key: String,
        /// What it was.
        theirs: String,
        /// What it is.
        ours: String,
    },
    /// A file of results that cannot be used.
    #[error("{}: {reason}", path.display())]
    BadResult {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What is made of the scores.
    #[error(transparent)]
    Method(#[from] topreward::Error),
    /// A parquet file that cannot be written.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: parquet::errors::ParquetError,
    },
}
