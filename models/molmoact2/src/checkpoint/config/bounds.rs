//! Bounds of single values of `config.json`.

use super::{Config, Kind, refuse};
use crate::error::LoadError;

/// Bounds far above any network of this family. They keep a damaged number from requesting more memory than there
/// is, and every product of sizes in range.
const MAX_SIZE: usize = 1 << 20;
const MAX_IDS: usize = 1 << 24;
const MAX_LAYERS: usize = 1 << 14;
/// Also the number of rows of the rotary tables.
const MAX_POSITIONS: usize = 1 << 18;
const MAX_PIXELS: usize = 1 << 14;
const MAX_CELLS: usize = 1 << 12;
const MAX_ROWS: usize = 1 << 12;

/// Refuses sizes that are zero or far above any network's, and rates out of range.
pub(super) fn check(config: &Config) -> Result<(), LoadError> {
    positive(config)?;
    bounded(config)?;
    rates(config)
}

fn positive(config: &Config) -> Result<(), LoadError> {
    let (vit, adapter, text) = (&config.vit, &config.adapter, &config.text);
    let sizes = [
        ("vit_config.hidden_size", vit.hidden_size),
        ("vit_config.intermediate_size", vit.intermediate_size),
        ("vit_config.num_hidden_layers", vit.num_hidden_layers),
        ("vit_config.num_attention_heads", vit.num_attention_heads),
        ("vit_config.num_key_value_heads", vit.num_key_value_heads),
        ("vit_config.head_dim", vit.head_dim),
        ("vit_config.image_patch_size", vit.image_patch_size),
        ("vit_config.image_num_pos", vit.image_num_pos),
        ("adapter_config.hidden_size", adapter.hidden_size),
        (
            "adapter_config.intermediate_size",
            adapter.intermediate_size,
        ),
        (
            "adapter_config.num_attention_heads",
            adapter.num_attention_heads,
        ),
        (
            "adapter_config.num_key_value_heads",
            adapter.num_key_value_heads,
        ),
        ("adapter_config.head_dim", adapter.head_dim),
        ("adapter_config.vit_layers", adapter.vit_layers.len()),
        ("text_config.hidden_size", text.hidden_size),
        ("text_config.intermediate_size", text.intermediate_size),
        ("text_config.num_hidden_layers", text.num_hidden_layers),
        ("text_config.num_attention_heads", text.num_attention_heads),
        ("text_config.num_key_value_heads", text.num_key_value_heads),
        ("text_config.head_dim", text.head_dim),
        ("text_config.vocab_size", text.vocab_size),
        (
            "text_config.max_position_embeddings",
            text.max_position_embeddings,
        ),
    ];
    let robot = [
        ("max_action_dim", config.max_action_dim),
        ("max_action_horizon", config.max_action_horizon),
        ("n_obs_steps", config.n_obs_steps),
        ("flow_matching_num_steps", config.flow_matching_num_steps),
        ("num_state_tokens", config.num_state_tokens),
    ];
    let expert = config.action_expert.iter().flat_map(|expert| {
        [
            ("action_expert_config.hidden_size", expert.hidden_size),
            ("action_expert_config.num_layers", expert.num_layers),
            ("action_expert_config.num_heads", expert.num_heads),
            (
                "action_expert_config.timestep_embed_dim",
                expert.timestep_embed_dim,
            ),
        ]
    });
    let robot = robot.into_iter().filter(|_| config.kind == Kind::Policy);
    let mut all = sizes.into_iter().chain(robot).chain(expert);
    match all.find(|(_, size)| *size == 0 || *size > MAX_IDS) {
        Some((key, 0)) => Err(refuse(key, "is 0 or empty".to_owned())),
        Some((key, size)) => Err(too_large(key, size, MAX_IDS)),
        None => Ok(()),
    }
}

fn too_large(key: &str, size: usize, most: usize) -> LoadError {
    refuse(key, format!("is {size}; up to {most} makes sense"))
}

