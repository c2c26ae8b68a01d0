//! The two files of a tokenizer folder, checked as they come in.

use std::collections::{HashMap, HashSet};

use field_files::json;
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
    /// Factor of the orthonormal coefficients before rounding.
    pub scale: f64,
    /// The coefficient that character 0 stands for.
    pub min_token: i32,
    /// The vocabulary size requested for the fit. The BPE may hold fewer ids.
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
    pub(crate) fn parse(text: &[u8]) -> Result<Self, LoadError> {
        let config: Self = json::parse(text).map_err(LoadError::Config)?;
        if !usable_scale(config.scale) {
            return Err(LoadError::BadConfig {
                field: "scale",
                value: config.scale.to_string(),
                want: SCALES,
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

/// Description of the range of [`usable_scale`].
pub(crate) const SCALES: &str = "a positive number between 1e-30 and 3e38";

/// True if coefficients can be scaled with it. The encoder works in float32, so it must survive
/// there. And no stream may decode to infinities: its coefficients are below 2^22 (twice the range
/// of Unicode), so that over at most 1024 steps no action exceeds 2^22 * sqrt(2 * 1024) / scale.
pub(crate) fn usable_scale(scale: f64) -> bool {
    (1e-30..=3e38).contains(&scale)
}

/// The parts of `tokenizer.json` that decide what it does.
#[derive(Debug, Deserialize)]
pub(crate) struct Layout {
    #[serde(default)]
    normalizer: Option<IgnoredAny>,
    #[serde(default)]
    pre_tokenizer: Option<Part>,
    #[serde(default)]
    post_processor: Option<Part>,
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
    add_prefix_space: Option<bool>,
    #[serde(default = "yes")]
    use_regex: bool,
}

#[derive(Debug, Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    dropout: Option<f32>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: Option<bool>,
    #[serde(default)]
    ignore_merges: Option<bool>,
    vocab: HashMap<String, u32>,
    merges: Merges,
}

/// Newer files have pairs, older ones two tokens with a space between.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Merges {
    Pairs(Vec<(String, String)>),
    Lines(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
}

/// The relevant contents of a `tokenizer.json` that was checked to be a FAST tokenizer.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) vocab: HashMap<String, u32>,
    /// In the order of the file.
    pub(crate) merges: Vec<(String, String)>,
    /// True if a word that is a token is taken as one, whatever the merges say.
    pub(crate) ignore_merges: bool,
    /// True if text is split into words first.
    pub(crate) use_regex: bool,
    /// Text that is taken out as a token before anything else.
    pub(crate) added: Vec<(String, u32)>,
}

fn yes() -> bool {
    true
}

fn not_fast(part: &'static str, found: impl Into<String>, want: &'static str) -> LoadError {
    LoadError::NotFast {
        part,
        found: found.into(),
        want,
    }
}

impl Layout {
    /// Reads and checks.
    pub(crate) fn read(text: &[u8]) -> Result<Contents, LoadError> {
        let layout: Self =
            json::parse(text).map_err(|error| LoadError::Tokenizer(error.to_string()))?;
        if layout.normalizer.is_some() {
            // It would rewrite characters, that is, coefficients.
            return Err(not_fast("normalizer", "present", "none"));
        }
        layout.model.check()?;
        let use_regex = match &layout.pre_tokenizer {
            None => return Err(not_fast("pre_tokenizer", "missing", "ByteLevel")),
            Some(part) if part.kind != "ByteLevel" => {
                return Err(not_fast("pre_tokenizer", &part.kind, "ByteLevel"));
            }
            Some(part) => match part.add_prefix_space {
                Some(false) => part.use_regex,
                // A space is a character, and so a coefficient.
                Some(true) => {
                    return Err(not_fast("pre_tokenizer.add_prefix_space", "true", "false"));
                }
                None => {
                    return Err(not_fast(
                        "pre_tokenizer.add_prefix_space",
                        "missing",
                        "false",
                    ));
                }
            },
        };
        match &layout.post_processor {
            // The byte-level one only moves the borders of tokens in the text, which are not used.
            Some(part) if part.kind != "ByteLevel" => {
                return Err(not_fast("post_processor", &part.kind, "none or ByteLevel"));
            }
            _ => {}
        }
        match &layout.decoder {
            Some(part) if part.kind != "ByteLevel" => {
                return Err(not_fast("decoder", &part.kind, "ByteLevel"));
            }
            Some(_) => {}
            None => return Err(not_fast("decoder", "missing", "ByteLevel")),
        }
        let Model {
            vocab,
            merges,
            ignore_merges,
            ..
        } = layout.model;
        Ok(Contents {
            added: added(layout.added_tokens, &vocab)?,
            vocab,
            merges: merges.pairs()?,
            ignore_merges: ignore_merges.unwrap_or_default(),
            use_regex,
        })
    }
}

impl Model {
    fn check(&self) -> Result<(), LoadError> {
        if let Some(kind) = self.kind.as_ref().filter(|kind| *kind != "BPE") {
            return Err(not_fast("model", kind, "BPE"));
        }
        if self.dropout.is_some_and(|dropout| dropout != 0.0) {
            return Err(not_fast("model.dropout", "not zero", "none"));
        }
        if self.byte_fallback == Some(true) {
            return Err(not_fast("model.byte_fallback", "true", "false"));
        }
        for (part, text) in [
            // It would stand for coefficients that are not there.
            ("model.unk_token", &self.unk_token),
            (
                "model.continuing_subword_prefix",
                &self.continuing_subword_prefix,
            ),
            ("model.end_of_word_suffix", &self.end_of_word_suffix),
        ] {
            // An empty prefix or suffix is none; an empty unknown token is one.
            if let Some(text) = text
                && !(text.is_empty() && part != "model.unk_token")
            {
                return Err(not_fast(part, format!("{text:?}"), "none"));
            }
        }
        Ok(())
    }
}

impl Merges {
    fn pairs(self) -> Result<Vec<(String, String)>, LoadError> {
        let lines = match self {
            Self::Pairs(pairs) => return Ok(pairs),
            Self::Lines(lines) => lines,
        };
        let pair = |line: &String| match line.split_once(' ') {
            Some((left, right)) if !right.contains(' ') => Ok((left.to_owned(), right.to_owned())),
            _ => Err(not_fast(
                "model.merges",
                format!("{line:?}"),
                "two tokens with one space between",
            )),
        };
        let merges = lines.iter().filter(|line| !line.starts_with("#version"));
        merges.map(pair).collect()
    }
}

/// The added tokens with the ids that the library gives them.
fn added(
    tokens: Vec<AddedToken>,
    vocab: &HashMap<String, u32>,
) -> Result<Vec<(String, u32)>, LoadError> {
    let mut added: Vec<(String, u32)> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    let mut next = u32::try_from(vocab.len()).unwrap_or(u32::MAX);
    let normalized = tokens.first().is_some_and(|token| token.normalized);
    for token in tokens {
        if token.single_word || token.lstrip || token.rstrip || token.normalized != normalized {
            return Err(not_fast(
                "added_tokens",
                format!("{:?} with conditions", token.content),
                "none, or some that are taken wherever they stand",
            ));
        }
        if token.content.is_empty() || !known.insert(token.content.clone()) {
            continue;
        }
        let id = vocab.get(&token.content).copied().unwrap_or_else(|| {
            next = next.saturating_add(1);
            next - 1
        });
        if id != token.id {
            return Err(not_fast(
                "added_tokens",
                format!("{:?} with id {}", token.content, token.id),
                "the id of the vocabulary, or the next one after it",
            ));
        }
        added.push((token.content, id));
    }
    Ok(added)
}
