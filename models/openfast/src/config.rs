//! The two files of a tokenizer folder, checked as they come in.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{LoadError, Shape};

/// `processor_config.json`: how coefficients become characters.
///
/// The reference reads a missing `scale` as 10 and a missing `min_token` as 0. Here both must be
/// given: decoding with the wrong offset moves every joint, and nothing downstream would notice.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ProcessorConfig {
    /// What orthonormal coefficients are multiplied with before rounding.
    pub scale: f64,
    /// The coefficient that character 0 stands for.
    pub min_token: i32,
    /// The vocabulary size asked for when fitting. The BPE may hold fewer ids.
    #[serde(default)]
    pub vocab_size: Option<u32>,
    /// The horizon of the chunks it was made for, where declared.
    #[serde(default)]
    pub time_horizon: Option<usize>,
    /// The action dimensions of the chunks it was made for, where declared.
    #[serde(default)]
    pub action_dim: Option<usize>,
}

impl ProcessorConfig {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, LoadError> {
        let config: Self = serde_json::from_slice(json).map_err(LoadError::Config)?;
        // The encoder works in float32, so the scale must survive there.
        if !((config.scale as f32).is_normal() && config.scale > 0.0) {
            return Err(LoadError::BadConfig {
                field: "scale",
                value: config.scale.to_string(),
                want: "a positive number that float32 can hold",
            });
        }
        if config.min_token.unsigned_abs() > char::MAX as u32 {
            return Err(LoadError::BadConfig {
                field: "min_token",
                value: config.min_token.to_string(),
                want: "within the range of Unicode",
            });
        }
        Ok(config)
    }

    /// The declared shape, where both sides are declared.
    #[must_use]
    pub fn shape(&self) -> Option<Shape> {
        Some(Shape {
            horizon: self.time_horizon?,
            dims: self.action_dim?,
        })
    }
}

/// The parts of `tokenizer.json` that decide whether it is a FAST tokenizer.
#[derive(Debug, Deserialize)]
pub(crate) struct Layout {
    #[serde(default)]
    normalizer: Option<IgnoredAny>,
    #[serde(default)]
    pre_tokenizer: Option<Part>,
    #[serde(default)]
    decoder: Option<Part>,
    model: Model,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    add_prefix_space: bool,
}

#[derive(Debug, Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    dropout: Option<f32>,
}

#[derive(Debug, Deserialize)]
struct AddedToken {
    id: u32,
}

impl Layout {
    /// Reads and checks; answers the ids that were added beside the BPE vocabulary.
    pub(crate) fn added_ids(json: &[u8]) -> Result<Vec<u32>, LoadError> {
        let layout: Self = serde_json::from_slice(json)
            .map_err(|error| LoadError::Tokenizer(error.to_string()))?;
        let not_fast = |part, found: &str, want| {
            Err(LoadError::NotFast {
                part,
                found: found.to_owned(),
                want,
            })
        };
        if layout.normalizer.is_some() {
            // It would rewrite characters, that is, coefficients.
            return not_fast("normalizer", "present", "none");
        }
        match &layout.model.kind {
            Some(kind) if kind != "BPE" => return not_fast("model", kind, "BPE"),
            _ => {}
        }
        if layout.model.dropout.is_some_and(|dropout| dropout != 0.0) {
            return not_fast("model.dropout", "not zero", "none");
        }
        match &layout.pre_tokenizer {
            Some(part) if part.kind != "ByteLevel" => {
                return not_fast("pre_tokenizer", &part.kind, "ByteLevel");
            }
            Some(part) if part.add_prefix_space => {
                // A space is a character, and so a coefficient.
                return not_fast("pre_tokenizer.add_prefix_space", "true", "false");
            }
            Some(_) => {}
            None => return not_fast("pre_tokenizer", "missing", "ByteLevel"),
        }
        match &layout.decoder {
            Some(part) if part.kind != "ByteLevel" => not_fast("decoder", &part.kind, "ByteLevel"),
            Some(_) => Ok(layout
                .added_tokens
                .into_iter()
                .map(|token| token.id)
                .collect()),
            None => not_fast("decoder", "missing", "ByteLevel"),
        }
    }
}