/// Checks sizes with bounds far below [`MAX_IDS`].
fn bounded(config: &Config) -> Result<(), LoadError> {
    let (vit, adapter, text) = (&config.vit, &config.adapter, &config.text);
    let [height, width] = vit.image_default_input_size;
    let sizes = [
        ("vit_config.hidden_size", vit.hidden_size, MAX_SIZE),
        (
            "vit_config.intermediate_size",
            vit.intermediate_size,
            MAX_SIZE,
        ),
        (
            "vit_config.num_hidden_layers",
            vit.num_hidden_layers,
            MAX_LAYERS,
        ),
        ("vit_config.image_num_pos", vit.image_num_pos, MAX_SIZE),
        (
            "vit_config.image_default_input_size",
            height.max(width),
            MAX_PIXELS,
        ),
        ("adapter_config.hidden_size", adapter.hidden_size, MAX_SIZE),
        (
            "adapter_config.intermediate_size",
            adapter.intermediate_size,
            MAX_SIZE,
        ),
        (
            "adapter_config.vit_layers",
            adapter.vit_layers.len(),
            MAX_LAYERS,
        ),
        ("text_config.hidden_size", text.hidden_size, MAX_SIZE),
        (
            "text_config.intermediate_size",
            text.intermediate_size,
            MAX_SIZE,
        ),
        (
            "text_config.num_hidden_layers",
            text.num_hidden_layers,
            MAX_LAYERS,
        ),
        (
            "text_config.num_attention_heads",
            text.num_attention_heads,
            MAX_LAYERS,
        ),
        (
            "text_config.num_key_value_heads",
            text.num_key_value_heads,
            MAX_LAYERS,
        ),
        ("text_config.head_dim", text.head_dim, MAX_LAYERS),
        (
            "text_config.additional_vocab_size",
            text.additional_vocab_size,
            MAX_IDS,
        ),
        (
            "text_config.max_position_embeddings",
            text.max_position_embeddings,
            MAX_POSITIONS,
        ),
        ("max_action_dim", config.max_action_dim, MAX_ROWS),
        ("max_action_horizon", config.max_action_horizon, MAX_ROWS),
        ("num_depth_codes", config.num_depth_codes, MAX_CELLS),
    ];
    let expert = config.action_expert.iter().flat_map(|expert| {
        [
            (
                "action_expert_config.hidden_size",
                expert.hidden_size,
                MAX_SIZE,
            ),
            (
                "action_expert_config.num_layers",
                expert.num_layers,
                MAX_LAYERS,
            ),
            (
                "action_expert_config.ffn_multiple_of",
                expert.ffn_multiple_of,
                MAX_SIZE,
            ),
            (
                "action_expert_config.timestep_embed_dim",
                expert.timestep_embed_dim,
                MAX_SIZE,
            ),
        ]
    });
    let mut all = sizes.into_iter().chain(expert);
    match all.find(|(_, size, most)| size > most) {
        Some((key, size, most)) => Err(too_large(key, size, most)),
        None => Ok(()),
    }
}

/// Checks epsilons and ratios.
fn rates(config: &Config) -> Result<(), LoadError> {
    let mut numbers = vec![
        ("vit_config.layer_norm_eps", config.vit.layer_norm_eps),
        ("text_config.layer_norm_eps", config.text.layer_norm_eps),
    ];
    if let Some(expert) = &config.action_expert {
        numbers.push(("action_expert_config.qk_norm_eps", expert.qk_norm_eps));
        numbers.push(("action_expert_config.mlp_ratio", expert.mlp_ratio));
    }
    // Written so that NaN fails. A ratio of a thousand is not plausible either.
    match numbers
        .into_iter()
        .find(|(_, number)| !(*number > 0.0 && *number < 1e3))
    {
        Some((key, number)) => Err(refuse(
            key,
            format!("is {number}; a number above 0 and below 1000 is needed"),
        )),
        None => Ok(()),
    }
}
