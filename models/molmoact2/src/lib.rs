//! The MolmoAct2 vision-language-action model: camera frames, a robot's state and a sentence in, a
//! chunk of actions out.
//!
//! [`Policy`] is the whole of it: [`Policy::load`] reads a folder in the published layout or in
//! LeRobot's ([`Files`]), [`Policy::act`] answers an [`Observation`] with an [`Action`]. The way through:
//!
//! 1. *Preprocess.* [`norm_stats`] normalises the state, [`instruction`] tidies the sentence,
//!    [`prompt`] writes the prompt and its token ids, [`image_input`] cuts the frames into patches.
//! 2. *Vision.* The tower ([`Vit`]) and the [`Connector`] turn patches into vectors of the
//!    language model's width, which are added to the image tokens' embeddings.
//! 3. *Prefill.* The language model ([`TextModel`]) reads the prompt once and leaves its keys and
//!    values per layer in a cache.
//!    Checkpoints that reason about [`depth`] then write a depth map into the same cache.
//! 4. *Flow* or *decode*. Continuous: the [`Expert`] looks into every layer of that cache and
//!    [`integrate`] follows its velocity from noise to a chunk, steered by the rows of a running chunk
//!    where there is one ([`Continuation`]). Discrete: action tokens are picked
//!    one by one ([`Decoding`]) and decoded by the `openfast` crate.
//! 5. *Postprocess.* Clip, unnormalise, take the rows to execute.
//!
//! [`Policy::act_batch`] answers several robots at once, and is the way that a single one takes too: prompts,
//! depth maps, flows and token streams of several [`Sequences`] share their passes and keep apart what is theirs.
//!
//! [`Network`] holds the parts of steps 2 to 4 and can be run stage by stage; `loader.rs` is the
//! only place that knows a tensor's name, [`config`] the only one that knows a key's. Sizes, token
//! ids and flags are all read from the checkpoint: the tiny ones of the tests, the nano policy and
//! the published weights go through the same code.
//!
//! A [`Vlm`] (`Molmo2-ER`, say) shares the first three steps and then writes an answer in words
//! ([`Vlm::ask`]), whose points and boxes [`marks`] finds. A policy that was taught to talk can be asked too
//! ([`Policy::ask`]).

mod action;
mod answer;
mod batch;
mod calibration;
mod chat;
mod clock;
pub mod config;
mod connector;
mod continuation;
pub mod depth;
mod discrete;
pub mod error;
mod expert;
mod files;
mod generate;
pub mod image_input;
mod info;
pub mod inspect;
pub mod instruction;
pub mod layout;
mod lerobot;
mod load;
mod loader;
pub mod marks;
mod network;
mod noise;
pub mod norm_stats;
mod pick;
mod policy;
mod positions;
mod prefix;
pub mod processor_config;
pub mod prompt;
mod sampler;
mod sequences;
mod spelling;
mod surroundings;
mod template;
mod text_model;
mod token_head;
mod vit;
mod vlm;
mod words;

pub use action::{ActOptions, Action, Mode, Observation, Stage};
pub use batch::{Request, WrittenAt};
pub use calibration::Calibration;
pub use config::{ActionMode, Config, Kind};
pub use connector::{Connector, PoolPlan};
pub use continuation::{Continuation, Schedule, Steering};
pub use depth::{Depth, DepthCache, DepthTrace, gate::DepthGate};
pub use discrete::{Decoding, Written};
pub use error::{ActError, LoadError};
pub use expert::{ChunkExpert, Expert, ExpertContext, StepModulation};
pub use files::Files;
pub use generate::Told;
pub use info::{ActionStats, PolicyInfo, TagInfo};
pub use layers::{Precision, Progress};
pub use load::LoadOptions;
pub use network::Network;
pub use policy::Policy;
pub use sampler::{Flow, integrate, visible_tokens};
pub use sequences::Sequences;
pub use text_model::{TextModel, Until, prefill_bias};
pub use vit::Vit;
pub use vlm::{AskError, AskOptions, Ended, Reply, Vlm, VlmInfo};
