//! Consistency of the values of `config.json`.

use layers::ConfigError;

use super::{ActionMode, Config, Kind, bounds, refuse};
use crate::error::LoadError;

pub(crate) fn check(config: &Config) -> Result<(), LoadError> {
    bounds::check(config)?;
    shapes(config)?;
    heads(config)?;
    token_ids(config)?;
    depth(config)?;
    unsupported(config)
}

fn shapes(config: &Config) -> Result<(), LoadError> {
    let (vit, adapter) = (&config.vit, &config.adapter);
    let patch = vit.image_patch_size;
    let [height, width] = vit.image_default_input_size;
    if height == 0 || width == 0 || !height.is_multiple_of(patch) || !width.is_multiple_of(patch) {
        return Err(refuse(
            "vit_config.image_default_input_size",
            format!("is [{height}, {width}]; both must be multiples of image_patch_size = {patch}"),
        ));
    }
    if adapter.text_hidden_size != config.text.hidden_size {
        return Err(refuse(
            "adapter_config.text_hidden_size",
            format!(
                "is {} but text_config.hidden_size is {}",
                adapter.text_hidden_size, config.text.hidden_size
            ),
        ));
    }
    let too_late = adapter.vit_layers.iter().find(|layer| {
        let blocks = i64::try_from(vit.num_hidden_layers).unwrap_or(i64::MAX);
        **layer >= blocks || **layer < -blocks
    });
    if let Some(layer) = too_late {
        return Err(refuse(
            "adapter_config.vit_layers",
            format!("names block {layer} of {} blocks", vit.num_hidden_layers),
        ));
    }
    Ok(())
}

fn heads(config: &Config) -> Result<(), LoadError> {
    let (vit, adapter, text) = (&config.vit, &config.adapter, &config.text);
    for (section, heads, kv_heads) in [
        (
            "vit_config",
            vit.num_attention_heads,
            vit.num_key_value_heads,
        ),
        (
            "adapter_config",
            adapter.num_attention_heads,
            adapter.num_key_value_heads,
        ),
        (
            "text_config",
            text.num_attention_heads,
            text.num_key_value_heads,
        ),
    ] {
        if !heads.is_multiple_of(kv_heads) {
            return Err(refuse(
                &format!("{section}.num_attention_heads"),
                format!("is {heads}, not a multiple of num_key_value_heads = {kv_heads}"),
            ));
        }
    }
    // The reference merges the heads of these two straight into the hidden size.
    for (section, hidden, heads, head_dim) in [
        (
            "vit_config",
            vit.hidden_size,
            vit.num_attention_heads,
            vit.head_dim,
        ),
        (
            "adapter_config",
            adapter.hidden_size,
            adapter.num_attention_heads,
            adapter.head_dim,
        ),
    ] {
        if heads.checked_mul(head_dim) != Some(hidden) {
            return Err(refuse(
                &format!("{section}.hidden_size"),
                format!("is {hidden}, not num_attention_heads x head_dim = {heads} x {head_dim}"),
            ));
        }
    }
    if !text.head_dim.is_multiple_of(2) {
        return Err(refuse(
            "text_config.head_dim",
            format!("is {}; rotary positions need an even one", text.head_dim),
        ));
    }
    if let Some(expert) = &config.action_expert {
        if !expert.hidden_size.is_multiple_of(expert.num_heads) {
            return Err(refuse(
                "action_expert_config.hidden_size",
                format!(
                    "is {}, not a multiple of num_heads = {}",
                    expert.hidden_size, expert.num_heads
                ),
            ));
        }
        if expert.num_layers != config.text.num_hidden_layers {
            return Err(refuse(
                "action_expert_config.num_layers",
                format!(
                    "is {} but text_config.num_hidden_layers is {}; the expert has one block per layer",
                    expert.num_layers, config.text.num_hidden_layers
                ),
            ));
        }
    }
    Ok(())
}

