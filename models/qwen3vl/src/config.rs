//! `config.json`, read key by key.
//!
//! Names are those of the file, so that a value can be found there; sections lose their `_config`. Keys that change
//! nothing in inference (dropout, initialisation, cache use) are not read. Nothing is assumed about the sizes: what a
//! key says is used, and what contradicts another key is refused with both named.

use layers::{ConfigError, config_section, parse_config};
use serde::Deserialize;
use serde_json::Value;

mod check;

/// File name in a model folder.
pub const FILE: &str = "config.json";

/// The vision tower (`vision_config`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct VisionConfig {
    pub depth: usize,
    pub hidden_size: usize,
    pub hidden_act: String,
    pub intermediate_size: usize,
    pub num_heads: usize,
    pub in_channels: usize,
    /// Pixels along one side of a patch.
    pub patch_size: usize,
    /// Patches along one side of what becomes one token.
    pub spatial_merge_size: usize,
    /// Frames in a patch.
    pub temporal_patch_size: usize,
    /// Width of the language model.
    pub out_hidden_size: usize,
    /// Places of the learned position table, which is square.
    pub num_position_embeddings: usize,
    /// Blocks whose output also goes into the first layers of the language model.
    pub deepstack_visual_indexes: Vec<usize>,
}

impl VisionConfig {
    /// Width of one head.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads.max(1)
    }

    /// Values of one patch.
    #[must_use]
    pub fn patch_len(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// Patches that become one token.
    #[must_use]
    pub fn merged(&self) -> usize {
        self.spatial_merge_size * self.spatial_merge_size
    }
}

/// The language model (`text_config`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct TextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub hidden_act: String,
    pub max_position_embeddings: usize,
    pub rms_norm_eps: f64,
    #[serde(default)]
    pub attention_bias: bool,
    /// Base of the rotary frequencies. Newer files keep it in `rope_parameters`.
    #[serde(default)]
    pub rope_theta: f64,
    /// Frequencies that follow time, height and width.
    #[serde(skip)]
    pub mrope_section: [usize; 3],
    #[serde(default)]
    rope_scaling: Option<Value>,
    #[serde(default)]
    rope_parameters: Option<Value>,
    #[serde(default)]
    tie_word_embeddings: Option<bool>,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct Config {
    pub vision: VisionConfig,
    pub text: TextConfig,
    pub image_token_id: u32,
    pub video_token_id: u32,
    pub vision_start_token_id: u32,
    pub vision_end_token_id: u32,
    /// True if the output head is the embedding table.
    pub tie_word_embeddings: bool,
}

#[derive(Deserialize)]
struct Top {
    image_token_id: u32,
    video_token_id: u32,
    vision_start_token_id: u32,
    vision_end_token_id: u32,
    #[serde(default)]
    tie_word_embeddings: Option<bool>,
    #[serde(default)]
    quantization_config: Option<Value>,
}

/// Rotary settings, wherever they stand.
#[derive(Deserialize)]
struct Rope {
    #[serde(default)]
    rope_theta: Option<f64>,
    #[serde(default, alias = "type")]
    rope_type: Option<String>,
    #[serde(default)]
    mrope_section: Option<[usize; 3]>,
    #[serde(default)]
    mrope_interleaved: Option<bool>,
}

