//! Text answers to questions about images, and the points and boxes in them.

pub(crate) mod generate;
pub mod grounding;
pub(crate) mod reply;
mod sampling;
pub(crate) mod vlm;
