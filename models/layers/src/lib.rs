//! The parts the networks share: reading a checkpoint, the layers themselves, the devices they
//! run on, and the test a device has to pass first.
//!
//! A network is built in two steps. [`Checkpoint`] opens safetensors files (one or many shards,
//! from a folder or from memory) and knows the name, type and shape of every tensor.
//! [`Weights`] hands tensors to a loader one by one, checks each shape, keeps layers in the
//! requested [`Precision`], and at the end reports tensors that were not taken. No tensor is ever whole
//! in memory twice: files are read a few megabytes at a time straight into their destination.
//!
//! [`ModelFiles`] are the files of a model by name, and a [`Vocabulary`] keeps a large table of tokens in shards.
//!
//! The layers ([`Linear`], [`Embedding`], [`RmsNorm`], [`LayerNorm`], [`GatedMlp`], [`Rotary`], [`attention()`],
//! [`KvCache`]) have no batch axis: a hidden state is `[tokens, width]`, heads come first in
//! attention, `[heads, tokens, head_dim]`. Several sequences, and several images of one, fold into
//! the first axis; [`Ragged`] is for those of different lengths. One sequence then takes the same
//! way as eight, and pays nothing for it.
//! Scores are not scaled inside [`attention()`]: the factor is folded into a weight at load time.
//!
//! [`device`] makes the devices and [`self_test`] decides whether one may be trusted: some
//! drivers answer with wrong products rather than with an error.
//!
//! The backends are chosen by this crate's `Cargo.toml` alone; nothing here is generic
//! over a backend, the device a tensor lives on carries it.

mod attention;
mod block_on;
mod checkpoint;
mod config;
pub mod device;
mod embedding;
mod error;
mod files;
mod heads;
mod kv_cache;
mod linear;
mod mlp;
mod norm;
mod parallel;
mod pointwise;
mod precision;
mod quantized_matrix;
mod ragged;
mod read_back;
mod rotary;
mod self_test;
mod softmax;
mod transpose;
mod vocabulary;
mod weights;

pub use attention::{Columns, attention, attention_over};
pub use block_on::block_on;
pub use checkpoint::{Checkpoint, INDEX_FILE, TensorInfo};
pub use config::{ConfigError, config_section, parse_config};
pub use embedding::Embedding;
pub use error::CheckpointError;
pub use files::{FileError, FileStore, ModelFiles};
pub use heads::{HeadNorm, QkvHeads, merge_heads, split_heads};
pub use kv_cache::KvCache;
pub use linear::Linear;
pub use mlp::{GateHalf, GatedMlp};
pub use norm::{LayerNorm, RmsNorm, rms_normalize};
pub use pointwise::{gelu, gelu_tanh};
pub use precision::{INT4_BLOCK, Precision, PrecisionError};
pub use quantized_matrix::QuantizedMatrix;
pub use ragged::Ragged;
pub use read_back::{ReadBackError, read_back};
pub use rotary::Rotary;
pub use self_test::{Check, SelfTestReport, self_test};
pub use softmax::MASK_VALUE;
pub use vocabulary::{TokenQuery, Vocabulary};
pub use weights::{Progress, Weights};

pub use burn_tensor::Device;
