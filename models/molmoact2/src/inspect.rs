//! A report on a checkpoint from its small files and the headers of its weights. No weights are loaded, so a folder
//! of many gigabytes takes a second. Problems are collected, not returned at the first.

use std::collections::{BTreeMap, BTreeSet};

use layers::{Checkpoint, Precision};

use crate::checkpoint::config::{self, ActionMode, Config, Kind};
use crate::checkpoint::description::CheckpointDescription;
use crate::checkpoint::files::Files;
use crate::checkpoint::norm_stats::{NormMode, Tag};
use crate::checkpoint::tensors::{self, Part, TensorSpec};
use crate::error::LoadError;
use crate::input::preprocessing;
use crate::loader;
use crate::loader::token_head;
use crate::mode::Mode;

/// Memory beside the weights: buffers of the files being read, the program itself, the tokenizer (90 MB measured
/// with the published sizes).
const READING_BYTES: u64 = 96 << 20;

/// Report on a checkpoint.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Inspection {
    /// Name of the folder.
    pub name: String,
    /// `published` or `lerobot`.
    pub layout: &'static str,
    /// One-line summary.
    pub summary: String,
    /// Modes it can answer in; empty for a plain VLM.
    pub modes: Vec<Mode>,
    /// True if it has a fitting action tokenizer, which discrete mode needs.
    pub action_tokenizer: bool,
    /// Reason why a policy has no discrete mode.
    pub no_discrete: Option<String>,
    /// Reason why it cannot answer questions, if its files are at fault; actions are not affected.
    pub no_answers: Option<String>,
    /// True if it predicts a depth map before it acts.
    pub depth_reasoning: bool,
    /// Euler steps of the flow.
    pub flow_steps: usize,
    /// Rows of the longest chunk.
    pub max_horizon: usize,
    /// Columns of the action tensor.
    pub max_action_dim: usize,
    /// Limit on the tokens of a prompt and its answer together.
    pub max_positions: usize,
    /// Robots in its statistics.
    pub tags: Vec<TagInspection>,
    /// Types of the stored weights.
    pub dtype: String,
    /// Number of tensors.
    pub tensors: usize,
    /// Values in all tensors of the network.
    pub parameters: u64,
    /// Bytes of all tensors in the files.
    pub bytes: u64,
    /// Files of weights.
    pub files: Vec<String>,
    /// Values by part.
    pub parts: BTreeMap<Part, u64>,
    /// Memory for each precision.
    pub memory: Vec<Memory>,
    /// Tensors that the configuration requires and no file holds, with their shapes.
    pub missing: Vec<String>,
    /// Tensors with a different shape from the configuration's.
    pub misshapen: Vec<String>,
    /// Tensors that are not part of the network.
    pub unexpected: Vec<String>,
    /// Unknown keys of `config.json`, all of them off.
    pub unknown_keys: Vec<String>,
    /// Robots in its statistics that it cannot act for, with the reason.
    pub unusable_tags: Vec<String>,
    /// Files that were passed over, and why; nothing is missing for it.
    pub notes: Vec<String>,
    /// Other problems that prevent loading.
    pub problems: Vec<String>,
}

/// One robot of a checkpoint.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TagInspection {
    /// Name of its statistics.
    pub tag: String,
    /// Cameras in the order of the prompt.
    pub cameras: Vec<String>,
    /// Alternative set of cameras.
    pub cameras_alternative: Vec<String>,
    /// Values of the state.
    pub state_dim: usize,
    /// Values of an action.
    pub action_dim: usize,
    /// Rows of a chunk.
    pub horizon: usize,
    /// Rows to execute.
    pub n_action_steps: usize,
    /// Wording of the prompt for the robot.
    pub setup: String,
    /// Wording of the prompt for the actions.
    pub control_mode: String,
    /// Statistics that scale it.
    pub norm_mode: NormMode,
    /// Dimensions of the action that are not scaled.
    pub unscaled: Vec<usize>,
    /// True if its joint signs or zero offsets differ from the robot's.
    pub calibrated: bool,
}

/// Memory for one precision.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Memory {
    /// The precision.
    pub precision: Precision,
    /// Bytes of the loaded weights.
    pub weights: u64,
    /// Peak memory of the process while loading onto the CPU.
    pub peak_on_cpu: u64,
    /// Peak memory of the process while loading onto a GPU: the largest tensor and its copy in transfer.
    pub peak_beside_gpu: u64,
}

impl Inspection {
    /// True if it can be loaded, judged by the headers.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
            && self.misshapen.is_empty()
            && self.unexpected.is_empty()
            && self.problems.is_empty()
    }
}

