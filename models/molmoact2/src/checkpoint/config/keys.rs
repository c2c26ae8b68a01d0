//! Keys of `config.json` beyond those that are read. Keys that would change the computation are refused, keys that
//! are known to be irrelevant are ignored. An unknown key is refused as well unless it is off: it could require
//! another network, and the robot would move by the wrong one.

use layers::ConfigError;
use serde_json::Value;

use crate::checkpoint::unknown_keys;
use crate::error::LoadError;

/// Keys that require something this network does not compute, unless they are absent or at their neutral value.
/// They come from the configuration classes of this family of models and of those it is built from.
const UNSUPPORTED: [(&str, &str); 20] = [
    (
        "quantization_config",
        "the weights would be stored in another form",
    ),
    (
        "use_sliding_window",
        "only attention over the whole sequence is implemented",
    ),
    (
        "layer_types",
        "only attention over the whole sequence is implemented",
    ),
    (
        "attn_logit_softcapping",
        "scores of attention are not capped",
    ),
    (
        "final_logit_softcapping",
        "scores of the output head are not capped",
    ),
    ("clip_qkv", "queries, keys and values are not clipped"),
    (
        "attention_multiplier",
        "scores of attention are scaled by the head's width alone",
    ),
    (
        "query_pre_attn_scalar",
        "scores of attention are scaled by the head's width alone",
    ),
    ("residual_multiplier", "branches are added as they are"),
    ("embedding_multiplier", "embeddings are used as they are"),
    ("scale_emb", "embeddings are used as they are"),
    (
        "scale_logits",
        "scores of the output head are used as they are",
    ),
    (
        "logits_scaling",
        "scores of the output head are used as they are",
    ),
    ("num_experts", "feed-forward layers are not mixtures"),
    ("num_local_experts", "feed-forward layers are not mixtures"),
    (
        "mlp_bias",
        "feed-forward layers of the language model have no bias",
    ),
    ("attention_bias", "use qkv_bias, as the published files do"),
    ("attention_sinks", "attention has no sinks"),
    ("use_cls_token", "the vision tower has no class token"),
    (
        "image_padding_embed",
        "places outside an image have no embedding",
    ),
];

/// Keys of training, of the framework's execution, and names.
const IRRELEVANT: [&str; 52] = [
    "_name_or_path",
    "action_expert_depth_gate_init_bias",
    "architectures",
    "attention_dropout",
    "attn_dropout",
    "attn_implementation",
    "auto_map",
    "bos_token_id",
    "chunk_size",
    "chunk_size_feed_forward",
    "compile_model",
    "depth_mode",
    "dropout",
    "dtype",
    "embedding_dropout",
    "eos_token_id",
    "float32_attention",
    "flow_matching_beta_alpha",
    "flow_matching_beta_beta",
    "flow_matching_cutoff",
    "flow_matching_time_offset",
    "flow_matching_time_scale",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "id2label",
    "ignore_keys_at_rope_validation",
    "image_feature_dropout",
    "image_high_res_id",
    "image_num_patch",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "max_action_dim",
    "max_action_horizon",
    "model_type",
    "n_action_steps",
    "num_flow_timesteps",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "problem_type",
    "residual_dropout",
    "return_dict",
    "rope_parameters",
    "tie_word_embeddings",
    "tokenizer_class",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "use_frame_special_tokens",
    "vit_layers",
];

/// Keys that transformers 4 wrote for every kind of model where they differed from its defaults; no model of this
/// family reads them.
const FRAMEWORK_KEYS: [&str; 37] = [
    "add_cross_attention",
    "bad_words_ids",
    "begin_suppress_tokens",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "length_penalty",
    "max_length",
    "min_length",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_scores",
    "prefix",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "top_k",
    "top_p",
    "torchscript",
    "typical_p",
    "use_bfloat16",
];

const SECTIONS: [&str; 4] = [
    "vit_config",
    "adapter_config",
    "text_config",
    "action_expert_config",
];

