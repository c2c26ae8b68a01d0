//! Inference: the thread that owns the policy, and the jobs that wait for it.
//!
//! - [`job`]: one observation on its way to a chunk
//! - [`thread`]: the inference thread and the handle that sessions share
//! - [`batch`]: the observations of several robots, answered together
//! - [`decoding`]: decoding of views to pixels, on separate threads

mod batch;
mod decoding;
pub(crate) mod job;
pub(crate) mod thread;
