//! Viewers: pages and programs that watch and command. Lossy, newest wins, never in a robot's way.
//!
//! - [`bridge`]: one viewer's connection
//! - [`outbox`]: what waits for it, bounded in bytes; `outgoing`: the same as frames, with heartbeats between
//! - `beats`: when each heartbeat was sent, and by that what comes too late

mod beats;
mod bridge;
pub(crate) mod outbox;
mod outgoing;

pub(crate) use bridge::bridge;
