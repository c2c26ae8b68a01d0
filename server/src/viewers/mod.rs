//! Viewers: pages and programs that watch and command. Lossy, newest wins, never in a robot's way.
//!
//! - [`bridge`]: one viewer's connection
//! - `beats`: when each heartbeat was sent, and by that what comes too late and which viewer is still there
//! - `presses`: stop presses that wait for their answer

mod beats;
mod bridge;
mod outgoing;
mod presses;

pub(crate) use bridge::bridge;
