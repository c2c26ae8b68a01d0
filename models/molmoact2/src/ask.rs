//! Answers in words, and the points and boxes in them.

pub(crate) mod generate;
pub mod marks;
mod pick;
pub(crate) mod vlm;
