//! Small random models, films of noise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub
)]

use std::{borrow::Cow, collections::BTreeMap};

use layers::ModelFiles;
use qwen3vl::{LoadOptions, Qwen3Vl};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;
use vision::RgbImage;

/// xorshift64*.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    pub fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Of mean 0 and variance 1: twelve uniform ones.
    fn normal(&mut self) -> f32 {
        ((0..12).map(|_| self.unit()).sum::<f64>() - 6.0) as f32
    }
}

struct Tensors {
    random: Random,
    made: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
}

impl Tensors {
    /// Normal values of gain one, about `mean`.
    fn add(&mut self, name: &str, shape: &[usize], mean: f32, spread: f32) {
        let fan_in: usize = shape.iter().skip(1).product();
        let scale = spread / (fan_in as f32).sqrt();
        let count: usize = shape.iter().product();
        let bytes = (0..count)
            .flat_map(|_| (mean + scale * self.random.normal()).to_le_bytes())
            .collect();
        self.made.insert(name.to_owned(), (shape.to_vec(), bytes));
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize, bias: bool) {
        self.add(&format!("{name}.weight"), &[outputs, inputs], 0.0, 1.0);
        if bias {
            self.add(&format!("{name}.bias"), &[outputs], 0.0, 0.1);
        }
    }

    fn layer_norm(&mut self, name: &str, width: usize) {
        self.add(&format!("{name}.weight"), &[width], 1.0, 0.1);
        self.add(&format!("{name}.bias"), &[width], 0.0, 0.1);
    }
}

/// Bytes, the merges that make each answer one token, and the special tokens: a tokenizer of Qwen's kind.
fn tokenizer() -> serde_json::Value {
    let mut spare = 256_u32;
    let letters: Vec<String> = (0..=255_u8)
        .map(|byte| {
            let printable = matches!(byte, 33..=126 | 161..=172 | 174..=255);
            let letter = if printable { u32::from(byte) } else { spare };
            spare += u32::from(!printable);
            char::from_u32(letter).unwrap().to_string()
        })
        .collect();
    let mut tokens = letters.clone();
    let mut merges: Vec<String> = Vec::new();
    let space = &letters[32];
    for word in ["True", "False"] {
        let mut joined = word[..1].to_owned();
        for letter in word[1..].chars() {
            merges.push(format!("{joined} {letter}"));
            joined.push(letter);
            tokens.push(joined.clone());
        }
        merges.push(format!("{space} {word}"));
        tokens.push(format!("{space}{word}"));
    }
    let vocab: serde_json::Map<String, serde_json::Value> = (0..)
        .zip(&tokens)
        .map(|(id, token): (usize, &String)| (token.clone(), json!(id)))
        .collect();
    let added: Vec<serde_json::Value> = (tokens.len()..)
        .zip(SPECIAL)
        .map(|(id, token)| {
            json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        ]},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                  "vocab": vocab, "merges": merges},
    })
}

const SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const SPECIAL: [&str; 7] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
];
/// 256 letters, four and five merges.
const SPECIAL_FROM: usize = 256 + 4 + 5;

