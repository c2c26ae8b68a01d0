//! Policies: from observations to action chunks, and the device that computes them.
//!
//! - [`policy`]: the trait [`Policy`], which tests implement with scripted policies
//! - [`molmoact2_policy`]: the MolmoAct2 family behind that trait
//! - `options` and `load_error`: options and errors of loading it
//! - `nano`: the weights inside the binary
//! - `action_tokenizer`: the action tokenizer that a policy is given
//! - `depth_setup` and `depth_memory`: depth reasoning, and the last depth map of each robot
//! - [`chunking`]: the transition from the running chunk of a robot to the next
//! - [`device`] and [`probe`]: the choice of a device, and the self-test of a GPU in a child process
//! - [`question_answerer`]: models that answer questions about images in text

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
