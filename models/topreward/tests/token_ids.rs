//! The token ids of the published tokenizer (`tests/goldens/qwen3vl/ids.json`) for everything that stands around a video.
//!
//! The tokenizer itself is not here. One is built that knows the pieces of these texts and no others, under their
//! published ids: what is tested is the texts, where they are cut, and that an answer is one token after them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use qwen3vl::{Config, TextLayout, TextTokenizer, layout};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use topreward::{Clip, Profile, Prompt, Template, describe, scorer::Question};

#[derive(Deserialize)]
struct Golden {
    header: Vec<u32>,
    questions: Vec<Asked>,
    describe: Vec<u32>,
    blocks: Vec<Blocks>,
    special: BTreeMap<String, u32>,
    pieces: BTreeMap<u32, String>,
}

#[derive(Deserialize)]
struct Asked {
    instruction: String,
    without: Vec<u32>,
    without_false: Vec<u32>,
    with_template: Vec<u32>,
    description: String,
    described: Vec<u32>,
}

#[derive(Deserialize)]
struct Blocks {
    fps: f64,
    frames: usize,
    ids: Vec<u32>,
}

fn golden() -> Golden {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/goldens/qwen3vl/ids.json"
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

const SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A tokenizer of these pieces. Every piece is merged letter by letter from its left; what is made on the way has an id
/// that the model refuses.
fn words(golden: &Golden) -> TextTokenizer {
    const ON_THE_WAY: usize = 1_000_000;
    let mut vocab: Map<String, Value> = Map::new();
    for (token, id) in &golden.special {
        vocab.insert(token.clone(), json!(id));
    }
    for (id, piece) in &golden.pieces {
        vocab.insert(piece.clone(), json!(id));
    }
    let mut merges = Vec::new();
    for piece in golden.pieces.values() {
        if golden.special.contains_key(piece) {
            continue;
        }
        let mut made = String::new();
        for letter in piece.chars() {
            let letter = letter.to_string();
            let joined = format!("{made}{letter}");
            for token in [&letter, &joined] {
                let next = ON_THE_WAY + vocab.len();
                vocab.entry(token.clone()).or_insert(json!(next));
            }
            if !made.is_empty() && !merges.contains(&json!([made, letter])) {
                merges.push(json!([made, letter]));
            }
            made = joined;
        }
    }
    let added: Vec<Value> = golden
        .special
        .iter()
        .map(|(token, id)| {
            json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        ]},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
                  "vocab": vocab, "merges": merges},
    });
    TextTokenizer::new(&serde_json::to_vec(&tokenizer).unwrap(), &config(golden)).unwrap()
}

/// The published 2B's.
fn config(golden: &Golden) -> Config {
    let id = |token: &str| golden.special[token];
    let config = json!({
        "model_type": "qwen3_vl", "tie_word_embeddings": true,
        "vision_start_token_id": id("<|vision_start|>"), "vision_end_token_id": id("<|vision_end|>"),
        "image_token_id": id("<|image_pad|>"), "video_token_id": id("<|video_pad|>"),
        "text_config": {
            "model_type": "qwen3_vl_text", "attention_bias": false, "head_dim": 128, "hidden_act": "silu",
            "hidden_size": 2048, "intermediate_size": 6144, "max_position_embeddings": 262_144,
            "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-6,
            "vocab_size": 151_936, "rope_theta": 5_000_000.0,
            "rope_scaling": {"mrope_interleaved": true, "mrope_section": [24, 20, 20], "rope_type": "default"},
        },
        "vision_config": {
            "model_type": "qwen3_vl", "deepstack_visual_indexes": [5, 11, 17], "depth": 24,
            "hidden_act": "gelu_pytorch_tanh", "hidden_size": 1024, "in_channels": 3, "intermediate_size": 4096,
            "num_heads": 16, "num_position_embeddings": 2304, "out_hidden_size": 2048, "patch_size": 16,
            "spatial_merge_size": 2, "temporal_patch_size": 2,
        },
    });
    Config::parse(&serde_json::to_vec(&config).unwrap()).unwrap()
}

/// Everything up to the answer, and the answer.
fn whole(question: &Question) -> Vec<u32> {
    [&question.ids[..], &[question.yes]].concat()
}

#[test]
fn the_question_has_the_published_ids() {
    let golden = golden();
    let words = words(&golden);
    // As they are printed in the method's own documentation.
    assert_eq!(golden.header, [151_644, 872, 198]);
    let printed = [
        785, 3403, 2766, 4933, 264, 12305, 33686, 34682, 429, 44595, 279, 2701, 3383, 25, 1787,
        279, 26482, 98881, 3425, 279, 3403, 5114, 374, 3007, 476, 537, 13, 576, 4226, 374, 25,
        3007,
    ];
    assert_eq!(golden.questions[0].without, printed);
    assert_eq!(
        words.encode(&TextLayout::Plain.header()).unwrap(),
        golden.header
    );
    for asked in &golden.questions {
        let prompt = Prompt::new(&asked.instruction).unwrap();
        let question = Question::new(&words, TextLayout::Plain, &prompt).unwrap();
        assert_eq!(whole(&question), asked.without, "{}", asked.instruction);
        assert_eq!((question.yes, question.no), (3007, 3557));
        assert_eq!(asked.without_false.last(), Some(&3557));
        assert_eq!(question.queries()[0].row, asked.without.len() - 2);

        let templated = prompt.clone().with_template(Template::With);
        let question = Question::new(&words, TextLayout::Plain, &templated).unwrap();
        assert_eq!(
            whole(&question),
            asked.with_template,
            "{}",
            asked.instruction
        );
        assert_eq!((question.yes, question.no), (2514, 3557));

        let described = prompt.with_description(&asked.description).unwrap();
        let question = Question::new(&words, TextLayout::Plain, &described).unwrap();
        assert_eq!(whole(&question), asked.described, "{}", asked.instruction);
    }
    // The newer layout ends the video once more, before the question.
    let prompt = Prompt::new("open the drawer").unwrap();
    let outer = Question::new(&words, TextLayout::Outer, &prompt).unwrap();
    assert_eq!(whole(&outer), [&[151_653], &printed[..]].concat());
    // A letter written as two characters is the one letter.
    let two = Prompt::new(&golden.questions[2].instruction.replace('Ö', "O\u{308}")).unwrap();
    let question = Question::new(&words, TextLayout::Plain, &two).unwrap();
    assert_eq!(whole(&question), golden.questions[2].without);
    let (before, after) = describe();
    assert_eq!(before, TextLayout::Plain.header());
    assert_eq!(words.encode(&after).unwrap(), golden.describe);
}

#[test]
fn the_video_has_the_published_ids() {
    let golden = golden();
    let words = words(&golden);
    let pad = golden.special["<|video_pad|>"];
    assert_eq!(golden.blocks.len(), 4);
    for video in &golden.blocks {
        let clip = Clip::new(video.frames, video.fps).unwrap();
        let shown = Profile::Aligned.frames(&clip, video.frames).unwrap();
        let mut ids = Vec::new();
        for (index, block) in shown.blocks().iter().enumerate() {
            let opening = if index == 0 {
                TextLayout::Plain.header()
            } else {
                String::new()
            };
            let text = format!("{opening}{}", layout::before_block(block.seconds).unwrap());
            ids.extend(words.encode(&text).unwrap());
            ids.push(pad);
            ids.extend(words.encode(layout::after_block()).unwrap());
        }
        assert_eq!(ids, video.ids, "{} frames per second", video.fps);
    }
}
