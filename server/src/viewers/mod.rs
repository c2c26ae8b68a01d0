//! Viewers: pages and programs that watch and command. Their messages are lossy, the newest replaces older ones, and they
//! never delay a robot.
//!
//! - `bridge`: the connection of one viewer
//! - `heartbeats`: send times of heartbeats, from which late commands and absent viewers are recognized
//! - `outgoing`: frames to the viewer
//! - `presses`: stop presses that wait for their answer

mod bridge;
mod heartbeats;
mod outgoing;
mod presses;

pub(crate) use bridge::bridge;
