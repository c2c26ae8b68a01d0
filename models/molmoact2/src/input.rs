//! Inputs of the network: instructions, prompts, token ids and image patches.

pub(crate) mod chat;
pub mod images;
pub mod instruction;
pub(crate) mod preprocessing;
pub mod prompt;
mod template;
pub(crate) mod tokenizer;
