#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use serde_json::json;

use super::*;

fn tokenizer() -> Value {
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [{"id": 3, "content": "<end>", "normalized": true, "special": true}],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "\\p{L}+|\\p{N}{1,3}|\\x{4e00}|\\s+"}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        ]},
        "post_processor": {"type": "TemplateProcessing", "single": [
            {"SpecialToken": {"id": "<end>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
        ], "pair": [], "special_tokens": {"<end>": {"id": "<end>", "ids": [3], "tokens": ["<end>"]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]},
    })
}

/// The complaint about a tokenizer with one edit.
fn refused(edit: impl FnOnce(&mut Value)) -> String {
    let mut file = tokenizer();
    edit(&mut file);
    let error = bounded(file.to_string().as_bytes()).unwrap_err();
    error.to_string()
}

fn is_taken(edit: impl FnOnce(&mut Value)) -> bool {
    let mut file = tokenizer();
    edit(&mut file);
    bounded(file.to_string().as_bytes()).is_ok()
}

#[test]
fn what_published_tokenizers_have_is_taken_as_it_is() {
    let text = tokenizer().to_string();
    assert_eq!(bounded(text.as_bytes()).unwrap(), text.as_bytes());
    // SentencePiece as it is converted.
    assert!(is_taken(
        |file| file["normalizer"] = json!({"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]})
    ));
    assert!(is_taken(|file| file["normalizer"] = Value::Null));
    // One token for each of the actions, the depths and the robot's state, and room for as many again.
    let tokens: Vec<Value> = (0..8_000)
        .map(|id| json!({"id": id, "content": format!("<action_{id}>"), "normalized": false}))
        .collect();
    assert!(is_taken(|file| file["added_tokens"] = tokens.into()));
    // Files of before the type was written.
    assert!(is_taken(|file| {
        file["model"].as_object_mut().unwrap().remove("type");
    }));
}

#[test]
fn a_file_that_ends_early_says_so_wherever_it_ends() {
    let text = tokenizer().to_string();
    for bytes in 1..text.len() {
        let error = bounded(&text.as_bytes()[..bytes]).unwrap_err();
        assert!(
            error.to_string().contains("never finished")
                && error.to_string().contains(&format!("after {bytes} bytes")),
            "{bytes}: {error}"
        );
    }
}

#[test]
fn added_tokens_are_counted_and_measured() {
    let tokens = |count: usize, length: usize, normalized: bool| -> Value {
        (0..count)
            .map(|id| json!({"id": id, "content": format!("{id:0length$}"), "normalized": normalized}))
            .collect()
    };
    let said = refused(|file| file["added_tokens"] = tokens(MOST_ADDED + 1, 6, false));
    assert!(
        said.contains("added_tokens") && said.contains("16384 added tokens"),
        "{said}"
    );
    let said = refused(|file| file["added_tokens"] = tokens(3_000, 500, false));
    assert!(said.contains("1048576 bytes together"), "{said}");
    let said = refused(|file| file["added_tokens"] = tokens(1, 513, false));
    assert!(said.contains("513 bytes") && said.contains("512"), "{said}");
    // As long as they may be, but not three times that.
    assert!(is_taken(
        |file| file["added_tokens"] = tokens(2_000, 500, false)
    ));
    let said = refused(|file| file["added_tokens"] = tokens(2_000, 500, true));
    assert!(said.contains("3000000 bytes"), "{said}");
}

#[test]
fn rules_that_multiply_a_text_are_refused_by_how_much() {
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let doubling = vec![replace("a", "aa"); 10];
    let said = refused(|file| {
        file["normalizer"] = json!({"type": "Sequence", "normalizers": doubling});
    });
    assert!(
        said.contains("normalizer") && said.contains("1024 times") && said.contains("64 times"),
        "{said}"
    );
    let mut nested = json!({"type": "NFC"});
    for _ in 0..40 {
        nested = json!({"type": "Sequence", "normalizers": [nested]});
    }
    let said = refused(|file| file["normalizer"] = nested);
    assert!(said.contains("more than 16 rules"), "{said}");
    let many = vec![json!({"type": "NFC"}); 2_000];
    let said = refused(|file| {
        file["normalizer"] = json!({"type": "Sequence", "normalizers": many});
    });
    assert!(said.contains("1024 values"), "{said}");
    for (normalizer, words) in [
        (replace("a", &"b".repeat(100)), "100 times"),
        (replace("", "b"), "no end"),
        (
            json!({"type": "Replace", "pattern": {"Regex": "x*"}, "content": "b"}),
            "regular expression",
        ),
        (
            json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
            "Precompiled",
        ),
        (
            json!({"type": "Precompiled", "precompiled_charsmap": "A".repeat(100_000)}),
            "65536 bytes",
        ),
        (
            json!({"type": "Prepend", "prepend": "x".repeat(64)}),
            "65 times",
        ),
        (json!({"lowercase": true}), "no type"),
        (json!([{"type": "NFC"}]), "no type"),
    ] {
        let said = refused(|file| file["normalizer"] = normalizer);
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = refused(|file| {
        let levels = vec![json!({"type": "ByteLevel"}); 12];
        file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": levels});
    });
    assert!(
        said.contains("pre_tokenizer") && said.contains("4096 times"),
        "{said}"
    );
    let said = refused(|file| {
        let again = vec![json!({"Sequence": {"id": "A", "type_id": 0}}); 100];
        file["post_processor"]["single"] = again.into();
    });
    assert!(
        said.contains("post_processor") && said.contains("100 times"),
        "{said}"
    );
    let said = refused(|file| {
        let ids = vec![3; 100];
        file["post_processor"]["special_tokens"]["<end>"]["ids"] = ids.into();
    });
    assert!(said.contains("200 times"), "{said}");
    let said = refused(|file| file["decoder"] = replace("a", &"b".repeat(65)));
    assert!(
        said.contains("decoder") && said.contains("65 times"),
        "{said}"
    );
}

#[test]
fn regular_expressions_are_bounded_by_length_and_by_what_they_repeat() {
    let split = |pattern: &str| {
        let pattern = pattern.to_owned();
        move |file: &mut Value| {
            file["pre_tokenizer"] =
                json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"});
        }
    };
    assert!(is_taken(split("\\w{2,32}|\\x{1234}|\\p{L}")));
    let said = refused(split("\\w{1,1000}"));
    assert!(said.contains("1000 times") && said.contains("32"), "{said}");
    assert!(refused(split("\\w{99999999999999999999}")).contains("times"));
    assert!(refused(split(&"(?!\\w)".repeat(400))).contains("2048 bytes"));
    assert!(refused(split(&"\\w{2}".repeat(9))).contains("8 counted"));
}

#[test]
fn the_vocabulary_is_counted_and_only_byte_pairs_are_read() {
    let said = refused(|file| {
        let vocabulary: serde_json::Map<String, Value> = (0..=MOST_ENTRIES)
            .map(|id| (id.to_string(), id.into()))
            .collect();
        file["model"]["vocab"] = vocabulary.into();
    });
    assert!(
        said.contains("model.vocab") && said.contains("300000 tokens"),
        "{said}"
    );
    let said = refused(|file| {
        file["model"]["merges"] = vec![Value::from("a b"); MOST_ENTRIES + 1].into();
    });
    assert!(said.contains("300000 merges"), "{said}");
    let said = refused(|file| file["model"]["type"] = "Unigram".into());
    assert!(said.contains("Unigram") && said.contains("BPE"), "{said}");
    let said = refused(|file| file["model"] = json!({"vocab": [["a", 0.5]]}));
    assert!(said.contains("model"), "{said}");
    // The same part twice counts twice, as it is unfolded twice.
    let half = vec!["\"a b\""; MOST_ENTRIES / 2 + 1].join(",");
    let text = format!(
        "{{\"model\":{{\"type\":\"BPE\",\"vocab\":{{}},\"merges\":[{half}],\"merges\":[{half}]}}}}"
    );
    let error = bounded(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("300000 merges"), "{error}");
}
