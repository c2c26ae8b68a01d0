//! Qwen3-VL, from 2B to 32B: videos, images and text in, log-probabilities of tokens or an answer out.
//!
//! [`Qwen3Vl::load`] reads a folder in the published layout (`config.json`, `tokenizer.json`,
//! `video_preprocessor_config.json`, safetensors in one or many shards). The way through:
//!
//! 1. *Frames.* [`VideoInput`] resizes two frames at a time and cuts them into patches: a [`Block`].
//! 2. *Vision.* [`Network::encode_video`] encodes blocks to tokens ([`VisionTokens`]), with further features for the
//!    first layers of the language model (deepstack). Blocks do not attend to each other.
//! 3. *Text.* [`TextTokenizer`] maps text to ids, [`layout`] has the text around a block: its timestamp.
//! 4. *Prefill.* [`Network::append`] reads [`Segment`]s into a [`Context`], a cache that can be extended at any time.
//! 5. *Scoring.* [`Network::log_probs`] reads [`Suffix`]s after [`ContextPosition`]s of a context and returns the
//!    log-probabilities of tokens that may follow, without changing the context. All prefixes of a video, and all
//!    questions about them, share one prefill. [`Network::packed_log_probs`] does all of it in a single pass.
//! 6. *Generation.* [`Qwen3Vl::generate`] continues a context greedily; [`Qwen3Vl::prefill_turn`] reads a turn of texts
//!    and images for it.
//!
//! Only the queried rows of the output head are computed, in shards of the vocabulary where the size of a buffer
//! requires it; their log-sum-exp is taken in `f32` whatever the weights are kept in. Everything that fetches a
//! result is a future, because a browser cannot block; [`layers::block_on`] makes it a call.
//!
//! [`Inventory`] describes a folder without reading a weight.
//!
//! Tensor names appear in `loader.rs` only, keys of `config.json` in [`config`] only.

pub mod config;
mod context;
pub mod error;
mod frame_size;
mod generate;
mod inventory;
pub mod layout;
mod loader;
mod model;
mod network;
mod position_table;
mod positions;
mod prefill;
mod sequence;
mod stage;
mod stop_tokens;
mod text_model;
mod tokenizer;
mod turn;
pub mod video_config;
mod video_input;
mod vision_tower;

pub use config::Config;
pub use context::{Context, ContextPosition, PackedSuffix, Segment, Suffix};
pub use error::{LoadError, ScoreError};
pub use frame_size::{FrameSize, OddFrames, PixelBudget, smart_resize, smart_resize_image};
pub use generate::{Generated, OnToken, StopReason};
pub use inventory::Inventory;
pub use layers::{ConfigError, ModelFiles, Precision, Progress, TokenQuery};
pub use layout::TextLayout;
pub use model::{LoadOptions, ModelInfo, Qwen3Vl};
pub use network::Network;
pub use positions::{MropePosition, position_after_vision, text_positions, vision_positions};
pub use stage::{OnStage, Stage};
pub use text_model::TextModel;
pub use tokenizer::TextTokenizer;
pub use turn::Part;
pub use video_input::{Block, Grid, VideoInput};
pub use vision_tower::VisionTokens;
