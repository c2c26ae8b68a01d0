//! Queues, each bounded by construction.
//!
//! - [`mailbox`]: orders for one robot, one slot per kind, stops first
//! - [`outbox`]: messages for one viewer, bounded in bytes; the oldest lossy one goes first
//! - [`latest`]: one waiting item per robot, the newest, taken in turn
//! - [`fifo`]: requests of all viewers to one model, first come, first served

pub(crate) mod fifo;
pub(crate) mod latest;
pub mod mailbox;
pub(crate) mod outbox;
