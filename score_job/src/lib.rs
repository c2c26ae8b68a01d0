//! A scoring job: a request and its frames in, events out.
//!
//! The studio and the browser's worker receive the same requests ([`protocol::score`]) and must return the same
//! results, so they share this crate. They differ only in how frames arrive and where events go.
//!
//! - [`ClipJob`]: a complete video. It lists the frames that it needs, takes them in any order and is then scored.
//! - [`watch`]: a live robot. Every frame is a point of the curve; the controls are computed at the end.
//!
//! Every event is awaited, so that a browser's event loop can run in between and the studio can notice a closed
//! connection. The receiver of an event can stop the job. The crate uses no sockets and no threads.

mod clip_job;
mod error;
mod events;
mod frames;
mod watching;

pub use clip_job::ClipJob;
pub use error::JobError;
pub use watching::{Next, watch};

/// Maximum length of an instruction (bytes): far more than any needs, far less than would fill a cache.
pub const MAX_SENTENCE_BYTES: usize = 4_000;
/// Maximum side of a frame (pixels).
pub const MAX_SIDE: u32 = 8_192;
/// Maximum product of the prefixes and the frames read of the complete video: far more than any model reads, and quick
/// to plan.
pub const MAX_LOOKS: usize = 1 << 24;
/// Maximum length of a video (frames): nine hours at 30 frames per second.
pub const MAX_FRAMES: u32 = 1 << 20;
