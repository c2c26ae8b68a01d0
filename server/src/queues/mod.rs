//! Queues, each bounded by construction.
//!
//! - [`mailbox`]: messages to one robot, one slot per kind, stops first
//! - `outbox`: messages to one viewer, bounded in bytes; the oldest lossy one is dropped first
//! - `latest`: the newest item of each robot, taken in turn
//! - `fifo`: requests of all viewers to one model, first come, first served

pub(crate) mod fifo;
pub(crate) mod latest;
pub mod mailbox;
pub(crate) mod outbox;