/// Inspects a checkpoint folder.
///
/// # Errors
/// [`LoadError`] if `config.json` (of a LeRobot folder, that of its base) cannot be used; without it nothing else
/// can be checked.
pub fn inspect(files: &Files) -> Result<Inspection, LoadError> {
    let bytes = files.read(config::FILE)?;
    let mut problems = Vec::new();
    let (config, described, layout) = describe(files, &bytes, &mut problems)?;
    let small = files.base().unwrap_or(files);
    if let Err(error) = loader::check_supported(&config) {
        problems.push(error.to_string());
    }
    let no_answers = preprocessing::check(small, &config).unwrap_or_else(|error| {
        problems.push(error.to_string());
        None
    });
    let expected = tensors::expected(&config);
    let checkpoint = files
        .checkpoint()
        .map_err(|error| problems.push(error.to_string()))
        .ok();
    let weights = TensorComparison::new(&expected, checkpoint.as_ref(), &config, &mut problems);
    let trained = described
        .as_ref()
        .map_or(config.action_mode, |described| described.trained);
    let no_tokens = match token_head::tokenizer_for(files, &config, trained) {
        Ok(found) => found.err(),
        Err(error) => {
            problems.push(error.to_string());
            Some(error.to_string())
        }
    };
    let mut unusable_tags = Vec::new();
    let tags = described
        .as_ref()
        .map(|described| tags(described, &mut unusable_tags));
    if tags.as_ref().is_some_and(Vec::is_empty) {
        problems.append(&mut unusable_tags);
    }
    let mut parts = BTreeMap::new();
    for entry in &expected {
        *parts.entry(entry.part).or_insert(0) += entry.parameters();
    }
    Ok(Inspection {
        name: files.name(),
        layout,
        summary: summary(&config, trained),
        modes: modes(&config, trained, no_tokens.is_none()),
        action_tokenizer: no_tokens.is_none(),
        no_discrete: no_tokens.filter(|_| config.kind == Kind::Policy),
        no_answers,
        depth_reasoning: config.enable_depth_reasoning,
        flow_steps: config.flow_matching_num_steps,
        max_horizon: config.max_action_horizon,
        max_action_dim: config.max_action_dim,
        max_positions: config.text.max_position_embeddings,
        tags: tags.unwrap_or_default(),
        dtype: checkpoint
            .as_ref()
            .map(Checkpoint::dtype)
            .unwrap_or_default(),
        tensors: checkpoint
            .as_ref()
            .map_or(0, |checkpoint| checkpoint.names().count()),
        parameters: parts.values().sum(),
        bytes: checkpoint.as_ref().map_or(0, Checkpoint::bytes),
        files: checkpoint
            .as_ref()
            .map(Checkpoint::files)
            .unwrap_or_default(),
        parts,
        memory: Precision::ALL
            .map(|precision| memory(&expected, &config, precision))
            .to_vec(),
        missing: weights.missing,
        misshapen: weights.misshapen,
        unexpected: weights.unexpected,
        unknown_keys: Config::unknown_keys(&small.read(config::FILE)?)?,
        unusable_tags,
        notes: checkpoint
            .as_ref()
            .and_then(Checkpoint::note)
            .map(str::to_owned)
            .into_iter()
            .collect(),
        problems,
    })
}

/// The configuration, the description of a policy if it is valid, and the name of the layout.
fn describe(
    files: &Files,
    bytes: &[u8],
    problems: &mut Vec<String>,
) -> Result<(Config, Option<CheckpointDescription>, &'static str), LoadError> {
    if crate::checkpoint::lerobot::is_lerobot(bytes) {
        let described = CheckpointDescription::read(files)?;
        return Ok((described.config.clone(), Some(described), "lerobot"));
    }
    let config = Config::parse(bytes)?;
    if config.kind == Kind::VisionLanguage {
        return Ok((config, None, "published"));
    }
    let described = CheckpointDescription::read(files)
        .map_err(|error| problems.push(error.to_string()))
        .ok();
    Ok((config, described, "published"))
}

fn summary(config: &Config, trained: ActionMode) -> String {
    if config.kind == Kind::VisionLanguage {
        return "a vision-language model without actions".to_owned();
    }
    let heads = match trained {
        ActionMode::Continuous => "continuous actions",
        ActionMode::Discrete => "discrete actions",
        ActionMode::Both => "continuous and discrete actions",
    };
    let depth = match (
        config.enable_depth_reasoning,
        config.action_expert_depth_gate,
    ) {
        (true, true) => ", depth reasoning with a gate",
        (true, false) => ", depth reasoning",
        (false, _) => "",
    };
    format!("a robot policy with {heads}{depth}")
}

