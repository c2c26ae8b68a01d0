//! Selection of the weight files of a folder.

use super::{Folder, json, pictures, refused, root, score, studio};
use serde_json::{Value, json};

fn names(weights: &[u8]) -> Vec<String> {
    let length = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&weights[8..8 + length]).unwrap();
    let names = header.as_object().unwrap().keys();
    names
        .filter(|name| *name != "__metadata__")
        .cloned()
        .collect()
}

fn index(names: &[String], shard: &str) -> String {
    let map: Value = names
        .iter()
        .map(|name| (name.clone(), json!(shard)))
        .collect();
    json!({"metadata": {"total_size": 62_100_000_000_u64}, "weight_map": map}).to_string()
}

#[test]
fn a_complete_file_takes_precedence_over_the_index_of_another_build() {
    let frames = pictures();
    let twin = json(&score(&root().join("models/nano/qwen3vl"), &frames));
    let folder = Folder::nano("qwen3vl");
    let names = names(&folder.read("model.safetensors"));
    folder.write(
        "model.safetensors.index.json",
        index(&names, "model-00001-of-00013.safetensors"),
    );
    for leftover in [
        "._model.safetensors",
        ".DS_Store",
        "model.safetensors.part",
        "._config.json",
    ] {
        folder.write(leftover, b"\0\x05\x16\x07\0\x02\0\0Mac OS X");
    }
    let found = json(&score(&folder.0, &frames));
    assert!(twin["log_probs"].is_array());
    assert_eq!(found["log_probs"], twin["log_probs"]);

    // One file named like one shard of three, without an index.
    std::fs::remove_file(folder.path("model.safetensors.index.json")).unwrap();
    std::fs::rename(
        folder.path("model.safetensors"),
        folder.path("model-00001-of-00001.safetensors"),
    )
    .unwrap();
    let found = json(&score(&folder.0, &frames));
    assert!(twin["log_probs"].is_array());
    assert_eq!(found["log_probs"], twin["log_probs"]);
    std::fs::rename(
        folder.path("model-00001-of-00001.safetensors"),
        folder.path("model-00002-of-00003.safetensors"),
    )
    .unwrap();
    let said = refused(&score(&folder.0, &frames));
    for reason in [
        "2 of 3",
        "model-00001-of-00003.safetensors",
        "incomplete",
        "model.safetensors.part",
    ] {
        assert!(said.contains(reason), "{reason}: {said}");
    }
    // An index with tensors that no file has.
    std::fs::rename(
        folder.path("model-00002-of-00003.safetensors"),
        folder.path("model-00001-of-00001.safetensors"),
    )
    .unwrap();
    let mut more = names.clone();
    more.push("model.of.another.build".to_owned());
    folder.write(
        "model.safetensors.index.json",
        index(&more, "model-00001-of-00001.safetensors"),
    );
    let said = refused(&score(&folder.0, &frames));
    assert!(said.contains("another build"), "{said}");
}

#[test]
fn truncated_weights_or_another_format_are_reported() {
    let frames = pictures();
    let folder = Folder::nano("qwen3vl");
    let whole = folder.read("model.safetensors");
    for length in [4, 100, whole.len() / 2, whole.len() - 1] {
        folder.write("model.safetensors", &whole[..length]);
        let said = refused(&score(&folder.0, &frames));
        assert!(
            said.contains("model.safetensors") && said.contains("interrupted"),
            "{length}: {said}"
        );
    }
    for (name, reason) in [
        ("pytorch_model.bin", "convert them to safetensors"),
        ("model.Q4_K_M.gguf", "download the safetensors files"),
        ("model.safetensors.incomplete", "unfinished"),
        ("model.fp16.safetensors", "rename it"),
    ] {
        let folder = Folder::nano("qwen3vl");
        std::fs::rename(folder.path("model.safetensors"), folder.path(name)).unwrap();
        let said = refused(&score(&folder.0, &frames));
        assert!(said.contains(name) && said.contains(reason), "{said}");
    }
}

#[test]
fn a_quantized_checkpoint_is_refused_with_options_that_exist() {
    let frames = pictures();
    let folder = Folder::nano("qwen3vl");
    folder.replace(
        "config.json",
        "{",
        "{\"quantization_config\": {\"quant_method\": \"fp8\", \"weight_block_size\": [128, 128]},",
    );
    let said = refused(&score(&folder.0, &frames));
    assert!(
        said.contains("quantization_config") && said.contains("FP8"),
        "{said}"
    );
    let known = super::options::of(&["score"]);
    for option in super::options::named(&said) {
        assert!(known.contains(&option), "{option}: {said}");
    }
    let folder = Folder::nano("qwen3vl");
    folder.replace("config.json", "{", "{\"quantization_config\": null,");
    assert!(score(&folder.0, &frames).status.success());

    // A LeRobot folder without its base: every command whose message names --base has that option.
    let lerobot = root().join("tests/goldens/molmoact2/lerobot_calibrated/policy");
    let said = refused(&studio(&["inspect", lerobot.to_str().unwrap()]));
    assert!(said.contains("--base DIR"), "{said}");
}
