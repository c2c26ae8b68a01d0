//! Robots: the studio's own WebSocket dialect, one connection per robot.
//!
//! - [`bridge`]: the connection from hello to goodbye

mod bridge;

pub(crate) use bridge::bridge;
