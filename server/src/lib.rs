//! Server of Policy Studio: it hosts a robot policy, connects robots to it, and shows people why a robot moved.
//!
//! One listening socket serves everything. [`serve`] takes the socket, the policy and the signal to stop, so that the
//! binary, the tests and other programs start a studio in the same way. From the network inwards:
//!
//! - `listener`: accepts connections within a limit; `socket`: a WebSocket with limits on size and rate
//! - `connection_io`: reading and writing half of every connection: deadline of the hello, pings, silence, refusals
//! - `robots` and `viewers`: one connection of a robot or a viewer; `handshake`: beginning and end of both
//! - [`queues`]: messages for a robot or a viewer, jobs for the policy or a model; bounded by construction
//! - [`images`]: camera images, decoded for the policy and encoded for viewers
//! - `robot_id`: id of a robot, derived from its name, for addresses and file names
//! - `sessions`: rules of each robot: when it gets chunks, and the effects of instructions, stops and success
//! - `inference`: the thread that owns the policy
//! - `scene_questions`: questions about a robot's camera images, answered on a separate thread
//! - [`scorer_service`]: the hosted progress scorer, its files and its thread
//! - [`recordings`]: recorded episodes and their videos, for pages; `byte_ranges`: parts of large files
//! - [`http`]: routes, the page inside the binary, health and metrics
//! - [`data`]: the data folder: latched stops and the record of commands, which survive a restart
//! - `health`: parts of the studio that do not respond, for `/healthz`, viewers and the log
//! - `peer_log`: log lines that peers cause, rationed by `peer_address`
//! - [`signals`]: signals that stop and end the program
//! - [`sim_robot`]: the built-in robot, a client like any other
//! - [`client`]: a viewer as a program
//!
//! An observation flows `robots` -> `sessions` -> `inference` (the newest replaces older ones, robots take turns) and comes
//! back as a chunk through `sessions` into the robot's mailbox. Data for viewers branches off in `sessions` and never flows
//! back. There is no global state, every queue is bounded, and no lock is held across an await.

mod byte_ranges;
pub mod client;
mod connection_io;
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

pub use limits::Limits;
pub use studio::{Config, ServeError, serve};

/// Version of the studio, which welcomes contain.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
