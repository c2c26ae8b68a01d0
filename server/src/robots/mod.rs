//! Robots: the studio's own WebSocket dialect, one connection per robot.
//!
//! - [`bridge`]: the connection from hello to goodbye
//! - [`views`]: camera views for people

mod bridge;
pub(crate) mod views;

pub(crate) use bridge::bridge;
