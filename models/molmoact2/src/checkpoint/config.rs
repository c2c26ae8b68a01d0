//! `config.json`, read key by key.
//!
//! Names are those of the file, so that a value can be found there; sections lose their `_config`. Keys that
//! change nothing in inference (dropout, initialisation, training) are not read. Nothing is assumed about the
//! sizes: what a key says is used, and what contradicts another key is refused with both named.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{LoadError, bad_value};

pub(crate) mod check;
mod keys;

/// File name in a policy folder.
pub const FILE: &str = "config.json";

/// Which heads were trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionMode {
    /// The flow-matching expert alone.
    Continuous,
    /// The token head alone.
    Discrete,
    /// Both.
    Both,
}

/// What a checkpoint was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Robots: it has an action expert, action tokens, or both.
    Policy,
    /// Questions about images, and nothing else: `model_type` "molmo2", or no expert and no action tokens. The
    /// keys about robots mean nothing in such a file and may be absent.
    VisionLanguage,
}

/// The vision tower (`vit_config`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct VitConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    /// Blocks the tower was made with; `vit_layers` counts from this even when the file holds fewer.
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub hidden_act: String,
    pub layer_norm_eps: f64,
    /// Height, width in pixels.
    pub image_default_input_size: [usize; 2],
    /// Pixels along one side of a patch.
    pub image_patch_size: usize,
    pub image_num_pos: usize,
}

/// Pooling and projection of the image features (`adapter_config`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct AdapterConfig {
    /// Blocks whose outputs are concatenated, in this order; negative ones count from the end.
    pub vit_layers: Vec<i64>,
    /// Whether places outside the image are left out of the pooling.
    #[serde(default)]
    pub pooling_attention_mask: bool,
    pub hidden_size: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub hidden_act: String,
    pub intermediate_size: usize,
    pub text_hidden_size: usize,
}

/// The language model (`text_config`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct TextConfig {
    pub hidden_size: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    /// Rows of the output head; ids from here up are inputs only.
    pub vocab_size: usize,
    /// Rows of the second embedding table, which follows the first.
    pub additional_vocab_size: usize,
    pub qkv_bias: bool,
    pub num_hidden_layers: usize,
    pub intermediate_size: usize,
    pub hidden_act: String,
    pub max_position_embeddings: usize,
    /// Base of the rotary frequencies. Newer files keep it in `rope_parameters`.
    #[serde(default)]
    pub rope_theta: f64,
    /// Scaling of the rotary frequencies; `None` for the plain kind.
    #[serde(default)]
    pub rope_scaling: Option<Value>,
    #[serde(default)]
    pub rope_scaling_layers: Option<Vec<usize>>,
    #[serde(default)]
    rope_parameters: Option<Value>,
    pub use_qk_norm: bool,
    pub qk_norm_type: String,
    pub layer_norm_eps: f64,
    pub norm_after: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
}

/// The flow-matching expert (`action_expert_config`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct ActionExpertConfig {
    pub hidden_size: usize,
    pub num_layers: usize,
    pub num_heads: usize,
    pub mlp_ratio: f64,
    pub ffn_multiple_of: usize,
    pub timestep_embed_dim: usize,
    pub context_layer_norm: bool,
    pub qk_norm: bool,
    pub qk_norm_eps: f64,
    pub rope: bool,
    pub causal_attn: bool,
}

impl ActionExpertConfig {
    /// Width inside the feed-forward layers: the ratio's, rounded up to the multiple.
    #[must_use]
    pub fn inner_width(&self) -> usize {
        let width = (self.hidden_size as f64 * self.mlp_ratio) as usize;
        match self.ffn_multiple_of {
            0 => width,
            multiple => width.next_multiple_of(multiple),
        }
    }
}

/// The whole file.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct Config {
    /// What the checkpoint was made for.
    pub kind: Kind,
    pub vit: VitConfig,
    pub adapter: AdapterConfig,
    pub text: TextConfig,
    /// `None` when `add_action_expert` is false.
    pub action_expert: Option<ActionExpertConfig>,
    /// The keys at the top of the file.
    pub(crate) top: TopConfig,
}

