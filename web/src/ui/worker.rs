//! The connection to the compute worker.
//!
//! - [`handle`]: the running worker and the listener for its messages
//! - [`requests`]: requests of the page
//! - [`lifecycle`]: starting and restarting it
//! - [`dispatch`]: its messages, each passed to the part of the page that it concerns

pub(super) mod dispatch;
pub(super) mod handle;
pub(super) mod lifecycle;
pub(super) mod requests;
