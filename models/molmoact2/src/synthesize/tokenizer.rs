//! A tokenizer without merges: every byte is a token, special tokens have the ids of the configuration, and every other
//! id is a filler that does not occur in text.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::SynthesizeError;
use crate::checkpoint::config::Config;

/// Pattern by which Qwen's tokenizers split text.
const SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Number of byte tokens.
const BYTES: u32 = 256;

/// `tokenizer.json` and `tokenizer_config.json`.
pub(super) fn files(config: &Config) -> Result<(Value, Value), SynthesizeError> {
    let special = special(config)?;
    let first = special.keys().next().copied().unwrap_or(BYTES);
    if first < BYTES {
        return Err(SynthesizeError::Tokens(format!(
            "the token {:?} has id {first}; the first {BYTES} are bytes",
            special.get(&first).map_or("", String::as_str)
        )));
    }
    let end = (config.text.vocab_size + config.text.additional_vocab_size) as u32;
    let mut vocabulary: Map<String, Value> = Map::new();
    for (id, symbol) in (0..).zip(alphabet()) {
        vocabulary.insert(symbol.to_string(), json!(id));
    }
    for id in BYTES..first {
        vocabulary.insert(format!("<|filler_{id}|>"), json!(id));
    }
    let last = special.keys().next_back().copied().unwrap_or(first);
    if last >= end {
        return Err(SynthesizeError::Tokens(format!(
            "the token {:?} has id {last}, beyond vocab_size + additional_vocab_size = {end}",
            special.get(&last).map_or("", String::as_str)
        )));
    }
    // Added tokens are numbered in the order of the file: no id may be left out.
    let added: Vec<Value> = (first..=last)
        .map(|id| {
            let content = special.get(&id).cloned().unwrap_or_else(|| format!("<|filler_{id}|>"));
            json!({
                "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            })
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        ]},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": [],
        },
    });
    let tokenizer_config = json!({
        "bos_token": "<|im_end|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "padding_side": "left",
        "tokenizer_class": "Qwen2Tokenizer",
    });
    Ok((tokenizer, tokenizer_config))
}

/// Special tokens by id.
fn special(config: &Config) -> Result<BTreeMap<u32, String>, SynthesizeError> {
    let mut tokens = BTreeMap::new();
    let mut put = |id: u32, token: String| match tokens.insert(id, token.clone()) {
        Some(other) if other != token => Err(SynthesizeError::Tokens(format!(
            "{token:?} and {other:?} both have id {id}"
        ))),
        _ => Ok(()),
    };
    let text_end = config
        .bos_token_id
        .or(config.eos_token_id)
        .ok_or_else(|| SynthesizeError::Tokens("bos_token_id is missing".to_owned()))?;
    let before = |id: u32, count: u32| {
        id.checked_sub(count).ok_or_else(|| {
            SynthesizeError::Tokens(format!("no room for {count} tokens before id {id}"))
        })
    };
    put(before(text_end, 2)?, "<|endoftext|>".to_owned())?;
    put(before(text_end, 1)?, "<|im_start|>".to_owned())?;
    put(text_end, "<|im_end|>".to_owned())?;
    // Not in the configuration; the published tokenizers have them in front of the state.
    let state = config.state_start_token_id;
    for (count, token) in [
        (4, "setup_start"),
        (3, "setup_end"),
        (2, "control_start"),
        (1, "control_end"),
    ] {
        put(before(state, count)?, format!("<{token}>"))?;
    }
    put(state, "<state_start>".to_owned())?;
    put(config.state_end_token_id, "<state_end>".to_owned())?;
    let runs = [
        (
            "state",
            Some(config.state_token_start_id),
            config.num_state_tokens,
        ),
        (
            "action",
            config.action_token_start_id,
            config.num_action_tokens,
        ),
        (
            "depth",
            config.depth_token_start_id,
            config.num_depth_tokens,
        ),
    ];
    for (name, first, count) in runs {
        for (number, id) in (0..count).zip(first.into_iter().flat_map(|first| first..)) {
            put(id, format!("<{name}_{number}>"))?;
        }
    }
    let image = config.image_low_res_id;
    let named = [
        ("<action_output>", config.action_output_token_id),
        ("<action_start>", config.action_start_token_id),
        ("<action_end>", config.action_end_token_id),
        ("<depth_output>", config.depth_output_token_id),
        ("<depth_start>", config.depth_start_token_id),
        ("<depth_end>", config.depth_end_token_id),
        ("<im_start>", Some(config.image_start_token_id)),
        ("<im_end>", Some(config.image_end_token_id)),
        ("<im_patch>", Some(config.image_patch_id)),
        ("<im_col>", Some(config.image_col_id)),
        (
            "<low_res_im_start>",
            Some(config.low_res_image_start_token_id),
        ),
        ("<im_low>", Some(image)),
        ("<frame_start>", config.frame_start_token_id),
        ("<frame_end>", config.frame_end_token_id),
        // Not in the configuration; its place in the published tokenizers.
        ("<|image|>", Some(before(image, 1)?)),
    ];
    for (token, id) in named {
        if let Some(id) = id {
            put(id, token.to_owned())?;
        }
    }
    Ok(tokens)
}

/// Characters of bytes in byte-level tokenizers: printable ones as themselves, the rest from U+0100 on.
fn alphabet() -> Vec<char> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100_u32;
    (0..=255_u8)
        .map(|byte| {
            if printable(byte) {
                char::from(byte)
            } else {
                let symbol = char::from_u32(next).unwrap_or(char::REPLACEMENT_CHARACTER);
                next += 1;
                symbol
            }
        })
        .collect()
}