fn modes(config: &Config, trained: ActionMode, action_tokenizer: bool) -> Vec<Mode> {
    if config.kind == Kind::VisionLanguage {
        return Vec::new();
    }
    let continuous = trained != ActionMode::Discrete && config.action_expert.is_some();
    let discrete = trained != ActionMode::Continuous && action_tokenizer;
    [(continuous, Mode::Continuous), (discrete, Mode::Discrete)]
        .into_iter()
        .filter_map(|(has, mode)| has.then_some(mode))
        .collect()
}

/// The usable robots. A fine-tuned checkpoint can carry statistics of robots whose chunks are longer than its own.
fn tags(described: &CheckpointDescription, unusable: &mut Vec<String>) -> Vec<TagInspection> {
    let mode = described.stats.mode();
    let mut found = Vec::new();
    unusable.extend(described.stats.unusable().map(|error| error.to_string()));
    for tag in described.stats.tags() {
        match tag.rows(&described.config) {
            Ok(rows) => found.push(tag_found(tag, mode, rows.horizon, rows.count)),
            Err(error) => unusable.push(error.to_string()),
        }
    }
    found
}

fn tag_found(
    tag: &Tag,
    norm_mode: NormMode,
    horizon: usize,
    n_action_steps: usize,
) -> TagInspection {
    let mask = tag.action.stats().mask.clone().unwrap_or_default();
    TagInspection {
        tag: tag.name.clone(),
        cameras: tag.cameras(),
        cameras_alternative: tag.cameras_alternative(),
        state_dim: tag.state.dims(),
        action_dim: tag.action.dims(),
        horizon,
        n_action_steps,
        setup: tag.setup_type.clone(),
        control_mode: tag.control_mode.clone(),
        norm_mode,
        unscaled: (0..mask.len())
            .filter(|&dim| mask.get(dim) == Some(&false))
            .collect(),
        calibrated: tag.calibration.is_some(),
    }
}

#[derive(Default)]
struct TensorComparison {
    missing: Vec<String>,
    misshapen: Vec<String>,
    unexpected: Vec<String>,
}

impl TensorComparison {
    fn new(
        expected: &[TensorSpec],
        checkpoint: Option<&Checkpoint>,
        config: &Config,
        problems: &mut Vec<String>,
    ) -> Self {
        let mut comparison = Self::default();
        let Some(checkpoint) = checkpoint else {
            return comparison;
        };
        let prefix = match loader::find_prefix(checkpoint, config) {
            Ok(prefix) => prefix,
            Err(error) => {
                problems.push(error.to_string());
                String::new()
            }
        };
        let mut known = BTreeSet::new();
        for entry in expected {
            let name = format!("{prefix}{}", entry.name);
            match checkpoint.shape(&name) {
                None => comparison.missing.push(format!("{name} {:?}", entry.shape)),
                Some(shape) if shape != entry.shape => comparison
                    .misshapen
                    .push(format!("{name} is {shape:?}, expected {:?}", entry.shape)),
                Some(_) => {}
            }
            known.insert(name);
        }
        let blocks = tensors::vit_blocks(config);
        comparison.unexpected = checkpoint
            .names()
            .filter(|name| !known.contains(*name))
            .filter(|name| !loader::may_be_left(name.strip_prefix(&prefix).unwrap_or(name), blocks))
            .map(str::to_owned)
            .collect();
        comparison
    }
}

fn memory(expected: &[TensorSpec], config: &Config, precision: Precision) -> Memory {
    let text = &config.text;
    // The weights of the norms over heads are repeated for every head.
    let heads = text.num_attention_heads + text.num_key_value_heads;
    let stored = if text.use_qk_norm { 2 } else { 0 };
    let repeated = (heads - stored.min(heads)) * text.head_dim * text.num_hidden_layers * 4;
    let weights: u64 = expected
        .iter()
        .map(|entry| entry.loaded_bytes(precision))
        .sum::<u64>()
        + repeated as u64;
    let largest = expected
        .iter()
        .map(|entry| entry.loaded_bytes(precision))
        .max()
        .unwrap_or(0);
    // Cosines, sines and angles of every position.
    let rotary = 3 * 4 * (text.max_position_embeddings * text.head_dim) as u64;
    Memory {
        precision,
        weights,
        peak_on_cpu: weights + rotary + READING_BYTES,
        peak_beside_gpu: 2 * largest + rotary + READING_BYTES,
    }
}