/// Keys that are read, by section; the first list is the top of the file.
const READ: [&[&str]; 5] = [
    &[
        "max_action_dim",
        "max_action_horizon",
        "n_obs_steps",
        "action_mode",
        "flow_matching_num_steps",
        "mask_action_dim_padding",
        "add_action_expert",
        "enable_depth_reasoning",
        "action_expert_depth_gate",
        "action_expert_depth_gate_per_layer",
        "add_setup_tokens",
        "add_control_tokens",
        "norm_stats_filename",
        "state_format",
        "image_start_token_id",
        "image_end_token_id",
        "image_patch_id",
        "image_col_id",
        "low_res_image_start_token_id",
        "image_low_res_id",
        "frame_start_token_id",
        "frame_end_token_id",
        "state_start_token_id",
        "state_end_token_id",
        "state_token_start_id",
        "num_state_tokens",
        "action_output_token_id",
        "action_start_token_id",
        "action_end_token_id",
        "action_token_start_id",
        "num_action_tokens",
        "depth_output_token_id",
        "depth_start_token_id",
        "depth_end_token_id",
        "depth_token_start_id",
        "num_depth_tokens",
        "num_depth_codes",
        "eos_token_id",
        "bos_token_id",
        "model_type",
    ],
    &[
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "hidden_act",
        "layer_norm_eps",
        "image_default_input_size",
        "image_patch_size",
        "image_num_pos",
    ],
    &[
        "pooling_attention_mask",
        "hidden_size",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "hidden_act",
        "intermediate_size",
        "text_hidden_size",
    ],
    &[
        "hidden_size",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "vocab_size",
        "additional_vocab_size",
        "qkv_bias",
        "num_hidden_layers",
        "intermediate_size",
        "hidden_act",
        "max_position_embeddings",
        "rope_theta",
        "rope_scaling",
        "rope_scaling_layers",
        "use_qk_norm",
        "qk_norm_type",
        "layer_norm_eps",
        "norm_after",
        "rope_parameters",
        "tie_word_embeddings",
    ],
    &[
        "hidden_size",
        "num_layers",
        "num_heads",
        "mlp_ratio",
        "ffn_multiple_of",
        "timestep_embed_dim",
        "context_layer_norm",
        "qk_norm",
        "qk_norm_eps",
        "rope",
        "causal_attn",
    ],
];

/// The objects of the file: `None` and its top, then each section by name.
fn objects(
    raw: &Value,
) -> impl Iterator<Item = (Option<&'static str>, &serde_json::Map<String, Value>)> {
    let top = raw.as_object().map(|top| (None, top));
    let sections = SECTIONS
        .into_iter()
        .filter_map(move |name| Some((Some(name), raw.get(name)?.as_object()?)));
    top.into_iter().chain(sections)
}

fn place(section: Option<&str>, key: &str) -> String {
    section.map_or_else(|| key.to_owned(), |section| format!("{section}.{key}"))
}

pub(super) fn refuse_unknown_behavior(raw: &Value) -> Result<(), LoadError> {
    for (section, keys) in objects(raw) {
        let place_of = section.map_or_else(String::new, |section| format!("{section}: "));
        unknown_keys::check(keys, read_in(section), super::FILE, &place_of)?;
        for (key, value) in keys {
            let why = match UNSUPPORTED.iter().find(|(change, _)| change == key) {
                Some(_) if asks_for_nothing(key, value) => continue,
                Some((_, why)) => *why,
                None if is_known(section, key) || key.starts_with('_') || is_off(value) => continue,
                None => {
                    "what it asks for is not known here, so the network could be another one; if it changes nothing in \
                     inference, take it out of the file"
                }
            };
            return Err(LoadError::Config(ConfigError::Unsupported {
                what: format!("{} = {value} in {}", place(section, key), super::FILE),
                why: why.to_owned(),
            }));
        }
    }
    Ok(())
}

/// True if a value is off, whatever its key means.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        Value::Bool(true) => false,
    }
}

fn asks_for_nothing(key: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => {
            let number = number.as_f64();
            number == Some(0.0)
                || (number == Some(1.0) && !key.contains("cap") && !key.contains("clip"))
        }
        Value::Array(values) if key == "layer_types" => {
            values.iter().all(|kind| kind == "full_attention")
        }
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        Value::Bool(true) | Value::String(_) => false,
    }
}

/// True if a key is one of those that are read, refused or known to change nothing.
fn is_known(section: Option<&str>, key: &str) -> bool {
    read_in(section).contains(&key)
        || IRRELEVANT.contains(&key)
        || FRAMEWORK_KEYS.contains(&key)
        || UNSUPPORTED.iter().any(|(change, _)| *change == key)
        || (section.is_none() && SECTIONS.contains(&key))
}

/// The keys that are read of a section, or of the top.
fn read_in(section: Option<&str>) -> &'static [&'static str] {
    let index = SECTIONS.iter().position(|name| Some(*name) == section);
    READ.get(index.map_or(0, |index| index + 1))
        .copied()
        .unwrap_or_default()
}

pub(super) fn unknown(raw: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    for (section, keys) in objects(raw) {
        unknown.extend(
            keys.keys()
                .filter(|key| !is_known(section, key))
                .map(|key| place(section, key)),
        );
    }
    unknown
}
