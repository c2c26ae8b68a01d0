//! Random checkpoints in the published layout: `config.json`, sharded safetensors with their index, statistics, image
//! processing and a tokenizer whose special tokens have the ids that the configuration gives them.
//!
//! A checkpoint that reasons about depth gets a depth decoder as well, and weights that end its depth maps
//! (`weights.rs`).
//!
//! The values of a tensor depend only on its name, the configuration and the seed. Weights are scaled by the number of
//! inputs so that activations keep their magnitude through the network. Memory use is a few megabytes.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use field_files::{Limit, write_whole};
use serde_json::{Value, json};

use crate::checkpoint::config::Config;
use crate::checkpoint::tensors::{self, TensorSpec};
use crate::error::LoadError;

mod depth_decoder;
mod tokenizer;
mod weights;

/// MolmoAct2's own sizes and token ids.
const PUBLISHED: &str = include_str!("synthesize/published.json");

/// Options of a random checkpoint.
#[derive(Debug, Clone)]
pub struct SynthesisOptions {
    /// Folder to write, which must be empty or not exist.
    pub folder: PathBuf,
    /// A `config.json` in the published format, instead of MolmoAct2's own.
    pub config: Option<PathBuf>,
    /// A `norm_stats.json` to copy, instead of the statistics of two invented robots.
    pub stats: Option<PathBuf>,
    /// Type that the weights are stored in.
    pub stored: StoredType,
    /// Seed of the weights.
    pub seed: u64,
    /// Maximum bytes of tensors in one file; a larger tensor gets a separate file.
    pub shard_bytes: u64,
}

/// Types that weights are stored in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StoredType {
    /// Four bytes.
    F32,
    /// Two bytes, as LeRobot's folders have them.
    #[default]
    Bf16,
    /// Two bytes.
    F16,
}

/// Size of a written checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SynthesisSummary {
    /// Number of values in all tensors.
    pub parameters: u64,
    /// Files of weights.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// A checkpoint could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SynthesizeError {
    /// A file could not be read or written.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A given file is a different kind of file than its name says, or is too large for its kind.
    #[error(transparent)]
    Read(#[from] field_files::ReadError),
    /// The folder is not empty.
    #[error("{0} is not empty; give a folder that does not exist yet")]
    NotEmpty(String),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// The configuration leaves no room for the tokens of a prompt.
    #[error("config.json: {0}")]
    Tokens(String),
}

fn io_error(file: &Path) -> impl FnOnce(io::Error) -> SynthesizeError {
    let file = file.display().to_string();
    move |source| SynthesizeError::Io { file, source }
}

/// Writes a checkpoint; `progress` gets the bytes of weights written so far and in total.
///
/// # Errors
/// [`SynthesizeError`] with the file or the key; files written before the error stay.
pub fn synthesize(
    options: &SynthesisOptions,
    progress: &dyn Fn(u64, u64),
) -> Result<SynthesisSummary, SynthesizeError> {
    let folder = &options.folder;
    let text = match &options.config {
        Some(file) => field_files::read_text(file, Limit::SETTINGS)?,
        None => PUBLISHED.to_owned(),
    };
    let config = Config::parse(text.as_bytes())?;
    fs::create_dir_all(folder).map_err(io_error(folder))?;
    if fs::read_dir(folder)
        .map_err(io_error(folder))?
        .next()
        .is_some()
    {
        return Err(SynthesizeError::NotEmpty(folder.display().to_string()));
    }
    let stats = match &options.stats {
        Some(file) => field_files::read_text(file, Limit::SETTINGS)?,
        None => pretty(&norm_stats(&config)),
    };
    let (tokenizer, tokenizer_config) = tokenizer::files(&config)?;
    for (name, contents) in [
        ("config.json", text),
        ("norm_stats.json", stats),
        ("processor_config.json", pretty(&processor_config(&config))),
        ("tokenizer.json", tokenizer.to_string()),
        ("tokenizer_config.json", pretty(&tokenizer_config)),
    ] {
        let path = folder.join(name);
        write_whole(&path, |file| file.write_all(contents.as_bytes())).map_err(io_error(&path))?;
    }
    if config.enable_depth_reasoning {
        depth_decoder::write(&folder.join(::depth_decoder::FILE_NAME), &config)?;
    }
    let entries = tensors::expected(&config);
    let (files, bytes) = weights::write(options, &config, &entries, progress)?;
    Ok(SynthesisSummary {
        parameters: entries.iter().map(TensorSpec::parameters).sum(),
        files,
        bytes,
    })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Statistics of two invented robots, as large as the configuration allows.
fn norm_stats(config: &Config) -> Value {
    let robot = |dims: usize, cameras: &[&str], horizon: usize, setup: &str, control: &str| {
        let dims = dims.min(config.max_action_dim);
        let horizon = horizon.min(config.max_action_horizon);
        let row = |value: f32| vec![value; dims];
        let stats = json!({
            "min": row(-100.0), "q01": row(-90.0), "q10": row(-60.0), "mean": row(0.0), "std": row(40.0),
            "q90": row(60.0), "q99": row(90.0), "max": row(100.0),
            "mask": vec![true; dims],
            "names": (0..dims).map(|index| format!("joint_{index}")).collect::<Vec<_>>(),
        });
        json!({
            "action_key": "action",
            "state_keys": ["observation.state"],
            "camera_keys": cameras.iter().map(|camera| format!("observation.images.{camera}")).collect::<Vec<_>>(),
            "normalize_gripper": true,
            "action_dim": config.max_action_dim,
            "action_horizon": horizon,
            "n_action_steps": horizon,
            "setup_type": setup,
            "control_mode": control,
            "action_stats": stats,
            "state_stats": stats,
        })
    };
    json!({
        "format": "molmoact2_norm_stats.v1",
        "norm_mode": "q01_q99",
        "metadata_by_tag": {
            "one_arm": robot(6, &["overview", "wrist"], 30, "single random robotic arm", "absolute joint pose"),
            "two_arms": robot(14, &["top", "left", "right"], 30, "two random robotic arms", "absolute joint pose"),
        },
    })
}

fn processor_config(config: &Config) -> Value {
    let [height, width] = config.vit.image_default_input_size;
    json!({
        "processor_class": "MolmoAct2Processor",
        "image_processor": {
            "image_processor_type": "MolmoAct2ImageProcessor",
            "crop_mode": "resize",
            "size": {"height": height, "width": width},
            "resample": 2,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "do_convert_rgb": true,
            "max_crops": 8,
            "overlap_margins": [4, 4],
            "patch_size": config.vit.image_patch_size,
            "pooling_size": [2, 2],
        },
        "image_use_col_tokens": true,
        "use_single_crop_col_tokens": false,
        "use_single_crop_start_token": true,
        "video_use_col_tokens": false,
        "use_frame_special_tokens": true,
    })
}
