//! Policy folders in LeRobot's layout.
//!
//! Such a folder holds the weights under a prefix, a `config.json` of LeRobot's own (`"type": "molmoact2"`), and
//! the two pipelines `policy_preprocessor.json` and `policy_postprocessor.json` with their statistics in
//! safetensors files. Network sizes, tokenizer and image processing stay in the checkpoint that it was made from
//! ([`Files::with_base`]; if `checkpoint_path` is a local folder, [`Files::open_dir`] finds it).
//!
//! The result is the same [`Config`] and [`NormStats`] as for a published folder, with one tag, so that all other
//! code is shared. [`Normalizer`] implements the differences in LeRobot's arithmetic.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use layers::ConfigError;
use serde::Deserialize;
use serde_json::Value;

use crate::checkpoint::calibration::Calibration;
use crate::checkpoint::config::{self, ActionMode, Config};
use crate::checkpoint::files::Files;
use crate::checkpoint::norm_stats::{NormStats, Normalizer, Tag};
use crate::error::{LoadError, bad_value, parse_json};

mod pipeline;

use pipeline::{NormalizationStep, Pipelines};

/// The tag of a folder whose configuration names none.
const NAMELESS: &str = "lerobot";
/// The state's name in LeRobot's features.
const STATE: &str = "observation.state";
/// The action's name in LeRobot's features.
const ACTION: &str = "action";

/// The keys of LeRobot's `config.json` that affect the computation.
#[derive(Debug, Deserialize)]
struct PolicyConfig {
    checkpoint_path: String,
    chunk_size: usize,
    n_action_steps: usize,
    action_mode: ActionMode,
    norm_tag: Option<String>,
    num_inference_steps: Option<usize>,
    #[serde(default)]
    input_features: std::collections::BTreeMap<String, Feature>,
    #[serde(default)]
    output_features: std::collections::BTreeMap<String, Feature>,
    #[serde(default)]
    dataset_feature_names: std::collections::BTreeMap<String, Value>,
    #[serde(default)]
    enable_lora_vlm: bool,
    #[serde(default)]
    use_peft: bool,
}

#[derive(Debug, Deserialize)]
struct Feature {
    #[serde(rename = "type")]
    kind: String,
    shape: Vec<usize>,
}

/// A LeRobot folder, merged with its base.
#[derive(Debug)]
pub(crate) struct Lerobot {
    /// The base's configuration with the folder's changes.
    pub(crate) config: Config,
    /// One tag.
    pub(crate) stats: NormStats,
    /// The heads that were trained.
    pub(crate) trained: ActionMode,
    /// True if instructions are normalized.
    pub(crate) normalize_language: bool,
}

/// True if these are the bytes of LeRobot's `config.json`.
pub(crate) fn is_lerobot(config: &[u8]) -> bool {
    field_files::json::parse::<Value>(config).is_ok_and(|raw| {
        raw.get("type").is_some_and(Value::is_string) && raw.get("model_type").is_none()
    })
}

impl Files {
    /// The files in a folder. Weights are read tensor by tensor when they are needed. If a LeRobot folder names a
    /// local folder as the checkpoint it was made from, that becomes its base.
    ///
    /// # Errors
    /// [`LoadError::MissingFile`] if there is no such folder.
    pub fn open_dir(folder: &Path) -> Result<Self, LoadError> {
        let files = Self::in_folder(folder)?;
        let config = files.find(config::FILE)?.map(Cow::into_owned);
        match config.as_deref().and_then(local_base) {
            Some(base) => Ok(files.with_base(Self::open_dir(&base)?)),
            None => Ok(files),
        }
    }
}

/// The checkpoint that a LeRobot folder with this `config.json` was made from, if it is a local folder in the
/// published layout.
fn local_base(config: &[u8]) -> Option<PathBuf> {
    let base = PathBuf::from(policy_config(config).ok()?.checkpoint_path);
    let published = Files::in_folder(&base).is_ok_and(|files| {
        let config = files.find(config::FILE).ok().flatten();
        config.is_some_and(|config| !is_lerobot(&config))
    });
    published.then_some(base)
}

fn policy_config(bytes: &[u8]) -> Result<PolicyConfig, LoadError> {
    let raw: Value = parse_json(config::FILE, bytes)?;
    if let Some(kind) = raw.get("type").filter(|kind| *kind != "molmoact2") {
        return Err(LoadError::Config(ConfigError::Unsupported {
            what: format!("type = {kind}"),
            why: "this reader takes LeRobot policies of type \"molmoact2\"".to_owned(),
        }));
    }
    let read: PolicyConfig = parse_json(config::FILE, bytes)?;
    if read.enable_lora_vlm || read.use_peft {
        return Err(LoadError::Config(ConfigError::Unsupported {
            what: "enable_lora_vlm or use_peft = true".to_owned(),
            why: "adapters are not read; merge them into the weights first".to_owned(),
        }));
    }
    Ok(read)
}