/// A model of random sizes and weights. `most_pixels` bounds the pixels of a video.
pub fn random_model(seed: u64, most_pixels: usize) -> Qwen3Vl {
    let mut random = Random::new(seed);
    let head_dim = random.of(&[8, 16]);
    let kv_heads = random.of(&[1, 2]);
    let heads = kv_heads * random.of(&[1, 2]);
    let hidden = random.of(&[24, 32, 48]);
    let inner = random.of(&[32, 64]);
    let layers = 3 + random.below(2);
    let vision_heads = random.of(&[1, 2]);
    let vision_hidden = vision_heads * random.of(&[8, 16]);
    let vision_inner = random.of(&[24, 40]);
    let depth = 3 + random.below(2);
    let tied = random.below(2) == 0;
    let side = random.of(&[4, 8]);
    let vocab = SPECIAL_FROM + SPECIAL.len();
    let sections = if head_dim == 8 { [2, 1, 1] } else { [4, 2, 2] };
    let taps = [0, 1, 2];
    let config = json!({
        "model_type": "qwen3_vl",
        "tie_word_embeddings": tied,
        "vision_start_token_id": SPECIAL_FROM + 2,
        "vision_end_token_id": SPECIAL_FROM + 3,
        "image_token_id": SPECIAL_FROM + 5,
        "video_token_id": SPECIAL_FROM + 6,
        "text_config": {
            "model_type": "qwen3_vl_text", "attention_bias": false, "head_dim": head_dim, "hidden_act": "silu",
            "hidden_size": hidden, "intermediate_size": inner, "max_position_embeddings": 4096,
            "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": kv_heads,
            "rms_norm_eps": 1e-6, "tie_word_embeddings": tied, "vocab_size": vocab,
            "rope_parameters": {"mrope_interleaved": true, "mrope_section": sections, "rope_theta": 5e6,
                                "rope_type": "default"},
        },
        "vision_config": {
            "model_type": "qwen3_vl", "deepstack_visual_indexes": taps, "depth": depth,
            "hidden_act": "gelu_pytorch_tanh", "hidden_size": vision_hidden, "in_channels": 3,
            "intermediate_size": vision_inner, "num_heads": vision_heads, "num_position_embeddings": side * side,
            "out_hidden_size": hidden, "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2,
        },
    });
    let video = json!({
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "merge_size": 2, "patch_size": 16,
        "temporal_patch_size": 2, "size": {"longest_edge": most_pixels, "shortest_edge": 4096},
    });

    let mut tensors = Tensors {
        random,
        made: BTreeMap::new(),
    };
    let visual = "model.visual";
    tensors.add(
        &format!("{visual}.patch_embed.proj.weight"),
        &[vision_hidden, 3, 2, 16, 16],
        0.0,
        1.0,
    );
    tensors.add(
        &format!("{visual}.patch_embed.proj.bias"),
        &[vision_hidden],
        0.0,
        0.1,
    );
    tensors.add(
        &format!("{visual}.pos_embed.weight"),
        &[side * side, vision_hidden],
        0.0,
        1.0,
    );
    for block in 0..depth {
        let name = |part: &str| format!("{visual}.blocks.{block}.{part}");
        tensors.layer_norm(&name("norm1"), vision_hidden);
        tensors.layer_norm(&name("norm2"), vision_hidden);
        tensors.linear(&name("attn.qkv"), 3 * vision_hidden, vision_hidden, true);
        tensors.linear(&name("attn.proj"), vision_hidden, vision_hidden, true);
        tensors.linear(&name("mlp.linear_fc1"), vision_inner, vision_hidden, true);
        tensors.linear(&name("mlp.linear_fc2"), vision_hidden, vision_inner, true);
    }
    let merged = 4 * vision_hidden;
    let mergers = [("merger".to_owned(), vision_hidden)]
        .into_iter()
        .chain((0..taps.len()).map(|tap| (format!("deepstack_merger_list.{tap}"), merged)));
    for (merger, normed) in mergers {
        tensors.layer_norm(&format!("{visual}.{merger}.norm"), normed);
        tensors.linear(
            &format!("{visual}.{merger}.linear_fc1"),
            merged,
            merged,
            true,
        );
        tensors.linear(
            &format!("{visual}.{merger}.linear_fc2"),
            hidden,
            merged,
            true,
        );
    }
    let text = "model.language_model";
    tensors.add(
        &format!("{text}.embed_tokens.weight"),
        &[vocab, hidden],
        0.0,
        1.0,
    );
    tensors.add(&format!("{text}.norm.weight"), &[hidden], 1.0, 0.1);
    if !tied {
        tensors.linear("lm_head", vocab, hidden, false);
    }
    for layer in 0..layers {
        let name = |part: &str| format!("{text}.layers.{layer}.{part}");
        tensors.linear(&name("self_attn.q_proj"), heads * head_dim, hidden, false);
        tensors.linear(
            &name("self_attn.k_proj"),
            kv_heads * head_dim,
            hidden,
            false,
        );
        tensors.linear(
            &name("self_attn.v_proj"),
            kv_heads * head_dim,
            hidden,
            false,
        );
        tensors.linear(&name("self_attn.o_proj"), hidden, heads * head_dim, false);
        for norm in ["self_attn.q_norm", "self_attn.k_norm"] {
            tensors.add(&name(&format!("{norm}.weight")), &[head_dim], 1.0, 0.1);
        }
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            tensors.add(&name(&format!("{norm}.weight")), &[hidden], 1.0, 0.1);
        }
        tensors.linear(&name("mlp.gate_proj"), inner, hidden, false);
        tensors.linear(&name("mlp.up_proj"), inner, hidden, false);
        tensors.linear(&name("mlp.down_proj"), hidden, inner, false);
    }
    let views: Vec<(&String, TensorView<'_>)> = tensors
        .made
        .iter()
        .map(|(name, (shape, bytes))| {
            (
                name,
                TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
            )
        })
        .collect();
    let weights = safetensors::serialize(views, None).unwrap();
    let files = ModelFiles::from_memory(
        [
            ("config.json", serde_json::to_vec(&config).unwrap()),
            (
                "video_preprocessor_config.json",
                serde_json::to_vec(&video).unwrap(),
            ),
            ("tokenizer.json", serde_json::to_vec(&tokenizer()).unwrap()),
            ("model.safetensors", weights),
        ]
        .map(|(name, bytes)| (name.to_owned(), Cow::Owned(bytes))),
    );
    Qwen3Vl::load(&files, &layers::device::cpu(), &LoadOptions::default()).unwrap()
}

/// Frames of noise over a slow drift, so that no two are equal.
pub fn noise(random: &mut Random, frames: usize, width: usize, height: usize) -> Vec<RgbImage> {
    (0..frames)
        .map(|frame| {
            let data = (0..width * height * 3)
                .map(|_| (random.below(180) + frame % 70) as u8)
                .collect();
            RgbImage::new(width, height, data).unwrap()
        })
        .collect()
}
