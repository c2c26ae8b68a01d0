//! The MolmoAct2 vision-language-action model: camera frames, a robot's state and a sentence in, a
//! chunk of actions out.
//!
//! [`Policy`] is the whole of it: [`Policy::load`] reads a folder in the published layout or in
//! LeRobot's ([`Files`]), [`Policy::act`] answers an [`Observation`] with an [`Action`]. The way through:
//!
//! 1. *Preprocess.* [`norm_stats`] normalises the state, [`instruction`] tidies the sentence,
//!    [`prompt`] writes the prompt and its token ids, [`images`] cuts the frames into patches.
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
//! ([`Vlm::ask`]), whose points and boxes [`grounding`] finds. A policy that was taught to talk can be asked too
//! ([`Policy::ask`]).

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
pub use layers::{Precision, Progress};
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
