//! Videos for the progress scorer, and what is written of its curves.
//!
//! - [`Kept`]: the frames of a video that a profile can show, squeezed as they come in, and how many there were
//! - [`stills`]: frames from a folder of images
//! - [`video`]: frames from a video file, decoded by the system's ffmpeg as a child process
//! - [`progress`]: a curve for every frame of a data set, in the file that LeRobot's trainer reads

mod kept;
pub mod progress;
pub mod stills;
pub mod video;

pub use kept::{Keeper, Kept};

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
    /// A parquet file that cannot be written.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: parquet::errors::ParquetError,
    },
}
