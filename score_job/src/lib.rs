//! One job of scoring: a request and its frames in, events out.
//!
//! The studio and the browser's worker are asked in the same words ([`protocol::score`]) and must answer alike, so what
//! they do is here once. They differ in where frames come from, where events go and who waits for whom:
//!
//! - [`ClipJob`]: a whole video. It says which frames it needs, takes them in any order and is then scored.
//! - [`watch`]: a robot that is being watched. Every frame is a point; the controls come when it is over.
//!
//! Every event is awaited, so that a browser's event loop can run in between and a studio can see that nobody listens
//! any more; whoever takes events can end the job with one. Nothing here knows a socket or a thread.

mod clip_job;
mod error;
mod events;
mod frames;
mod watching;

pub use clip_job::ClipJob;
pub use error::JobError;
pub use watching::{Next, watch};

/// Longest sentence that is asked about (bytes); far more than any instruction, far less than would fill a cache.
pub const MAX_SENTENCE_BYTES: usize = 4_000;
/// Longest side of a frame (pixels).
pub const MAX_SIDE: u32 = 8_192;
/// Most prefixes times frames shown of the whole video: far more than any model reads, and planned in an instant.
pub const MAX_LOOKS: usize = 1 << 24;
/// Longest video in frames: nine hours at 30 per second.
pub const MAX_FRAMES: u32 = 1 << 20;
