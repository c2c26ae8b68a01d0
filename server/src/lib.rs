//! Policy Studio's server: hosts a robot policy, bridges robots to it, shows people why the robot moved.
//!
//! One listening socket serves everything; [`serve`] is handed the socket, the policy and the signal to stop,
//! so that the binary, the tests and other programs start it the same way. From the wire inwards:
//!
//! - `listener`: accepts connections and keeps room for the next; `socket`: a WebSocket and what may come over it when
//! - `connection_io`: what all WebSockets share (first message in time, pings, silence, refusals in words)
//! - `robots` and `viewers`: one connection of a robot, one of a page; `handshake`: how both begin and end
//! - [`queues`]: what waits for a robot, a viewer, the policy or a model; each bounded by construction
//! - [`images`]: camera views, from bytes to pixels and to what people are shown
//! - `robot_id`: a robot's name as it stands in addresses and in the names of files
//! - `sessions`: the rules of each robot: when it gets chunks, what an instruction, a stop, a success change
//! - `inference`: the thread that owns the policy
//! - `scene_questions`: questions about what a robot sees, answered on a thread of their own
//! - [`scorer_service`]: the hosted progress scorer, its files and its thread
//! - [`recordings`]: recorded episodes and their videos, for pages; `byte_ranges`: parts of large files
//! - [`http`]: routes, the page inside the binary, health and metrics
//! - [`data`]: the data folder: latched stops and the record of commands, which survive a restart
//! - `health`: which part of the studio does not answer, for `/healthz`, viewers and the log
//! - `peer_log`: lines of the log that peers cause, rationed by `peer_address`
//! - [`signals`]: what asks a program to stop, and ends it
//! - [`sim_robot`]: the built-in robot, a client like any other
//! - [`client`]: a viewer as a program
//!
//! An observation flows `robots` -> `sessions` -> `inference` (newest wins, robots in turn) and comes back as a
//! chunk through `sessions` into the robot's mailbox; everything for viewers branches off in `sessions` and never
//! flows back. Nothing is global, every queue is bounded, no lock is held across an await.

mod byte_ranges;
pub mod client;
pub mod data;
mod handshake;
mod health;
pub mod http;
pub mod images;
mod inference;
mod limits;
mod listener;
mod metrics;
mod panics;
mod peer_address;
mod peer_log;
pub mod queues;
mod quota;
pub mod recordings;
mod robot_id;
mod robots;
mod scene_questions;
pub mod scorer_service;
mod sessions;
pub mod signals;
pub mod sim_robot;
mod socket;
mod studio;
mod viewers;
mod connection_io;

pub use limits::Limits;
pub use studio::{Config, ServeError, serve};

/// The studio's version, as robots and viewers are told.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