impl Config {
    /// Reads the bytes of `config.json`.
    ///
    /// # Errors
    /// [`ConfigError::BadFile`] for a missing key or a value of the wrong type, [`ConfigError::BadValue`] for values that
    /// are impossible or contradict each other, [`ConfigError::Unsupported`] for kinds of model that are not read. Each
    /// names the key.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let raw: Value = parse_config(FILE, bytes)?;
        refuse_other_models(&raw)?;
        let top: Top = config_section(FILE, &raw, None)?;
        if top.quantization_config.is_some() {
            return Err(ConfigError::unsupported(
                "a quantization_config",
                "weights in F32, F16 or BF16 are read, and made smaller while loading where that is asked for; get the same \
                 model unquantized (its name then lacks FP8, AWQ, GPTQ and the like)",
            ));
        }
        let mut text: TextConfig = config_section(FILE, &raw, Some("text_config"))?;
        resolve_rope(&mut text)?;
        let tied = match (top.tie_word_embeddings, text.tie_word_embeddings) {
            (Some(top), Some(text)) if top != text => {
                return Err(ConfigError::bad_value(
                    FILE,
                    "tie_word_embeddings",
                    format!("is {top} but text_config.tie_word_embeddings is {text}"),
                ));
            }
            (top, text) => top.or(text).unwrap_or(false),
        };
        let config = Self {
            vision: config_section(FILE, &raw, Some("vision_config"))?,
            text,
            image_token_id: top.image_token_id,
            video_token_id: top.video_token_id,
            vision_start_token_id: top.vision_start_token_id,
            vision_end_token_id: top.vision_end_token_id,
            tie_word_embeddings: tied,
        };
        check::check(&config)?;
        Ok(config)
    }

    /// Placeholder tokens for images and videos.
    #[must_use]
    pub fn visual_ids(&self) -> [u32; 2] {
        [self.image_token_id, self.video_token_id]
    }
}

fn refuse_other_models(raw: &Value) -> Result<(), ConfigError> {
    let kind = raw.get("model_type").and_then(Value::as_str);
    let why = match kind {
        Some("qwen3_vl") => return Ok(()),
        Some("qwen3_vl_moe") => "mixtures of experts are not read; the dense sizes are",
        _ => "this reader takes \"qwen3_vl\"",
    };
    Err(ConfigError::unsupported(
        kind.map_or_else(
            || "no model_type".to_owned(),
            |kind| format!("model_type = {kind:?}"),
        ),
        why,
    ))
}

/// Brings both spellings of the rotary settings together: `rope_theta` beside `rope_scaling`, as published, and all of
/// it in `rope_parameters`, as transformers 5 writes it.
fn resolve_rope(text: &mut TextConfig) -> Result<(), ConfigError> {
    let mut section = None;
    for (key, value) in [
        ("rope_scaling", text.rope_scaling.take()),
        ("rope_parameters", text.rope_parameters.take()),
    ] {
        let Some(value) = value else { continue };
        let place = format!("text_config.{key}");
        let rope: Rope = field_files::json::from_value(&value)
            .map_err(|error| ConfigError::bad_json(FILE, &format!("{place}: "), &error))?;
        if rope
            .rope_type
            .as_deref()
            .is_some_and(|kind| kind != "default")
        {
            return Err(ConfigError::unsupported(
                format!(
                    "{place}.rope_type = {:?}",
                    rope.rope_type.unwrap_or_default()
                ),
                "only \"default\" frequencies are computed",
            ));
        }
        if rope.mrope_interleaved == Some(false) {
            return Err(ConfigError::unsupported(
                format!("{place}.mrope_interleaved = false"),
                "Qwen3-VL interleaves the frequencies of time, height and width",
            ));
        }
        if let Some(theta) = rope.rope_theta {
            if text.rope_theta != 0.0 && text.rope_theta.to_bits() != theta.to_bits() {
                return Err(ConfigError::bad_value(
                    FILE,
                    "text_config.rope_theta",
                    format!("is {} but {place}.rope_theta is {theta}", text.rope_theta),
                ));
            }
            text.rope_theta = theta;
        }
        if let (Some(new), Some(old)) = (rope.mrope_section, section)
            && new != old
        {
            return Err(ConfigError::bad_value(
                FILE,
                format!("{place}.mrope_section"),
                format!("is {new:?} but rope_scaling says {old:?}"),
            ));
        }
        section = rope.mrope_section.or(section);
    }
    let Some(section) = section else {
        return Err(ConfigError::bad_value(
            FILE,
            "text_config.rope_scaling.mrope_section",
            "is missing, and so is rope_parameters.mrope_section",
        ));
    };
    text.mrope_section = section;
    Ok(())
}