/// Reads the folder `files`, whose `config.json` is `config`, and merges it with its base.
pub(crate) fn read(files: &Files, config: &[u8]) -> Result<Lerobot, LoadError> {
    let policy = policy_config(config)?;
    let Some(base) = files.base() else {
        return Err(LoadError::NeedsBase {
            checkpoint_path: policy.checkpoint_path,
        });
    };
    let base_config = base.read(config::FILE)?;
    if is_lerobot(&base_config) {
        return Err(LoadError::Config(ConfigError::Unsupported {
            what: format!("the base {}, itself a LeRobot policy folder", base.name()),
            why: format!(
                "the checkpoint {:?} in the published layout is needed",
                policy.checkpoint_path
            ),
        }));
    }
    let mut config = Config::parse(&base_config)?;
    let pipelines = Pipelines::read(files)?;
    let trained = trained(&policy, &config)?;

    let tag_name = policy.norm_tag.as_deref().unwrap_or_default().trim();
    let (mut horizon, mut rows) = (policy.chunk_size, policy.n_action_steps);
    if !tag_name.is_empty() {
        // LeRobot takes these from the checkpoint again whenever it loads the policy.
        let stats = NormStats::parse(&base.read(&config.norm_stats_filename)?)?;
        let tag = stats.tag(tag_name).map_err(|error| {
            bad_value(config::FILE, "norm_tag", format!("= {tag_name:?}: {error}"))
        })?;
        horizon = tag.action_horizon.unwrap_or(horizon);
        rows = tag.n_action_steps.unwrap_or(rows);
    }
    let tag = tag(files, &policy, &pipelines, (horizon, rows))?;
    let pack_inputs = &pipelines.pack_inputs;
    let top = &mut config.top;
    if pack_inputs.max_action_dim != top.max_action_dim {
        return Err(bad_value(
            pipeline::PREPROCESSOR,
            "max_action_dim",
            format!(
                "is {} but the base has {}",
                pack_inputs.max_action_dim, top.max_action_dim
            ),
        ));
    }
    top.max_action_horizon = horizon;
    top.n_obs_steps = 1;
    top.num_state_tokens = pack_inputs.num_state_tokens;
    top.add_setup_tokens = pack_inputs.add_setup_tokens;
    top.add_control_tokens = pack_inputs.add_control_tokens;
    if let Some(steps) = policy.num_inference_steps {
        top.flow_matching_num_steps = steps;
    }
    config::check::check(&config)?;
    Ok(Lerobot {
        config,
        stats: NormStats::of_one(pipelines.action.mode, tag),
        trained,
        normalize_language: pack_inputs.normalize_language,
    })
}

/// The trained heads of the policy, which its base must have.
fn trained(policy: &PolicyConfig, base: &Config) -> Result<ActionMode, LoadError> {
    let has = match policy.action_mode {
        ActionMode::Both => base.action_mode == ActionMode::Both,
        ActionMode::Discrete => base.action_mode != ActionMode::Continuous,
        ActionMode::Continuous => true,
    };
    let expert = policy.action_mode == ActionMode::Discrete || base.action_expert.is_some();
    if has && expert {
        return Ok(policy.action_mode);
    }
    Err(bad_value(
        config::FILE,
        "action_mode",
        format!(
            "is {:?}, but the base was trained for {:?}",
            policy.action_mode, base.action_mode
        ),
    ))
}

fn tag(
    files: &Files,
    policy: &PolicyConfig,
    pipelines: &Pipelines,
    (horizon, rows): (usize, usize),
) -> Result<Tag, LoadError> {
    let pack_inputs = &pipelines.pack_inputs;
    let name = policy.norm_tag.as_deref().map(str::trim);
    let state = normalizer(files, policy, &pipelines.state, STATE)?;
    let action = normalizer(files, policy, &pipelines.action, ACTION)?;
    if let Some(feature) = policy.output_features.get(ACTION)
        && feature.shape != [action.dims()]
    {
        return Err(bad_value(
            config::FILE,
            "output_features.action.shape",
            format!(
                "is {:?} but the statistics have {} dimensions",
                feature.shape,
                action.dims()
            ),
        ));
    }
    let calibration = pipelines.calibration.clone();
    let joints = calibration.as_ref().map_or(0, Calibration::joints);
    if joints > state.dims().min(action.dims()) {
        return Err(bad_value(
            pipeline::PREPROCESSOR,
            "joint_signs",
            format!(
                "has {joints} values for {} state and {} action dimensions",
                state.dims(),
                action.dims()
            ),
        ));
    }
    let camera_keys = if pack_inputs.image_keys.is_empty() {
        let visual = policy.input_features.iter();
        visual
            .filter(|(_, feature)| feature.kind == "VISUAL")
            .map(|(key, _)| key.clone())
            .collect()
    } else {
        pack_inputs.image_keys.clone()
    };
    Ok(Tag {
        name: name
            .filter(|name| !name.is_empty())
            .unwrap_or(NAMELESS)
            .to_owned(),
        camera_keys,
        camera_keys_alternative: Vec::new(),
        setup_type: pack_inputs.setup_type.clone(),
        control_mode: pack_inputs.control_mode.clone(),
        action_horizon: Some(horizon),
        n_action_steps: Some(rows),
        normalize_gripper: None,
        state,
        action,
        calibration,
    })
}

fn normalizer(
    files: &Files,
    policy: &PolicyConfig,
    state: &NormalizationStep,
    feature: &str,
) -> Result<Normalizer, LoadError> {
    let mut stats = state.stats(files, feature)?;
    stats.names = policy.dataset_feature_names.get(feature).and_then(names);
    let place = format!("{}: {feature}", state.file);
    Normalizer::lerobot(stats, state.mode, &place, state.eps)
}

/// Names of dimensions, as a list or as lists in an object.
fn names(raw: &Value) -> Option<Vec<String>> {
    let list = |values: &Vec<Value>| -> Vec<String> {
        let texts = values.iter().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    match raw {
        Value::Array(values) => Some(list(values)),
        Value::Object(groups) => Some(
            groups
                .values()
                .filter_map(Value::as_array)
                .flat_map(list)
                .collect(),
        ),
        _ => None,
    }
}
