//! `config.json`: values that are read, and values that are refused with the key named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/inputs.rs"]
mod inputs;

use inputs::{CASES, read};
use molmoact2::config::{ActionMode, Config, Kind};
use molmoact2::processor_config::ProcessorConfig;
use serde_json::{Value, json};

fn raw(case: &str) -> Value {
    serde_json::from_slice(&read(&format!("{case}/checkpoint/config.json"))).unwrap()
}

fn parse(raw: &Value) -> Result<Config, String> {
    Config::parse(&serde_json::to_vec(raw).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn the_golden_configurations_are_read_as_written() {
    for case in CASES {
        let raw = raw(case);
        let config = parse(&raw).unwrap();
        assert_eq!(
            json!(config.text.hidden_size),
            raw["text_config"]["hidden_size"]
        );
        assert_eq!(
            json!(config.text.rope_theta),
            raw["text_config"]["rope_theta"]
        );
        assert_eq!(
            json!(config.adapter.vit_layers),
            raw["adapter_config"]["vit_layers"]
        );
        assert_eq!(json!(config.image_patch_id), raw["image_patch_id"]);
        assert_eq!(json!(config.eos_token_id), raw["eos_token_id"]);
        assert_eq!(json!(config.max_action_horizon), raw["max_action_horizon"]);
        assert!(config.text.rope_scaling.is_none());
        let expert = config.action_expert.as_ref().unwrap();
        assert_eq!(
            json!(expert.mlp_ratio),
            raw["action_expert_config"]["mlp_ratio"]
        );
    }
    assert_eq!(
        parse(&raw("three_cameras_odd_grid")).unwrap().action_mode,
        ActionMode::Continuous
    );
}

#[test]
fn the_newer_spelling_of_the_rotary_base_is_read() {
    let mut raw = raw("one_camera");
    let text = raw["text_config"].as_object_mut().unwrap();
    text.remove("rope_theta");
    text.insert(
        "rope_parameters".to_owned(),
        json!({"rope_theta": 123.0, "rope_type": "default"}),
    );
    assert_eq!(parse(&raw).unwrap().text.rope_theta, 123.0);
    raw["text_config"]["rope_theta"] = json!(124.0);
    assert!(parse(&raw).unwrap_err().contains("text_config.rope_theta"));
    raw["text_config"]["rope_theta"] = json!(123.0);
    raw["text_config"]["rope_parameters"]["rope_type"] = json!("yarn");
    assert!(parse(&raw).unwrap().text.rope_scaling.is_some());
}

#[test]
fn several_end_tokens_give_the_first() {
    let mut raw = raw("one_camera");
    raw["eos_token_id"] = json!([7, 8]);
    assert_eq!(parse(&raw).unwrap().eos_token_id, Some(7));
}

#[test]
fn a_wrong_value_is_refused_by_its_key() {
    let edits: [(&str, &str, Value); 20] = [
        ("/text_config/hidden_size", "text_config", json!("32")),
        (
            "/text_config/hidden_size",
            "adapter_config.text_hidden_size",
            json!(48),
        ),
        (
            "/text_config/num_key_value_heads",
            "text_config.num_attention_heads",
            json!(3),
        ),
        ("/text_config/head_dim", "text_config.head_dim", json!(15)),
        (
            "/text_config/num_hidden_layers",
            "action_expert_config.num_layers",
            json!(5),
        ),
        (
            "/text_config/vocab_size",
            "text_config.vocab_size",
            json!(0),
        ),
        (
            "/text_config/tie_word_embeddings",
            "text_config.tie_word_embeddings",
            json!(true),
        ),
        (
            "/text_config/rope_theta",
            "text_config.rope_theta",
            json!(-1.0),
        ),
        (
            "/vit_config/image_default_input_size",
            "vit_config.image_default_input_size",
            json!([56, 57]),
        ),
        ("/vit_config/head_dim", "vit_config.hidden_size", json!(9)),
        (
            "/adapter_config/vit_layers",
            "adapter_config.vit_layers",
            json!([-11]),
        ),
        (
            "/adapter_config/vit_layers",
            "adapter_config.vit_layers",
            json!([]),
        ),
        (
            "/action_expert_config/num_heads",
            "action_expert_config.hidden_size",
            json!(5),
        ),
        ("/image_patch_id", "image_patch_id", json!(99_999)),
        ("/state_token_start_id", "state_token_start_id", json!(700)),
        (
            "/action_token_start_id",
            "action_token_start_id",
            json!(799),
        ),
        (
            "/action_start_token_id",
            "action_start_token_id",
            Value::Null,
        ),
        ("/action_mode", "sideways", json!("sideways")),
        ("/state_format", "state_format", json!("continuous")),
        ("/model_type", "model_type", json!("llava")),
    ];
    for (pointer, named, value) in edits {
        let mut raw = raw("one_camera");
        *raw.pointer_mut(pointer).unwrap_or(&mut Value::Null) = value.clone();
        // Keys that are not in the file are added.
        if raw.pointer(pointer) != Some(&value) {
            let (section, key) = pointer.trim_start_matches('/').split_once('/').unwrap();
            raw[section][key] = value.clone();
        }
        let error = parse(&raw).expect_err(pointer);
        assert!(error.contains(named), "{pointer} = {value}: {error}");
    }
}

#[test]
fn a_missing_key_is_named() {
    for (section, key) in [
        ("vit_config", "image_patch_size"),
        ("text_config", "vocab_size"),
    ] {
        let mut raw = raw("one_camera");
        raw[section].as_object_mut().unwrap().remove(key);
        let error = parse(&raw).unwrap_err();
        assert!(error.contains(section) && error.contains(key), "{error}");
    }
    let mut raw = raw("one_camera");
    raw.as_object_mut().unwrap().remove("adapter_config");
    assert!(
        parse(&raw)
            .unwrap_err()
            .contains("adapter_config: is missing")
    );
    assert!(
        Config::parse(b"not json")
            .unwrap_err()
            .to_string()
            .contains("config.json")
    );
}

#[test]
fn a_checkpoint_without_the_expert_has_the_token_head_alone() {
    let mut raw = raw("one_camera");
    raw["add_action_expert"] = json!(false);
    assert!(parse(&raw).unwrap_err().contains("add_action_expert"));
    raw["action_mode"] = json!("discrete");
    assert!(parse(&raw).unwrap().action_expert.is_none());
}

#[test]
fn another_way_of_cutting_frames_is_refused() {
    let config = parse(&raw("one_camera")).unwrap();
    let edits = [
        ("crop_mode", json!("tiles"), "crop_mode"),
        // Two margins of four patches leave nothing of a crop of four.
        ("crop_mode", json!("overlap-and-resize-c2"), "margins"),
        ("resample", json!(3), "resample"),
        (
            "size",
            json!({"height": 56, "width": 70}),
            "image_processor.size",
        ),
        ("patch_size", json!(16), "image_processor.patch_size"),
        (
            "pooling_size",
            json!([2, 0]),
            "image_processor.pooling_size",
        ),
    ];
    for (key, value, named) in edits {
        let mut raw: Value =
            serde_json::from_slice(&read("one_camera/checkpoint/processor_config.json")).unwrap();
        raw["image_processor"][key] = value;
        let bytes = serde_json::to_vec(&raw).unwrap();
        let error = ProcessorConfig::parse(&bytes, &config)
            .unwrap_err()
            .to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn a_plain_vlm_needs_no_key_about_robots() {
    let policy = raw("one_camera");
    assert_eq!(parse(&policy).unwrap().kind, Kind::Policy);
    let mut plain = policy.clone();
    plain["model_type"] = json!("molmo2");
    plain.as_object_mut().unwrap().retain(|key, _| {
        !(key.contains("action") || key.contains("state") || key == "n_obs_steps")
    });
    let config = parse(&plain).unwrap();
    assert_eq!(config.kind, Kind::VisionLanguage);
    assert!(config.action_expert.is_none());
    // The reference's class without expert or action tokens, with robot keys null.
    let mut null = policy.clone();
    null["add_action_expert"] = json!(false);
    null["num_action_tokens"] = json!(0);
    null["state_token_start_id"] = Value::Null;
    assert_eq!(parse(&null).unwrap().kind, Kind::VisionLanguage);
    for key in ["num_state_tokens", "max_action_dim", "action_mode"] {
        let mut less = policy.clone();
        less.as_object_mut().unwrap().remove(key);
        let error = parse(&less).unwrap_err();
        assert!(error.contains(&format!("missing field `{key}`")), "{error}");
    }
}

#[test]
fn a_key_that_would_change_what_is_computed_is_refused_and_one_that_changes_nothing_passes() {
    let put = |section: &str, key: &str, value: Value| {
        let mut raw = raw("one_camera");
        if section.is_empty() {
            raw[key] = value;
        } else {
            raw[section][key] = value;
        }
        parse(&raw).map(|_| raw)
    };
    for (section, key, value) in [
        ("", "quantization_config", json!({"load_in_4bit": true})),
        ("text_config", "use_sliding_window", json!(true)),
        (
            "text_config",
            "layer_types",
            json!(["full_attention", "sliding_attention"]),
        ),
        ("text_config", "final_logit_softcapping", json!(30.0)),
        ("text_config", "residual_multiplier", json!(0.5)),
        ("text_config", "num_experts", json!(8)),
        ("vit_config", "use_cls_token", json!(true)),
        (
            "adapter_config",
            "image_padding_embed",
            json!("pad_and_partial_pad"),
        ),
    ] {
        let error = put(section, key, value).unwrap_err();
        assert!(error.contains(key) && error.contains(section), "{error}");
    }
    for (section, key, value) in [
        ("", "quantization_config", Value::Null),
        (
            "text_config",
            "layer_types",
            json!(["full_attention", "full_attention"]),
        ),
        ("text_config", "residual_multiplier", json!(1.0)),
        ("text_config", "use_sliding_window", json!(false)),
        ("text_config", "attention_dropout", json!(0.1)),
    ] {
        put(section, key, value).unwrap();
    }
}

#[test]
fn a_key_that_nobody_knows_is_refused_unless_it_is_off() {
    let put = |section: &str, key: &str, value: Value| {
        let mut raw = raw("one_camera");
        let keys = if section.is_empty() {
            &mut raw
        } else {
            &mut raw[section]
        };
        keys[key] = value;
        parse(&raw).map(|_| raw)
    };
    for (section, key, value) in [
        ("", "use_proprioception_mlp", json!(true)),
        ("text_config", "mood", json!("cheerful")),
        ("vit_config", "register_tokens", json!(4)),
        ("adapter_config", "levels", json!([1, 2])),
        ("action_expert_config", "solver", json!({"kind": "heun"})),
    ] {
        let error = put(section, key, value).unwrap_err();
        assert!(
            error.contains(key) && error.contains(section) && error.contains("take it out"),
            "{error}"
        );
    }
    for off in [
        json!(null),
        json!(false),
        json!(0),
        json!(""),
        json!([]),
        json!({}),
    ] {
        let unknown = put("text_config", "mood", off).unwrap();
        assert_eq!(
            Config::unknown_keys(&serde_json::to_vec(&unknown).unwrap()).unwrap(),
            ["text_config.mood"]
        );
    }
    // Keys that frameworks write by default.
    for (key, value) in [
        ("_commit_hash", json!("1dbc166c")),
        ("transformers_version", json!("4.57.1")),
        ("top_k", json!(50)),
        ("torchscript", json!(false)),
    ] {
        put("", key, value).unwrap();
    }
}

/// A damaged number must not request more memory than there is, or take forever.
#[test]
fn a_size_that_no_network_has_is_refused_before_anything_is_made_for_it() {
    for (section, key) in [
        ("text_config", "intermediate_size"),
        ("text_config", "vocab_size"),
        ("text_config", "max_position_embeddings"),
        ("text_config", "num_hidden_layers"),
        ("vit_config", "image_num_pos"),
        ("adapter_config", "intermediate_size"),
        ("action_expert_config", "timestep_embed_dim"),
        ("", "max_action_horizon"),
        ("", "max_action_dim"),
        ("", "num_depth_codes"),
    ] {
        for size in [1_u64 << 40, u64::MAX] {
            let mut raw = raw("one_camera");
            let keys = if section.is_empty() {
                &mut raw
            } else {
                &mut raw[section]
            };
            keys[key] = size.into();
            let error = parse(&raw).unwrap_err();
            assert!(
                error.contains(key) && error.contains(&size.to_string()),
                "{error}"
            );
        }
    }
    for (section, key, value) in [
        ("text_config", "layer_norm_eps", json!(-1.0)),
        ("action_expert_config", "mlp_ratio", json!(-3.0)),
        ("action_expert_config", "mlp_ratio", json!(1e300)),
    ] {
        let mut raw = raw("one_camera");
        raw[section][key] = value;
        assert!(parse(&raw).unwrap_err().contains(key));
    }
    let mut raw = raw("one_camera");
    raw["norm_stats_filename"] = json!("../../passwd");
    assert!(parse(&raw).unwrap_err().contains("norm_stats_filename"));
}
