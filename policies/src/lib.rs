//! Policies: from an observation to an action chunk, and on which device.
//!
//! - [`policy`]: the trait that the server knows; tests put a scripted one in its place
//! - [`molmoact2_policy`]: the MolmoAct2 family behind that trait
//! - `options` and `load_error`: how that is loaded, and why it may not load
//! - `nano`: the weights inside the binary
//! - `action_tokenizer`: the action tokenizer that a policy is given
//! - `depth_setup` and `depth_memory`: how it reasons about depth, and what is remembered of each robot for that
//! - [`chunking`]: how the next chunk of a robot meets the one that is running
//! - [`device`] and [`probe`]: which device may be used, found out in a child process
//! - [`question_answerer`]: models that answer questions in words

mod action_tokenizer;
pub mod chunking;
mod depth_memory;
mod depth_setup;
pub mod device;
mod load_error;
pub mod molmoact2_policy;
mod nano;
mod options;
pub mod policy;
pub mod probe;
pub mod question_answerer;

pub use depth_setup::DepthError;
pub use policy::{
    ActRequest, DepthInfo, EventSink, Policy, PolicyError, PolicyEvent, PolicyInfo, PolicyOutput,
    TagInfo, TokenCallback, TokenizerFiles,
};
