//! Heads: from what the language model has read to a chunk of actions or a depth map.

pub(crate) mod continuation;
pub mod depth;
pub(crate) mod flow;
pub(crate) mod noise;
pub(crate) mod token_head;
