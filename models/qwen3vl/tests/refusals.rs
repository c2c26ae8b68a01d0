//! Errors of a model's files or a question name the file, the key and the value.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{Golden, device, folder};
use qwen3vl::layout::before_block;
use qwen3vl::{
    Block, Config, Context, ContextPosition, FrameSize, Grid, LoadOptions, ModelFiles, OddFrames,
    PixelBudget, Precision, Qwen3Vl, Segment, Suffix, TokenQuery, smart_resize,
};
use serde_json::{Value, json};

const FILES: [&str; 4] = [
    "config.json",
    "tokenizer.json",
    "video_preprocessor_config.json",
    "model.safetensors",
];

/// The files of a case in memory, changed.
fn files(change: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) -> ModelFiles {
    let folder = folder("tied").join("checkpoint");
    ModelFiles::from_memory(FILES.into_iter().filter_map(|name| {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        Some((name.to_owned(), change(name, bytes)?.into()))
    }))
}

fn refusal(files: &ModelFiles) -> String {
    match Qwen3Vl::load(files, &device(), &LoadOptions::default()) {
        Ok(_) => panic!("loaded"),
        Err(error) => error.to_string(),
    }
}

fn changed(pointer: &str, value: Value) -> String {
    let bytes = std::fs::read(folder("tied").join("checkpoint/config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&bytes).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let section = config.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        section.remove(key).expect(pointer);
    } else {
        section.insert(key.to_owned(), value);
    }
    match Config::parse(&serde_json::to_vec(&config).unwrap()) {
        Ok(_) => panic!("{pointer}: read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_missing_file_is_named() {
    for missing in &FILES[..3] {
        let error = refusal(&files(|name, bytes| (name != *missing).then_some(bytes)));
        assert!(error.contains(missing), "{error}");
    }
    let error = refusal(&files(|name, bytes| {
        (name != "model.safetensors").then_some(bytes)
    }));
    assert!(error.contains("no weights"), "{error}");
}

#[test]
fn impossible_configurations_are_refused_with_their_key() {
    for (pointer, value, said) in [
        ("/model_type", json!("qwen3_vl_moe"), "mixtures of experts"),
        ("/model_type", json!("llava"), "llava"),
        ("/video_token_id", Value::Null, "video_token_id"),
        ("/video_token_id", json!(99_999), "vocab_size"),
        ("/vision_config", Value::Null, "vision_config"),
        ("/vision_config/depth", json!(0), "vision_config.depth"),
        ("/vision_config/num_heads", json!(3), "num_heads"),
        (
            "/vision_config/num_position_embeddings",
            json!(63),
            "no square",
        ),
        (
            "/vision_config/deepstack_visual_indexes",
            json!([0, 9]),
            "contains 9",
        ),
        (
            "/vision_config/deepstack_visual_indexes",
            json!([2, 1]),
            "above the one before",
        ),
        ("/vision_config/hidden_act", json!("relu"), "relu"),
        (
            "/vision_config/out_hidden_size",
            json!(31),
            "text_config.hidden_size",
        ),
        (
            "/text_config/num_key_value_heads",
            json!(3),
            "num_attention_heads",
        ),
        ("/text_config/head_dim", json!(15), "head_dim"),
        ("/text_config/vocab_size", json!("many"), "text_config"),
        (
            "/text_config/rope_parameters/mrope_section",
            json!([2, 4, 2]),
            "mrope_section",
        ),
        (
            "/text_config/rope_parameters/rope_type",
            json!("yarn"),
            "yarn",
        ),
        (
            "/text_config/rope_parameters/mrope_interleaved",
            json!(false),
            "interleave",
        ),
        ("/text_config/rope_theta", json!(1.0), "rope_theta"),
        ("/quantization_config", json!({}), "quantization_config"),
    ] {
        let error = changed(pointer, value);
        assert!(error.contains(said), "{pointer}: {error}");
    }
}

#[test]
fn a_tokenizer_with_other_ids_is_refused() {
    let error = refusal(&files(|name, bytes| {
        if name != "tokenizer.json" {
            return Some(bytes);
        }
        let text = String::from_utf8(bytes).unwrap();
        Some(text.replace("<|video_pad|>", "<|moving_pad|>").into_bytes())
    }));
    assert!(error.contains("<|video_pad|>"), "{error}");
}

/// The reference resets how a saved tokenizer cut texts and filled them up.
#[test]
fn truncation_and_padding_of_a_tokenizer_change_no_ids() {
    let golden = Golden::open("tied");
    let question = "open the drawer and close it again";
    let expected = golden.load(Precision::F32).tokenizer().encode(question);
    let expected = expected.unwrap();
    assert!(expected.len() > 4);
    for (length, stride, fixed) in [(2, 0, 9), (0, 0, 3), (2, 7, 1_u64 << 32)] {
        let files = files(|name, bytes| {
            if name != "tokenizer.json" {
                return Some(bytes);
            }
            let mut file: Value = serde_json::from_slice(&bytes).unwrap();
            file["truncation"] = json!({
                "direction": "Left", "max_length": length, "strategy": "LongestFirst", "stride": stride,
            });
            file["padding"] = json!({
                "strategy": {"Fixed": fixed}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 5,
                "pad_type_id": 0, "pad_token": "<pad>",
            });
            Some(serde_json::to_vec(&file).unwrap())
        });
        let model = Qwen3Vl::load(&files, &device(), &LoadOptions::default()).unwrap();
        assert_eq!(
            model.tokenizer().encode(question).unwrap(),
            expected,
            "{length} {stride} {fixed}"
        );
    }
}

#[test]
fn a_tokenizer_that_ends_early_says_so() {
    let error = refusal(&files(|name, mut bytes| {
        if name == "tokenizer.json" {
            bytes.truncate(1_000);
        }
        Some(bytes)
    }));
    assert!(
        error.contains("tokenizer.json")
            && error.contains("interrupted")
            && error.contains("after 1000 bytes"),
        "{error}"
    );
}

#[test]
fn a_damaged_weight_file_is_refused() {
    let error = refusal(&files(|name, mut bytes| {
        if name == "model.safetensors" {
            bytes.truncate(bytes.len() / 2);
        }
        Some(bytes)
    }));
    assert!(error.contains("safetensors"), "{error}");
}

#[test]
fn questions_that_cannot_be_are_refused() {
    let golden = Golden::open("tied");
    let model = golden.load(Precision::F32);
    let network = model.network();
    let mut context = Context::default();
    let pad = model.config().video_token_id;
    let vocab = u32::try_from(model.config().text.vocab_size).unwrap();
    for (ids, said) in [([pad], "picture"), ([vocab], "vocabulary")] {
        let error = network
            .append(&mut context, &[Segment::Text(&ids)])
            .unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(context.tokens(), 0);
    let seen = network.encode_video(&golden.blocks(&model)).unwrap();
    let block = seen.blocks();
    let segment = Segment::VisionBlock {
        tokens: &seen,
        block,
    };
    assert!(network.append(&mut context, &[segment]).is_err());
    let long = vec![5; 5000];
    let error = network
        .append(&mut context, &[Segment::Text(&long)])
        .unwrap_err();
    assert!(error.to_string().contains("4096"), "{error}");

    let ask = |position: ContextPosition, ids: &[u32], row: usize| {
        let queries = [TokenQuery { row, id: 1 }];
        let suffix = Suffix {
            position,
            ids,
            queries: &queries,
        };
        layers::block_on(network.log_probs(&context, &[suffix]))
    };
    let beyond = ContextPosition {
        tokens: 7,
        next_position: 7,
    };
    assert!(ask(beyond, &[1], 0).is_err());
    assert!(ask(ContextPosition::default(), &[1], 1).is_err());
    assert!(ask(ContextPosition::default(), &[], 0).is_err());
    assert!(ask(ContextPosition::default(), &[1], 0).is_ok());

    let grid = Grid {
        rows: 2,
        columns: 2,
    };
    let short = Block {
        grid,
        patches: vec![0.0; 3],
    };
    assert!(network.encode_video(&[short]).is_err());
    assert!(network.encode_video(&[]).is_err());
    assert!(
        model
            .tokenizer()
            .check_plain("open the <|im_end|> drawer")
            .is_err()
    );
    assert!(model.tokenizer().check_plain("open the drawer").is_ok());
    assert!(before_block(f64::INFINITY).is_err());
}

/// The values of the reference's `smart_resize` with the published bounds.
#[test]
fn frames_get_the_size_that_the_reference_gives_them() {
    let budget = PixelBudget {
        least: 4096,
        most: 25_165_824,
    };
    let size = |frames, width, height| {
        let own = FrameSize { width, height };
        let odd = OddFrames::HalfToEven;
        let found = smart_resize(frames, own, 32, budget, odd).unwrap();
        (found.width, found.height)
    };
    assert_eq!(size(2, 244, 244), (256, 256));
    assert_eq!(size(384, 244, 244), (256, 256));
    assert_eq!(size(420, 244, 244), (224, 224));
    assert_eq!(size(81, 640, 480), (640, 480));
    assert_eq!(size(96, 640, 480), (576, 416));
    assert_eq!(size(384, 640, 480), (288, 192));
    assert_eq!(size(4, 1280, 720), (1280, 704));
    assert_eq!(size(12, 1280, 720), (1280, 704));
    let refused = |width, height| {
        let own = FrameSize { width, height };
        smart_resize(4, own, 32, budget, OddFrames::Padded).is_err()
    };
    assert!(refused(31, 200));
    assert!(refused(32, 32 * 201));
    assert!(!refused(32, 32 * 200));
}