/// Keys at the top of the file. [`Config`] dereferences to it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct TopConfig {
    /// Columns of the action tensor; robots with fewer dimensions leave the rest zero.
    #[serde(default)]
    pub max_action_dim: usize,
    /// Rows of the longest chunk.
    #[serde(default)]
    pub max_action_horizon: usize,
    /// Rows of a chunk up to the present one; execution starts at row `n_obs_steps - 1`.
    #[serde(default)]
    pub n_obs_steps: usize,
    #[serde(default = "discrete_mode")]
    pub action_mode: ActionMode,
    #[serde(default)]
    pub flow_matching_num_steps: usize,
    #[serde(default = "yes")]
    pub mask_action_dim_padding: bool,
    #[serde(default = "yes")]
    pub add_action_expert: bool,
    #[serde(default)]
    pub enable_depth_reasoning: bool,
    #[serde(default)]
    pub action_expert_depth_gate: bool,
    /// Whether each layer has a gate of its own.
    #[serde(default)]
    pub action_expert_depth_gate_per_layer: bool,
    #[serde(default = "yes")]
    pub add_setup_tokens: bool,
    #[serde(default = "yes")]
    pub add_control_tokens: bool,
    #[serde(default = "norm_stats_file")]
    pub norm_stats_filename: String,
    #[serde(default = "discrete")]
    state_format: String,

    #[serde(default)]
    pub bos_token_id: Option<u32>,
    /// The first one where the file lists several.
    #[serde(default, deserialize_with = "one_or_first")]
    pub eos_token_id: Option<u32>,
    pub image_start_token_id: u32,
    pub image_end_token_id: u32,
    pub image_patch_id: u32,
    pub image_col_id: u32,
    pub low_res_image_start_token_id: u32,
    pub image_low_res_id: u32,
    #[serde(default)]
    pub frame_start_token_id: Option<u32>,
    #[serde(default)]
    pub frame_end_token_id: Option<u32>,
    #[serde(default)]
    pub state_start_token_id: u32,
    #[serde(default)]
    pub state_end_token_id: u32,
    #[serde(default)]
    pub state_token_start_id: u32,
    #[serde(default)]
    pub num_state_tokens: usize,
    #[serde(default)]
    pub action_output_token_id: Option<u32>,
    #[serde(default)]
    pub action_start_token_id: Option<u32>,
    #[serde(default)]
    pub action_end_token_id: Option<u32>,
    #[serde(default)]
    pub action_token_start_id: Option<u32>,
    #[serde(default)]
    pub num_action_tokens: usize,
    #[serde(default)]
    pub depth_output_token_id: Option<u32>,
    #[serde(default)]
    pub depth_start_token_id: Option<u32>,
    #[serde(default)]
    pub depth_end_token_id: Option<u32>,
    #[serde(default)]
    pub depth_token_start_id: Option<u32>,
    /// Codes there are.
    #[serde(default)]
    pub num_depth_tokens: usize,
    /// Cells of a depth map.
    #[serde(default)]
    pub num_depth_codes: usize,
}

impl std::ops::Deref for Config {
    type Target = TopConfig;

    fn deref(&self) -> &TopConfig {
        &self.top
    }
}

impl TopConfig {
    /// Ids that attend to each other in both directions: everything that stands for an image.
    #[must_use]
    pub fn image_type_ids(&self) -> Vec<u32> {
        let always = [
            self.image_start_token_id,
            self.image_end_token_id,
            self.image_patch_id,
            self.image_col_id,
            self.low_res_image_start_token_id,
            self.image_low_res_id,
        ];
        let frames = [self.frame_start_token_id, self.frame_end_token_id];
        always
            .into_iter()
            .chain(frames.into_iter().flatten())
            .collect()
    }
}

impl Config {
    /// Keys of `config.json` that nothing here reads and that are not known to change nothing, with their section.
    /// [`Config::parse`] takes a file with them only where they are off (null, false, 0 or empty) or private (`_...`).
    ///
    /// # Errors
    /// [`LoadError::BadFile`] if it is not JSON.
    pub fn unknown_keys(bytes: &[u8]) -> Result<Vec<String>, LoadError> {
        Ok(keys::unknown(&crate::error::parse_json(FILE, bytes)?))
    }

    /// Reads the bytes of `config.json`.
    ///
    /// # Errors
    /// [`LoadError::BadFile`] for a missing key or a value of the wrong type, [`LoadError::BadValue`] for
    /// values that are impossible or contradict each other, [`LoadError::Unsupported`] for kinds of model
    /// that are not read. Each names the key.
    pub fn parse(bytes: &[u8]) -> Result<Self, LoadError> {
        let mut raw: Value = crate::error::parse_json(FILE, bytes)?;
        keys::refuse_unknown_behaviour(&raw)?;
        let kind = kind(&raw)?;
        match kind {
            Kind::Policy => require(&raw)?,
            Kind::VisionLanguage => forget_robots(&mut raw),
        }
        let top: TopConfig = section(&raw, None)?;
        let mut text: TextConfig = section(&raw, Some("text_config"))?;
        resolve_rope(&mut text)?;
        let action_expert = if top.add_action_expert {
            Some(section(&raw, Some("action_expert_config"))?)
        } else {
            None
        };
        let config = Self {
            kind,
            vit: section(&raw, Some("vit_config"))?,
            adapter: section(&raw, Some("adapter_config"))?,
            text,
            action_expert,
            top,
        };
        check::check(&config)?;
        Ok(config)
    }
}