fn token_ids(config: &Config) -> Result<(), LoadError> {
    let inputs = config
        .text
        .vocab_size
        .saturating_add(config.text.additional_vocab_size);
    let single = [
        ("image_start_token_id", Some(config.image_start_token_id)),
        ("image_end_token_id", Some(config.image_end_token_id)),
        ("image_patch_id", Some(config.image_patch_id)),
        ("image_col_id", Some(config.image_col_id)),
        (
            "low_res_image_start_token_id",
            Some(config.low_res_image_start_token_id),
        ),
        ("image_low_res_id", Some(config.image_low_res_id)),
        ("state_start_token_id", Some(config.state_start_token_id)),
        ("state_end_token_id", Some(config.state_end_token_id)),
        ("action_output_token_id", config.action_output_token_id),
        ("bos_token_id", config.bos_token_id),
    ];
    for (key, id) in single {
        if let Some(id) = id.filter(|id| *id as usize >= inputs) {
            return Err(refuse(
                key,
                format!("is {id}, beyond vocab_size + additional_vocab_size = {inputs}"),
            ));
        }
    }
    if config.kind == Kind::VisionLanguage {
        return Ok(());
    }
    fits(
        "state_token_start_id",
        config.state_token_start_id,
        config.num_state_tokens,
        inputs,
    )?;
    if config.action_mode == ActionMode::Continuous {
        return Ok(());
    }
    // The token head can only emit ids below vocab_size.
    let outputs = config.text.vocab_size;
    let needed = [
        ("action_start_token_id", config.action_start_token_id),
        ("action_end_token_id", config.action_end_token_id),
        ("action_token_start_id", config.action_token_start_id),
    ];
    // Some files name the end of text in generation_config.json alone.
    if let Some(id) = config.eos_token_id {
        fits("eos_token_id", id, 1, outputs)?;
    }
    for (key, id) in needed {
        let Some(id) = id else {
            return Err(refuse(
                key,
                format!("is missing; action_mode {:?} needs it", config.action_mode),
            ));
        };
        fits(key, id, 1, outputs)?;
    }
    let first = config.action_token_start_id.unwrap_or_default();
    fits(
        "action_token_start_id",
        first,
        config.num_action_tokens,
        outputs,
    )
}

fn depth(config: &Config) -> Result<(), LoadError> {
    if !config.enable_depth_reasoning {
        return Ok(());
    }
    let outputs = config.text.vocab_size;
    let needed = [
        ("depth_start_token_id", config.depth_start_token_id, 1),
        ("depth_end_token_id", config.depth_end_token_id, 1),
        (
            "depth_token_start_id",
            config.depth_token_start_id,
            config.num_depth_tokens,
        ),
    ];
    for (key, id, count) in needed {
        match id {
            Some(id) => fits(key, id, count, outputs)?,
            None => {
                return Err(refuse(
                    key,
                    "is missing; enable_depth_reasoning needs it".to_owned(),
                ));
            }
        }
    }
    let sizes = [
        ("num_depth_tokens", config.num_depth_tokens),
        ("num_depth_codes", config.num_depth_codes),
    ];
    match sizes.into_iter().find(|(_, size)| *size == 0) {
        Some((key, _)) => Err(refuse(key, "is 0 or missing".to_owned())),
        None => Ok(()),
    }
}

fn fits(key: &str, first: u32, count: usize, limit: usize) -> Result<(), LoadError> {
    match (first as usize).checked_add(count) {
        Some(end) if end <= limit => Ok(()),
        _ => Err(refuse(
            key,
            format!("is {first}: {count} ids from there do not fit below {limit}"),
        )),
    }
}

fn unsupported(config: &Config) -> Result<(), LoadError> {
    let file = &config.norm_stats_filename;
    if file.contains(['/', '\\']) || file == ".." {
        return Err(refuse(
            "norm_stats_filename",
            format!("is {file:?}, which is not a plain file name"),
        ));
    }
    let no = |what: String, why: &str| {
        Err(LoadError::Config(ConfigError::Unsupported {
            what,
            why: why.to_owned(),
        }))
    };
    if config.top.state_format != "discrete" {
        return no(
            format!("state_format = {:?}", config.top.state_format),
            "the state is only read as tokens of the prompt (\"discrete\")",
        );
    }
    if config.text.tie_word_embeddings {
        return no(
            "text_config.tie_word_embeddings = true".to_owned(),
            "the output head is expected as a tensor of its own",
        );
    }
    if config.action_mode != ActionMode::Discrete && config.action_expert.is_none() {
        return Err(refuse(
            "add_action_expert",
            format!(
                "is false, but action_mode {:?} needs the expert",
                config.action_mode
            ),
        ));
    }
    Ok(())
}
