//! Robots: the studio's own WebSocket dialect, one connection per robot.
//!
//! - [`bridge`]: the connection from hello to goodbye
//! - [`budget`]: the bytes that one robot's pictures may take
//! - [`views`] and [`showing`]: camera views for people, and when they are made ready

mod bridge;
pub(crate) mod budget;
pub(crate) mod showing;
pub(crate) mod views;

pub(crate) use bridge::bridge;
