//! Policies: who turns an observation into an action chunk, on which device, on which thread.
//!
//! - [`actor`]: the trait that the server knows; tests put a scripted one in its place
//! - [`molmoact2`](hosted): the real one
//! - [`nano`]: the weights inside the binary
//! - `action_tokenizer`: whose tokenizer a policy is given
//! - `depth_setup` and `depth_memory`: how it reasons about depth, and what is remembered of each robot for that
//! - [`device`] and [`probe`]: which device may be used, found out in a child process
//! - [`batch`]: the questions of several robots, asked together
//! - [`speaker`]: who answers questions in words
//! - [`decoding`] and [`images`]: views become pixels, beside the thread of the policy
//! - [`inference`] and [`queue`]: the thread that owns the policy, and what waits for it

mod action_tokenizer;
pub mod actor;
mod batch;
mod decoding;
mod depth_memory;
mod depth_setup;
pub mod device;
pub mod hosted;
pub(crate) mod images;
pub(crate) mod inference;
mod nano;
pub mod probe;
mod queue;
pub mod speaker;

pub use actor::{
    ActRequest, Acted, Actor, ActorError, ActorInfo, DepthInfo, News, TagInfo, TokenizerFiles,
    Told, Written,
};
pub use depth_setup::DepthError;
