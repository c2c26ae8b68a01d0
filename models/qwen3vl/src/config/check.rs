//! Checks of `config.json`: values that are impossible alone or together.

use layers::ConfigError;

use super::{Config, FILE};

/// A bound on every size, far above any published one, that keeps products of a few of them in range.
const MOST: usize = 1 << 20;
/// A bound on the number of layers: each is an entry of some table before a weight is looked for.
const MOST_LAYERS: usize = 1 << 10;

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    sizes(config)?;
    vision(config)?;
    text(config)?;
    ids(config)
}

fn refuse(key: &str, problem: String) -> ConfigError {
    ConfigError::bad_value(FILE, key, problem)
}

fn sizes(config: &Config) -> Result<(), ConfigError> {
    let (vision, text) = (&config.vision, &config.text);
    let sizes = [
        ("vision_config.depth", vision.depth),
        ("vision_config.hidden_size", vision.hidden_size),
        ("vision_config.intermediate_size", vision.intermediate_size),
        ("vision_config.num_heads", vision.num_heads),
        ("vision_config.patch_size", vision.patch_size),
        (
            "vision_config.spatial_merge_size",
            vision.spatial_merge_size,
        ),
        ("vision_config.out_hidden_size", vision.out_hidden_size),
        (
            "vision_config.num_position_embeddings",
            vision.num_position_embeddings,
        ),
        ("text_config.vocab_size", text.vocab_size),
        ("text_config.hidden_size", text.hidden_size),
        ("text_config.intermediate_size", text.intermediate_size),
        ("text_config.num_hidden_layers", text.num_hidden_layers),
        ("text_config.num_attention_heads", text.num_attention_heads),
        ("text_config.num_key_value_heads", text.num_key_value_heads),
        ("text_config.head_dim", text.head_dim),
        (
            "text_config.max_position_embeddings",
            text.max_position_embeddings,
        ),
    ];
    let most = |key: &str| match key {
        "vision_config.depth" | "text_config.num_hidden_layers" => MOST_LAYERS,
        _ => MOST,
    };
    match sizes
        .into_iter()
        .find(|(key, size)| !(1..=most(key)).contains(size))
    {
        Some((key, size)) => Err(refuse(
            key,
            format!("is {size}; a number from 1 to {} is needed", most(key)),
        )),
        None => Ok(()),
    }
}

fn vision(config: &Config) -> Result<(), ConfigError> {
    let vision = &config.vision;
    if vision.hidden_act != "gelu_pytorch_tanh" {
        return Err(ConfigError::unsupported(
            format!("vision_config.hidden_act = {:?}", vision.hidden_act),
            "the vision tower computes \"gelu_pytorch_tanh\"",
        ));
    }
    if vision.in_channels != 3 || vision.temporal_patch_size != 2 {
        return Err(ConfigError::unsupported(
            format!(
                "vision_config.in_channels = {} and temporal_patch_size = {}",
                vision.in_channels, vision.temporal_patch_size
            ),
            "patches of two frames of three colours are read",
        ));
    }
    if !vision.hidden_size.is_multiple_of(vision.num_heads) || !vision.head_dim().is_multiple_of(4)
    {
        return Err(refuse(
            "vision_config.num_heads",
            format!(
                "is {}; hidden_size = {} must split into heads whose width is a multiple of 4",
                vision.num_heads, vision.hidden_size
            ),
        ));
    }
    let side = vision.num_position_embeddings.isqrt();
    if side * side != vision.num_position_embeddings {
        return Err(refuse(
            "vision_config.num_position_embeddings",
            format!("is {}, which is no square", vision.num_position_embeddings),
        ));
    }
    if vision.out_hidden_size != config.text.hidden_size {
        return Err(refuse(
            "vision_config.out_hidden_size",
            format!(
                "is {} but text_config.hidden_size is {}",
                vision.out_hidden_size, config.text.hidden_size
            ),
        ));
    }
    let taps = &vision.deepstack_visual_indexes;
    if let Some(tap) = taps.iter().find(|tap| **tap >= vision.depth) {
        return Err(refuse(
            "vision_config.deepstack_visual_indexes",
            format!("contains {tap}; there are {} blocks", vision.depth),
        ));
    }
    // The reference collects features in the order of the blocks and merges each with the merger of its place.
    if !taps.is_sorted_by(|a, b| a < b) {
        return Err(refuse(
            "vision_config.deepstack_visual_indexes",
            format!("is {taps:?}; each must be above the one before it"),
        ));
    }
    if taps.len() > config.text.num_hidden_layers {
        return Err(refuse(
            "vision_config.deepstack_visual_indexes",
            format!(
                "names {} blocks for {} layers of the language model",
                taps.len(),
                config.text.num_hidden_layers
            ),
        ));
    }
    Ok(())
}

fn text(config: &Config) -> Result<(), ConfigError> {
    let text = &config.text;
    if text.hidden_act != "silu" {
        return Err(ConfigError::unsupported(
            format!("text_config.hidden_act = {:?}", text.hidden_act),
            "the language model computes \"silu\"",
        ));
    }
    if !text
        .num_attention_heads
        .is_multiple_of(text.num_key_value_heads)
    {
        return Err(refuse(
            "text_config.num_key_value_heads",
            format!(
                "is {}, which does not divide num_attention_heads = {}",
                text.num_key_value_heads, text.num_attention_heads
            ),
        ));
    }
    if !text.head_dim.is_multiple_of(2) {
        return Err(refuse(
            "text_config.head_dim",
            format!("is {}; rotation needs an even number", text.head_dim),
        ));
    }
    let [_, height, width] = text.mrope_section;
    let half = text.head_dim / 2;
    // Every third frequency from 1 and from 2 on.
    if height.saturating_mul(3) > half + 1
        || width.saturating_mul(3) > half
        || text
            .mrope_section
            .iter()
            .try_fold(0_usize, |sum, n| sum.checked_add(*n))
            != Some(half)
    {
        return Err(refuse(
            "text_config.rope_scaling.mrope_section",
            format!(
                "is {:?}; the three must add up to half of head_dim = {}, and height and width get at most a third each",
                text.mrope_section, text.head_dim
            ),
        ));
    }
    for (key, value) in [
        ("text_config.rope_theta", text.rope_theta),
        ("text_config.rms_norm_eps", text.rms_norm_eps),
    ] {
        if !(value.is_finite() && value > 0.0) {
            return Err(refuse(
                key,
                format!("is {value}; a number above 0 is needed"),
            ));
        }
    }
    Ok(())
}

fn ids(config: &Config) -> Result<(), ConfigError> {
    let ids = [
        ("image_token_id", config.image_token_id),
        ("video_token_id", config.video_token_id),
        ("vision_start_token_id", config.vision_start_token_id),
        ("vision_end_token_id", config.vision_end_token_id),
    ];
    for (place, (key, id)) in ids.iter().enumerate() {
        if *id as usize >= config.text.vocab_size {
            return Err(refuse(
                key,
                format!("is {id}, not below vocab_size = {}", config.text.vocab_size),
            ));
        }
        if let Some((other, _)) = ids.iter().take(place).find(|(_, same)| same == id) {
            return Err(refuse(key, format!("is {id}, and so is {other}")));
        }
    }
    Ok(())
}
