//! Policy Studio's server: hosts a robot policy, bridges robots to it, shows people why the robot moved.
//!
//! One listening socket serves everything; [`serve`] is handed the socket, the policy and the signal to stop,
//! so that the binary, the tests and other programs start it the same way. From the wire inwards:
//!
//! - `health`: which part of the studio does not answer, for `/healthz`, viewers and the log
//! - `listener`: accepts connections and keeps room for the next; `socket`: a WebSocket and what may come over it when
//! - `wire`: what all WebSockets share (first message in time, pings, silence, refusals in words)
//! - `robots`: a robot's connection; its orders wait in [`mailbox`], one slot per kind, stop first
//! - `viewers`: a page's connection; what waits for it is bounded in bytes and loses the oldest pictures
//! - `sessions`: the rules of each robot: when it gets chunks, what a command, a stop, a success change
//! - [`chunking`]: how the next chunk of a robot meets the one that is running
//! - [`data`]: the data folder: latched stops and the record of commands, which survive a restart
//! - `scene`: questions about what a robot sees, answered on a thread of their own
//! - [`scorer`]: the hosted progress scorer, its files and its thread
//! - [`policies`]: the policy behind a trait, its thread, and which device it may run on
//! - [`web`]: routes, the page inside the binary, health and metrics
//! - [`signals`]: what asks a program to stop, and ends it
//! - [`sim_robot`]: the built-in robot, a client like any other
//! - [`evaluation`], [`bench`]: success rates and speeds, for the command line
//! - [`npy`], [`episodes`]: recorded actions, read from NumPy files and LeRobot data sets
//! - [`pictures`]: picture files, decoded within bounds
//! - [`scoring`]: videos for the progress scorer, and the file of its curves
//! - [`recordings`]: recorded episodes and their videos, for pages
//! - [`client`]: a viewer as a program
//!
//! An observation flows `robots` -> `sessions` -> `policies` (newest wins, robots in turn) and comes back as a
//! chunk through `sessions` into the mailbox; everything for viewers branches off in `sessions` and never
//! flows back. Nothing is global, every queue is bounded, no lock is held across an await.

mod byte_ranges;
pub mod client;
pub mod data;
mod health;
pub mod images;
mod inference;
mod limits;
mod listener;
mod metrics;
mod panics;
mod peer_log;
pub mod queues;
pub mod recordings;
mod robots;
mod scene;
pub mod scorer;
mod sessions;
pub mod signals;
pub mod sim_robot;
mod socket;
mod studio;
mod viewers;
pub mod web;
mod wire;

pub use limits::Limits;
pub use studio::{Config, ServeError, serve};

/// The studio's version, as robots and viewers are told.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
