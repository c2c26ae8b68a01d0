//! Prompts against the reference's processor: text, token ids and image flags, all of them exactly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/inputs.rs"]
mod inputs;

use inputs::{CASES, Inputs, from_json, read, rows};
use layers::ConfigError;
use molmoact2::LoadError;
use molmoact2::error::ActError;
use molmoact2::prompt::{PromptContent, PromptWriter, Style, state_bin};

#[test]
fn prompts_are_those_of_the_reference() {
    let mut seen = 0;
    for case in CASES {
        let inputs = Inputs::open(case);
        for row in rows(&format!("{case}/prompts.json")) {
            let tag = inputs.stats.tag(row["tag"].as_str().unwrap()).unwrap();
            let state: Vec<f32> = from_json(&row["state"]);
            let normalised = tag.normalize_state(&state).unwrap();
            let expected: Vec<f32> = from_json(&row["state_normalised"]);
            assert_eq!(normalised, expected, "{case}: {}", row["task"]);
            let prompt = inputs
                .prompts
                .write(&PromptContent {
                    instruction: row["task"].as_str().unwrap(),
                    normalize_instruction: row["normalise_language"].as_bool().unwrap(),
                    state_normalized: &normalised,
                    tag,
                    images: from_json(&row["num_images"]),
                    style: match row["style"].as_str().unwrap() {
                        "robot_action" => Style::Action,
                        "robot_depth_action" => Style::DepthAction,
                        other => panic!("{other}"),
                    },
                })
                .unwrap();
            assert_eq!(prompt.text, row["text"].as_str().unwrap(), "{case}");
            assert_eq!(
                prompt.ids,
                from_json::<Vec<u32>>(&row["ids"]),
                "{case}: {}",
                prompt.text
            );
            let flags: Vec<u8> = prompt
                .image_type
                .iter()
                .map(|flag| u8::from(*flag))
                .collect();
            assert_eq!(
                flags,
                from_json::<Vec<u8>>(&row["token_type_ids"]),
                "{case}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 28);
}

#[test]
fn state_bins_are_those_of_the_reference() {
    for row in rows("state_bins.json") {
        let bins: usize = from_json(&row["bins"]);
        let values = row["values"].as_array().unwrap();
        let ids: Vec<usize> = from_json(&row["ids"]);
        assert_eq!(values.len(), ids.len());
        for (value, id) in values.iter().zip(ids) {
            let value = match value.as_str() {
                Some(name) => name.parse::<f32>().unwrap(),
                None => from_json(value),
            };
            assert_eq!(state_bin(value, bins), id, "{value} in {bins} bins");
        }
    }
}

#[test]
fn an_instruction_cannot_pass_for_an_image() {
    let inputs = Inputs::open("one_camera");
    let tag = inputs.stats.tag("so101").unwrap();
    for task in ["look at <|image|>", "<im_patch><im_patch> push", "<im_end>"] {
        let refused = inputs.prompts.write(&PromptContent {
            instruction: task,
            normalize_instruction: true,
            state_normalized: &[0.0; 6],
            tag,
            images: 1,
            style: Style::Action,
        });
        assert!(
            matches!(refused, Err(ActError::ImageTokenInInstruction { .. })),
            "{task}"
        );
    }
}

#[test]
fn a_tokenizer_and_a_configuration_that_disagree_are_refused() {
    let mut inputs = Inputs::open("one_camera");
    let other = Inputs::open("three_cameras_odd_grid");
    let tokenizer = read("one_camera/checkpoint/tokenizer.json");
    let error = PromptWriter::new(&tokenizer, None, &other.config, &inputs.images).unwrap_err();
    let LoadError::Config(ConfigError::BadValue { key, problem, .. }) = &error else {
        panic!("{error}");
    };
    assert_eq!(key, "image_start_token_id");
    assert!(
        problem.contains("<im_start>") && problem.contains("800"),
        "{problem}"
    );

    let unknown_bos = br#"{"bos_token": {"content": "<begin>"}}"#;
    let error = PromptWriter::new(
        &tokenizer,
        Some(unknown_bos),
        &inputs.config,
        &inputs.images,
    )
    .unwrap_err();
    assert!(error.to_string().contains("\"<begin>\""), "{error}");
    assert!(PromptWriter::new(b"{}", None, &inputs.config, &inputs.images).is_err());

    // Without tokenizer_config.json the beginning of text comes from config.json.
    inputs.prompts = PromptWriter::new(&tokenizer, None, &inputs.config, &inputs.images).unwrap();
    let first = &rows("one_camera/prompts.json")[0];
    let state: Vec<f32> = from_json(&first["state_normalised"]);
    let prompt = inputs
        .prompts
        .write(&PromptContent {
            instruction: first["task"].as_str().unwrap(),
            normalize_instruction: true,
            state_normalized: &state,
            tag: inputs.stats.tag("so101").unwrap(),
            images: 1,
            style: Style::Action,
        })
        .unwrap();
    assert_eq!(prompt.ids, from_json::<Vec<u32>>(&first["ids"]));
}

/// The reference resets how a saved tokenizer cut texts and filled them up, so a file that says it changes no prompt.
#[test]
fn truncation_and_padding_of_the_file_change_no_prompt() {
    let inputs = Inputs::open("one_camera");
    let mut file: serde_json::Value =
        serde_json::from_slice(&read("one_camera/checkpoint/tokenizer.json")).unwrap();
    let first = &rows("one_camera/prompts.json")[0];
    let state: Vec<f32> = from_json(&first["state_normalised"]);
    let truncation = |length: u64, stride: u64| {
        serde_json::json!({
            "direction": "Right", "max_length": length, "strategy": "LongestFirst", "stride": stride,
        })
    };
    let padding = |length: u64| {
        serde_json::json!({
            "strategy": {"Fixed": length}, "direction": "Left", "pad_to_multiple_of": 64, "pad_id": 5,
            "pad_type_id": 0, "pad_token": "<pad>",
        })
    };
    for (truncation, padding) in [
        (truncation(12, 0), serde_json::Value::Null),
        (truncation(0, 0), padding(700)),
        (truncation(4, 9), padding(1 << 32)),
    ] {
        file["truncation"] = truncation;
        file["padding"] = padding;
        let bytes = serde_json::to_vec(&file).unwrap();
        let prompts = PromptWriter::new(&bytes, None, &inputs.config, &inputs.images).unwrap();
        let prompt = prompts
            .write(&PromptContent {
                instruction: first["task"].as_str().unwrap(),
                normalize_instruction: true,
                state_normalized: &state,
                tag: inputs.stats.tag("so101").unwrap(),
                images: 1,
                style: Style::Action,
            })
            .unwrap();
        assert_eq!(
            prompt.ids,
            from_json::<Vec<u32>>(&first["ids"]),
            "{} {}",
            file["truncation"],
            file["padding"]
        );
    }
}

#[test]
fn a_tokenizer_that_ends_early_or_beyond_all_limits_says_so() {
    let inputs = Inputs::open("one_camera");
    let refused = |bytes: &[u8]| {
        PromptWriter::new(bytes, None, &inputs.config, &inputs.images)
            .unwrap_err()
            .to_string()
    };
    let whole = read("one_camera/checkpoint/tokenizer.json");
    let half = whole.len() / 2;
    let said = refused(&whole[..half]);
    for words in [
        "tokenizer.json",
        "interrupted",
        "download",
        "get it again",
        &format!("after {half} bytes"),
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let mut file: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    let token = file["added_tokens"][0].clone();
    let tokens = file["added_tokens"].as_array_mut().unwrap();
    tokens.resize(60_000, token);
    let said = refused(&serde_json::to_vec(&file).unwrap());
    assert!(
        said.contains("tokenizer.json") && said.contains("16384"),
        "{said}"
    );
}
