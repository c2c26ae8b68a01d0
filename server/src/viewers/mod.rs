//! Viewers: pages and programs that watch and command. Lossy, newest wins, never in a robot's way.
//!
//! - [`bridge`]: one viewer's connection
//! - [`outbox`]: what waits for it, bounded in bytes

mod bridge;
pub(crate) mod outbox;

pub(crate) use bridge::bridge;
