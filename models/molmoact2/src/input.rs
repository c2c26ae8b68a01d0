//! Inputs of the network: instructions, prompts, token ids and image patches.

pub(crate) mod chat;
pub mod image_input;
pub mod instruction;
pub mod prompt;
pub(crate) mod surroundings;
mod template;
pub(crate) mod words;
