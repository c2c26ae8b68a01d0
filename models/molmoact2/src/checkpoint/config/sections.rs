//! The sections of `config.json`.

use serde::Deserialize;
use serde_json::Value;

use super::ActionMode;

/// The vision tower (`vit_config`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct VitConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    /// Blocks of the original tower; `vit_layers` counts from this even if the file holds fewer.
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
    /// True if positions outside the image are excluded from the pooling.
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
    pub(super) rope_parameters: Option<Value>,
    pub use_qk_norm: bool,
    pub qk_norm_type: String,
    pub layer_norm_eps: f64,
    pub norm_after: bool,
    #[serde(default)]
    pub(super) tie_word_embeddings: bool,
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
    /// Width inside the feed-forward layers: `hidden_size * mlp_ratio`, rounded up to the multiple.
    #[must_use]
    pub fn inner_width(&self) -> usize {
        let width = (self.hidden_size as f64 * self.mlp_ratio) as usize;
        match self.ffn_multiple_of {
            0 => width,
            multiple => width.next_multiple_of(multiple),
        }
    }
}

/// Keys at the top of the file. [`super::Config`] dereferences to it.
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
    /// True if each layer has its own gate.
    #[serde(default)]
    pub action_expert_depth_gate_per_layer: bool,
    #[serde(default = "yes")]
    pub add_setup_tokens: bool,
    #[serde(default = "yes")]
    pub add_control_tokens: bool,
    #[serde(default = "norm_stats_file")]
    pub norm_stats_filename: String,
    #[serde(default = "discrete")]
    pub(super) state_format: String,

    #[serde(default)]
    pub bos_token_id: Option<u32>,
    /// The first one if the file lists several.
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
    /// Number of depth codes.
    #[serde(default)]
    pub num_depth_tokens: usize,
    /// Cells of a depth map.
    #[serde(default)]
    pub num_depth_codes: usize,
}

impl TopConfig {
    /// Ids of image tokens, which attend to each other in both directions.
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

fn yes() -> bool {
    true
}

fn norm_stats_file() -> String {
    "norm_stats.json".to_owned()
}

/// Default for a file without an expert; a plain VLM has no mode.
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
