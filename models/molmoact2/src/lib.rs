//! The MolmoAct2 vision-language-action model: camera images, a robot's state and an instruction in, a chunk of
//! actions out.
//!
//! [`Policy::load`] reads a folder in the published layout or in LeRobot's ([`Files`]), and [`Policy::act`] answers an
//! [`Observation`] with an [`Action`], in five stages:
//!
//! 1. *Preprocess.* [`norm_stats`] normalizes the state, [`instruction`] normalizes the instruction, [`prompt`] writes
//!    the prompt and its token ids, and [`images`] cuts the images into patches.
//! 2. *Vision.* The vision tower ([`Vit`]) and the [`Connector`] turn patches into features of the language model's
//!    width, which are added to the embeddings of the image tokens.
//! 3. *Prefill.* The language model ([`TextModel`]) reads the prompt once and leaves its keys and values in a cache.
//!    Checkpoints that reason about [`depth`] then write a depth map into the same cache.
//! 4. *Flow* or *decode*. Continuous mode: the [`Expert`] attends to every layer of the cache, and [`integrate`]
//!    follows its velocity from noise to a chunk, steered by the rest of the running chunk if there is one
//!    ([`Continuation`]). Discrete mode: action tokens are decoded one by one ([`Decoding`]) and turned into a chunk by
//!    the `openfast` crate.
//! 5. *Postprocess.* Clip, unnormalize, select the rows to execute.
//!
//! [`Policy::act_batch`] answers several robots at once: their prompts, depth maps, flows and token streams are
//! separate [`Sequences`] in shared passes. A single request is a batch of one.
//!
//! A [`Vlm`], such as `Molmo2-ER`, shares the first three stages and then writes text ([`Vlm::ask`]); [`grounding`]
//! finds the points and boxes in it. Policies with a chat template can be asked as well ([`Policy::ask`]).
//!
//! # Map
//! | module | contents |
//! |---|---|
//! | `checkpoint/` | the small files of a checkpoint, one module each, and the list of its tensors |
//! | `input/` | instructions, prompts, chat templates, token ids, image patches |
//! | `network/` | vision tower, connector, language model, action expert, and the sequences in its cache |
//! | `heads/` | flow integration and steering, token decoding, depth maps |
//! | `loader/` | tensors of a checkpoint into the network |
//! | `action.rs`, `info.rs` | input and output of a policy, and its description |
//! | `batch/` | prefill and heads for a group of requests |
//! | `ask/` | text answers: generation, sampling, grounding |
//! | `policy.rs` | [`Policy`], which calls the stages in order |
//! | `synthesize/` | random checkpoints of any size, for tests and timing (feature `synthesize`) |
//! | `inspect.rs` | a report on a checkpoint without loading it |
//!
//! A module imports only modules above it in this table and the leaves `error.rs`, `mode.rs` and `clock.rs`. `loader/` is the
//! only place that reads a tensor by its name, [`config`] the only one that reads a key of `config.json`. Sizes, token
//! ids and flags all come from the checkpoint: the tiny checkpoints of the tests, the nano policy and the published
//! weights run through the same code. [`Network`] gives access to single stages.

mod action;
mod ask;
mod batch;
mod checkpoint;
mod clock;
pub mod error;
mod heads;
mod info;
mod input;
pub mod inspect;
mod loader;
mod mode;
mod network;
mod policy;
#[cfg(feature = "synthesize")]
pub mod synthesize;

pub use action::{ActOptions, Action, Observation};
pub use ask::generate::TextCallback;
pub use ask::grounding;
pub use ask::reply::{AskOptions, FinishReason, Reply};
pub use ask::vlm::{Vlm, VlmInfo};
pub use batch::prepared::{BatchTokenCallback, Request};
pub use checkpoint::calibration::Calibration;
pub use checkpoint::config::{ActionMode, Config, Kind};
pub use checkpoint::files::Files;
pub use checkpoint::{config, norm_stats, processor_config, tensors};
pub use clock::Stage;
pub use error::{ActError, AskError, LoadError};
pub use heads::continuation::{Continuation, Schedule, Steering};
pub use heads::depth::{self, Depth, DepthCache, DepthTrace};
pub use heads::flow::{Flow, integrate, visible_tokens};
pub use heads::token_head::{Decoding, TokenCallback};
pub use info::{ActionStats, PolicyInfo, TagInfo};
pub use input::{images, instruction, prompt};
pub use layers::{ConfigError, Precision, Progress};
pub use loader::options::LoadOptions;
pub use mode::Mode;
pub use network::Network;
pub use network::connector::{Connector, PoolPlan};
pub use network::expert::{ChunkExpert, Expert, ExpertContext, StepModulation};
pub use network::sequences::Sequences;
pub use network::text_model::{TextModel, Until, prefill_bias};
pub use network::token_gain::DepthGate;
pub use network::vit::Vit;
pub use policy::Policy;
