//! Random checkpoints in the published layout: `config.json`, sharded safetensors with their index, statistics, image
//! processing and a tokenizer whose special tokens have the ids that the configuration gives them.
//!
//! A checkpoint that reasons about depth gets a decoder to draw that with, and ends its depth maps ([`weights`]).
//!
//! A tensor's values depend on its name, the configuration and the seed alone. Weights are scaled by their inputs so that activations keep
//! their size through the network. Nothing is held in memory but a few megabytes.

mod decoder;
mod tokenizer;
mod weights;

use field_files::Limit;
use molmoact2::{Config, tensors, tensors::TensorSpec};
use serde_json::{Value, json};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// MolmoAct2's own sizes and token ids.
const PUBLISHED: &str = include_str!("published.json");

/// What to write.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where; it must not exist or be empty.
    pub folder: PathBuf,
    /// A `config.json` in the published format, instead of MolmoAct2's own.
    pub config: Option<PathBuf>,
    /// A `norm_stats.json` to take over, instead of that of two made-up robots.
    pub stats: Option<PathBuf>,
    /// Type the weights are stored in.
    pub stored: Stored,
    /// Seed of the weights.
    pub seed: u64,
    /// Most bytes of tensors in one file; a larger tensor gets a file of its own.
    pub shard_bytes: u64,
}

/// Types that weights are stored in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Stored {
    /// Four bytes.
    F32,
    /// Two bytes, as LeRobot's folders have them.
    #[default]
    Bf16,
    /// Two bytes.
    F16,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Values of all tensors.
    pub parameters: u64,
    /// Files of weights.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// A checkpoint could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SynthesiseError {
    /// A file could not be read or written.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file that was given is not what its name says, or is too large to be that.
    #[error(transparent)]
    Read(#[from] field_files::ReadError),
    /// There is something in the folder.
    #[error("{0} is not empty; give a folder that does not exist yet")]
    NotEmpty(String),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] molmoact2::LoadError),
    /// The configuration leaves no room for the tokens of a prompt.
    #[error("config.json: {0}")]
    Tokens(String),
}

pub(crate) fn io_error(file: &Path) -> impl FnOnce(io::Error) -> SynthesiseError {
    let file = file.display().to_string();
    move |source| SynthesiseError::Io { file, source }
}

/// Writes a checkpoint, telling `progress` the bytes of weights written and in all.
///
/// # Errors
/// [`SynthesiseError`] with the file or the key; what was written until then stays.
pub fn synthesise(plan: &Plan, progress: &dyn Fn(u64, u64)) -> Result<Written, SynthesiseError> {
    let folder = &plan.folder;
    let text = match &plan.config {
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
        return Err(SynthesiseError::NotEmpty(folder.display().to_string()));
    }
    let stats = match &plan.stats {
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
        fs::write(&path, contents).map_err(io_error(&path))?;
    }
    if config.enable_depth_reasoning {
        decoder::write(&folder.join(depth_decoder::FILE_NAME), &config)?;
    }
    let entries = tensors::expected(&config);
    let (files, bytes) = weights::write(plan, &config, &entries, progress)?;
    Ok(Written {
        parameters: entries.iter().map(TensorSpec::parameters).sum(),
        files,
        bytes,
    })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Two made-up robots, as large as the configuration allows.
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
