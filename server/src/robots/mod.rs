//! Robots: the studio's own WebSocket dialect, one connection per robot.
//!
//! - `bridge`: the connection from hello to close
//! - `outgoing`: frames to the robot

mod bridge;
mod outgoing;

pub(crate) use bridge::bridge;
