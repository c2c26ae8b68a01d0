//! Damaged files that only some commands need do not affect other commands.

use super::{Folder, LFS, act, json, pictures, refused, root, score, studio};
use serde_json::Value;

#[test]
fn a_damaged_file_for_questions_does_not_prevent_actions() {
    let frames = pictures();
    let twin = json(&act(&root().join("models/nano/molmoact2"), &frames, &[]));
    for broken in [
        LFS,
        "",
        "{\"eos_token_id\": [1,",
        "{\"eos_token_id\": \"none\"}",
    ] {
        let folder = Folder::nano("molmoact2");
        folder.write("generation_config.json", broken);
        // The other file has the needed content.
        folder.write("preprocessor_config.json", broken);
        let found = json(&act(&folder.0, &frames, &[]));
        assert_eq!(found["actions"], twin["actions"], "{broken}");
        let found = json(&studio(&["inspect", "--json", folder.0.to_str().unwrap()]));
        assert_eq!(found["complete"], true, "{found}");
        assert_eq!(found["no_answers"], Value::Null, "{found}");

        // A model that could answer questions, except for this file.
        folder.write(
            "chat_template.jinja",
            "<|image|>{{ (messages[0].content|last).text }}",
        );
        let found = json(&act(&folder.0, &frames, &[]));
        assert_eq!(found["actions"], twin["actions"], "{broken}");
        let output = studio(&["inspect", folder.0.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("generation_config.json"),
            "{said}"
        );
        let arguments = ["ask", "--device", "cpu", "--policy"];
        let arguments = [
            &arguments[..],
            &[folder.0.to_str().unwrap(), "What is there?"],
        ]
        .concat();
        let said = refused(&studio(&arguments));
        assert!(said.contains("generation_config.json"), "{said}");
    }
}

#[test]
fn keys_that_nobody_needs_may_be_anything_that_python_reads() {
    let frames = pictures();
    let twin = json(&act(&root().join("models/nano/molmoact2"), &frames, &[]));
    let deep = format!("{}{}", "[".repeat(900), "]".repeat(900));
    let odd = format!("{{\"_unneeded_number\": 1e999, \"_unneeded_list\": {deep},");
    for name in [
        "config.json",
        "tokenizer_config.json",
        "norm_stats.json",
        "generation_config.json",
        "processor_config.json",
    ] {
        let folder = Folder::nano("molmoact2");
        folder.replace(name, "{", &odd);
        let found = json(&act(&folder.0, &frames, &[]));
        assert_eq!(found["actions"], twin["actions"], "{name}");
        let found = json(&studio(&["inspect", "--json", folder.0.to_str().unwrap()]));
        assert_eq!(found["complete"], true, "{name}: {found}");
    }
    let twin = json(&score(&root().join("models/nano/qwen3vl"), &frames));
    for name in ["config.json", "video_preprocessor_config.json"] {
        let folder = Folder::nano("qwen3vl");
        folder.replace(name, "{", &odd);
        let found = json(&score(&folder.0, &frames));
        assert_eq!(found["log_probs"], twin["log_probs"], "{name}");
    }
}

#[test]
fn a_damaged_file_for_questions_does_not_prevent_scoring() {
    let frames = pictures();
    let twin = json(&score(&root().join("models/nano/qwen3vl"), &frames));
    for broken in [
        LFS,
        "",
        "{\"eos_token_id\": [1,",
        "{\"eos_token_id\": 99999999}",
    ] {
        for name in [
            "generation_config.json",
            "preprocessor_config.json",
            "processor_config.json",
            "tokenizer_config.json",
            "chat_template.json",
        ] {
            let folder = Folder::nano("qwen3vl");
            folder.write(name, broken);
            let found = json(&score(&folder.0, &frames));
            assert_eq!(found["log_probs"], twin["log_probs"], "{name}: {broken}");
        }
    }
    // The frame size is needed, and so is the other file if this one is missing.
    let folder = Folder::nano("qwen3vl");
    std::fs::remove_file(folder.path("video_preprocessor_config.json")).unwrap();
    folder.write("processor_config.json", LFS);
    let said = refused(&score(&folder.0, &frames));
    assert!(
        said.contains("processor_config.json") && said.contains("Git LFS"),
        "{said}"
    );
}