/// Keys at the top of the file that every policy must have.
const ROBOT_KEYS: [&str; 9] = [
    "max_action_dim",
    "max_action_horizon",
    "n_obs_steps",
    "action_mode",
    "flow_matching_num_steps",
    "state_start_token_id",
    "state_end_token_id",
    "state_token_start_id",
    "num_state_tokens",
];

fn kind(raw: &Value) -> Result<Kind, LoadError> {
    match raw.get("model_type").and_then(Value::as_str) {
        Some("molmo2") => return Ok(Kind::VisionLanguage),
        Some("molmoact2") | None => {}
        Some(found) => {
            return Err(LoadError::Unsupported {
                what: format!("model_type = {found:?}"),
                why: "this reader takes \"molmoact2\" and \"molmo2\"".to_owned(),
            });
        }
    }
    let no_expert = raw.get("add_action_expert").and_then(Value::as_bool) == Some(false);
    let action_tokens = raw.get("num_action_tokens").and_then(Value::as_u64);
    Ok(if no_expert && action_tokens.unwrap_or(0) == 0 {
        Kind::VisionLanguage
    } else {
        Kind::Policy
    })
}

/// The first key of a policy that is not there, in the words of the reader.
fn require(raw: &Value) -> Result<(), LoadError> {
    match ROBOT_KEYS.iter().find(|key| raw.get(key).is_none()) {
        Some(key) => Err(LoadError::BadFile {
            file: FILE.to_owned(),
            place: String::new(),
            reason: format!("missing field `{key}`"),
        }),
        None => Ok(()),
    }
}

/// Takes everything about robots out: the file of a plain VLM holds some of it as null or at its default.
fn forget_robots(raw: &mut Value) {
    let Some(keys) = raw.as_object_mut() else {
        return;
    };
    keys.retain(|key, _| {
        !(ROBOT_KEYS.contains(&key.as_str())
            || key.contains("action")
            || key.contains("depth")
            || key.contains("state_"))
    });
    keys.insert("add_action_expert".to_owned(), Value::Bool(false));
}

fn section<T: serde::de::DeserializeOwned>(raw: &Value, key: Option<&str>) -> Result<T, LoadError> {
    let place = key.map_or_else(String::new, |key| format!("{key}: "));
    let value = match key {
        Some(key) => raw.get(key).ok_or_else(|| LoadError::BadFile {
            file: FILE.to_owned(),
            place: place.clone(),
            reason: "is missing".to_owned(),
        })?,
        None => raw,
    };
    field_files::json::from_value(value)
        .map_err(|error| crate::error::bad_json(FILE, &place, &error))
}

/// Brings both spellings of the rotary settings together.
fn resolve_rope(text: &mut TextConfig) -> Result<(), LoadError> {
    if let Some(parameters) = text.rope_parameters.take() {
        if let Some(theta) = parameters.get("rope_theta").and_then(Value::as_f64) {
            if text.rope_theta == 0.0 {
                text.rope_theta = theta;
            } else if text.rope_theta.to_bits() != theta.to_bits() {
                return Err(bad_value(
                    FILE,
                    "text_config.rope_theta",
                    format!(
                        "is {} but rope_parameters.rope_theta is {theta}",
                        text.rope_theta
                    ),
                ));
            }
        }
        let kind = parameters.get("rope_type").and_then(Value::as_str);
        if kind.is_some_and(|kind| kind != "default") {
            text.rope_scaling = Some(parameters);
        }
    }
    if !(text.rope_theta.is_finite() && text.rope_theta > 0.0) {
        return Err(bad_value(
            FILE,
            "text_config.rope_theta",
            format!("is {}; a number above 0 is needed", text.rope_theta),
        ));
    }
    Ok(())
}

fn yes() -> bool {
    true
}

fn norm_stats_file() -> String {
    "norm_stats.json".to_owned()
}

/// What stands for "no expert"; a plain VLM has no mode at all.
fn discrete_mode() -> ActionMode {
    ActionMode::Discrete
}

fn discrete() -> String {
    "discrete".to_owned()
}

fn one_or_first<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Ids {
        One(u32),
        Several(Vec<u32>),
    }
    Ok(match Option::<Ids>::deserialize(from)? {
        Some(Ids::One(id)) => Some(id),
        Some(Ids::Several(ids)) => ids.first().copied(),
        None => None,
    })
}
