//! Policies: from an observation to an action chunk, and on which device.
//!
//! - [`actor`]: the trait that the server knows; tests put a scripted one in its place
//! - [`hosted`]: the MolmoAct2 family behind that trait
//! - `nano`: the weights inside the binary
//! - `action_tokenizer`: the action tokenizer that a policy is given
//! - `depth_setup` and `depth_memory`: how it reasons about depth, and what is remembered of each robot for that
//! - [`chunking`]: how the next chunk of a robot meets the one that is running
//! - [`device`] and [`probe`]: which device may be used, found out in a child process
//! - [`speaker`]: models that answer questions in words

mod action_tokenizer;
pub mod actor;
pub mod chunking;
mod depth_memory;
mod depth_setup;
pub mod device;
pub mod hosted;
mod nano;
pub mod probe;
pub mod speaker;

pub use actor::{
    ActRequest, Acted, Actor, ActorError, ActorInfo, DepthInfo, News, TagInfo, TokenizerFiles,
    Told, Written,
};
pub use depth_setup::DepthError;
