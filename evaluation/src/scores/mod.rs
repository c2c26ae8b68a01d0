//! Videos for the progress scorer, and what is written of its curves.
//!
//! - [`Kept`]: the frames of a video that a profile can show, squeezed as they come in, and how many there were
//! - [`stills`]: frames from a folder of images, in the order of counting
//! - [`video`]: frames from a video file, decoded by the system's ffmpeg as a child process
//! - [`probe`]: what ffprobe says of a video file
//! - [`tools`]: which ffmpeg and ffprobe there are, and what they can do
//! - [`trial`]: the same, found out by reading small clips
//! - [`child`]: a program whose output is read within limits
//! - [`footage`]: frames of an episode of a data set, whichever way it keeps them
//! - [`progress`]: a curve for every frame of a data set, in the file that LeRobot's trainer reads
//! - [`picture`]: a score as a picture
//! - [`Journal`]: one line per finished episode, so that an interrupted run goes on where it was
//! - [`FolderLock`]: one run at a time writes into a folder
//! - [`Store`]: everything that is kept of a data set's scores
//! - [`Summary`]: what they come to
//! - [`export`]: weights and values for training

pub mod child;
mod complaint;
mod container;
pub mod export;
mod file;
mod finished;
pub mod footage;
mod journal;
mod kept;
mod lock;
mod order;
mod pace;
pub mod picture;
mod ppm;
pub mod probe;
pub mod progress;
mod still;
pub mod stills;
mod store;
mod summary;
pub mod tools;
pub mod trial;
pub mod video;

pub use finished::Finished;
pub use journal::Journal;
pub use kept::{KeepError, Keeper, Kept};
pub use lock::FolderLock;
pub use store::{RunSetting, Store};
pub use summary::{Failure, Summary};

use std::{io, path::PathBuf, process::ExitStatus};

/// A video has no more frames: ten hours at 30 per second.
pub const MOST_FRAMES: usize = 30 * 36_000;

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
    #[error("{}: no PNG or JPEG images in it ({has})", path.display())]
    NoImages {
        /// Which.
        path: PathBuf,
        /// What is in it.
        has: String,
    },
    /// Something else in the place of a video or an image.
    #[error("{} {foreign}", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// What it is.
        foreign: field_files::Foreign,
    },
    /// A folder in the place of a video.
    #[error("{}: it is a folder, not a video; a folder of images is scored with --frames", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// A file that cannot be read whole.
    #[error(transparent)]
    Unreadable(#[from] field_files::ReadError),
    /// An image that cannot be read or decoded.
    #[error(transparent)]
    Image(#[from] datasets::images::PictureError),
    /// An image that does not belong to those before it, or cannot be kept.
    #[error("{}: {reason}", path.display())]
    Misfit {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// There is no decoder.
    #[error(
        "{program} is not installed, and videos are decoded with it; install it (Debian, Ubuntu: apt install ffmpeg; \
         macOS: brew install ffmpeg; Windows: winget install ffmpeg) and see that it is on the PATH"
    )]
    NoDecoder {
        /// Which program.
        program: &'static str,
    },
    /// A program could not be started, hangs, or is not what its name says.
    #[error("{}: {reason}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The decoder failed.
    #[error("{}: {said} ({program} ended with {status})", path.display())]
    Decoder {
        /// The video.
        path: PathBuf,
        /// Which program.
        program: &'static str,
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
    /// A file in which nothing is to be seen.
    #[error("{}: no stream of pictures in it, but {has}", path.display())]
    NoPictures {
        /// The file.
        path: PathBuf,
        /// What is in it.
        has: String,
    },
    /// A video that does not say how fast it is.
    #[error("{}: it does not say its frame rate, and its frames have no time stamps", path.display())]
    NoRate {
        /// The video.
        path: PathBuf,
    },
    /// A video without an end.
    #[error("{}: it has more than {} frames, which are not read; cut it into parts", path.display(), MOST_FRAMES)]
    TooManyFrames {
        /// The video.
        path: PathBuf,
    },
    /// A section of a video with fewer frames than it should have.
    #[error(
        "{}: {want} frames should follow from {from_secs:.3} s on, but there are {got}; {}",
        path.display(),
        cut.as_deref().unwrap_or("the data set's metadata and this file do not belong together")
    )]
    TooShort {
        /// The video.
        path: PathBuf,
        /// Where the section begins (s).
        from_secs: f64,
        /// Frames that there should be.
        want: usize,
        /// Frames that there are.
        got: usize,
        /// A sentence about the missing end of the file, if it was cut short.
        cut: Option<String>,
    },
    /// A folder that is being written into.
    #[error(
        "{}: another run is writing into this folder; wait until it is done, or name another folder with --out",
        path.display()
    )]
    Busy {
        /// The folder.
        path: PathBuf,
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
    /// A file of an earlier run that cannot be read.
    #[error("{0} (it is of an earlier run; name another folder with --out, or remove its folder)")]
    Earlier(#[source] field_files::ReadError),
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
}
