//! Answers in words, and the points and boxes in them.

pub(crate) mod generate;
pub mod grounding;
mod sampling;
pub(crate) mod vlm;
