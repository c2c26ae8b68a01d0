//! Requests of several robots that share their passes through the network. One request is a batch of one.
//!
//! `run.rs` sorts prepared requests into groups, `prefill.rs` reads the prompts of a group and writes its depth maps,
//! and `continuous.rs` or `discrete.rs` runs the head. `model.rs` holds the loaded parts that these functions work
//! with, `prepared.rs` the values that pass between them.

pub(crate) mod continuous;
mod discrete;
pub(crate) mod model;
mod prefill;
pub(crate) mod prepared;
pub(crate) mod run;
