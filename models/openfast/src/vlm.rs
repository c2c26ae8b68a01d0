//! FAST ids inside the vocabulary of a vision-language model.
//!
//! A model that speaks FAST reserves a run of its own ids for FAST's. Two ways are in use:
//!
//! - **MolmoAct2** counts up: FAST id `k` is `action_token_start_id + k`, `num_action_tokens` ids
//!   are reserved, and a span stands between `action_start_token_id` and `action_end_token_id`. All
//!   four are keys of the checkpoint's `config.json`.
//! - **π0-FAST** (as LeRobot has it) counts down from the end of the text tokenizer: FAST id `k` is
//!   `vocab_size - 1 - fast_skip_tokens - k`. `fast_skip_tokens` is a key of `config.json`;
//!   `vocab_size` is the number of ids in the text tokenizer's `tokenizer.json`, without added ones.
//!   The span stands between pieces of text, so there is no start and no end token.

use std::collections::HashMap;
use std::path::Path;

use field_files::{Limit, json};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::LoadError;

mod answer;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod tests;

const CONFIG_FILE: &str = "config.json";
const TOKENIZER_FILE: &str = "tokenizer.json";

/// Mapping of FAST ids to a model's vocabulary, with the tokens around a span of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlmVocabulary {
    first: u32,
    count: u32,
    direction: Direction,
    start: Option<u32>,
    end: Option<u32>,
    /// The token that ends an answer after the end token.
    end_of_text: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// An id has no place in the other vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VlmError {
    /// A FAST id beyond those that the model reserves.
    #[error("token {position} is FAST id {id}, but the model has only {count} action tokens")]
    NoActionToken {
        /// Index in the stream, from 0.
        position: usize,
        /// The FAST id.
        id: u32,
        /// Action tokens of the model.
        count: usize,
    },
    /// An id of the model that is no action token, or a start or end where none may stand.
    #[error(
        "token {position} is id {id} of the model, which is no action token; an answer is action tokens alone, or those between one start and one end token (and the end of text after it)"
    )]
    Unexpected {
        /// Index in the stream, from 0.
        position: usize,
        /// The model's id.
        id: u32,
    },
    /// A start token without an end token.
    #[error("the stream begins with the start token and does not end with the end token {end}")]
    NoEnd {
        /// The end token.
        end: u32,
    },
    /// This model has no start and end token.
    #[error("this model has no tokens that start and end a span of action tokens")]
    NoFrame,
}

/// The keys of `config.json` that decide the mapping.
#[derive(Debug, Deserialize)]
struct Keys {
    action_token_start_id: Option<u32>,
    num_action_tokens: Option<u32>,
    action_start_token_id: Option<u32>,
    action_end_token_id: Option<u32>,
    /// A number; in other configurations a list of them, or nothing.
    eos_token_id: Option<Value>,
    fast_skip_tokens: Option<u32>,
    text_tokenizer_name: Option<String>,
    checkpoint_path: Option<String>,
}

impl Keys {
    fn parse(text: &[u8]) -> Result<Self, LoadError> {
        json::parse(text).map_err(|source| LoadError::VlmJson {
            file: CONFIG_FILE,
            source,
        })
    }
}

/// As much of a text tokenizer's file as it takes to count its ids.
#[derive(Debug, Deserialize)]
struct TextTokenizer {
    model: TextModel,
}

#[derive(Debug, Deserialize)]
struct TextModel {
    vocab: Ids,
}

/// A BPE lists its tokens by name, a Unigram in order.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ids {
    ByName(HashMap<String, IgnoredAny>),
    InOrder(Vec<IgnoredAny>),
}

impl VlmVocabulary {
    /// Reads the mapping of a checkpoint folder: its `config.json`, and for π0-FAST also the text
    /// tokenizer's `tokenizer.json`, which must have been put beside it.
    ///
    /// # Errors
    /// When a file is missing or does not give the figures; the error says which.
    pub fn from_dir(dir: &Path) -> Result<Self, LoadError> {
        let read = |name: &str| field_files::read(&dir.join(name), Limit::of(name));
        let config = read(CONFIG_FILE).map_err(LoadError::ReadCheckpoint)?;
        let keys = Keys::parse(&config)?;
        if keys.action_token_start_id.is_some() || keys.fast_skip_tokens.is_none() {
            return Self::counting_up(&keys);
        }
        match read(TOKENIZER_FILE) {
            Ok(tokenizer) => Self::counting_down(&keys, &tokenizer),
            Err(error) if error.is_missing() => Err(no_text_tokenizer(&keys)),
            Err(error) => Err(LoadError::ReadCheckpoint(error)),
        }
    }

    /// Reads the mapping from the contents of a MolmoAct2 checkpoint's `config.json`.
    ///
    /// # Errors
    /// When the contents do not give it. Those of a π0-FAST checkpoint never do alone: see
    /// [`Self::from_pi0_fast`].
    pub fn from_config(config_json: &[u8]) -> Result<Self, LoadError> {
        let keys = Keys::parse(config_json)?;
        if keys.action_token_start_id.is_none() && keys.fast_skip_tokens.is_some() {
            return Err(no_text_tokenizer(&keys));
        }
        Self::counting_up(&keys)
    }

    /// Reads the mapping of a π0-FAST checkpoint: LeRobot's `config.json` and the `tokenizer.json`
    /// of the text tokenizer that it names.
    ///
    /// # Errors
    /// When the contents do not give it.
    pub fn from_pi0_fast(config_json: &[u8], tokenizer_json: &[u8]) -> Result<Self, LoadError> {
        Self::counting_down(&Keys::parse(config_json)?, tokenizer_json)
    }

    /// `count` ids upwards from `first`, a span between `start` and `end`.
    ///
    /// # Errors
    /// When the ids do not fit in 32 bits, and when `start` or `end` is one of them.
    pub fn molmoact2(first: u32, count: u32, start: u32, end: u32) -> Result<Self, LoadError> {
        Self::up(first, count, Some(start), Some(end))
    }

    fn up(first: u32, count: u32, start: Option<u32>, end: Option<u32>) -> Result<Self, LoadError> {
        let bad = |reason| LoadError::NoVlmVocabulary { reason };
        let last = count
            .checked_sub(1)
            .and_then(|below| first.checked_add(below))
            .ok_or_else(|| {
                bad(format!(
                    "num_action_tokens is {count} and action_token_start_id is {first}; the ids must be some, and fit in 32 bits"
                ))
            })?;
        if let Some(id) = [start, end]
            .into_iter()
            .flatten()
            .find(|id| (first..=last).contains(id))
        {
            return Err(bad(format!(
                "id {id} starts or ends a span but is also the action token {}",
                id - first
            )));
        }
        if start.is_some() && start == end {
            return Err(bad(
                "action_start_token_id and action_end_token_id are the same".to_owned(),
            ));
        }
        Ok(Self {
            first,
            count,
            direction: Direction::Up,
            start,
            end,
            end_of_text: None,
        })
    }

    fn counting_up(keys: &Keys) -> Result<Self, LoadError> {
        let missing = |key: &str| {
            let reason = match &keys.checkpoint_path {
                Some(path) => format!(
                    "`{key}` is missing: this is LeRobot's configuration, the ids are in config.json of the checkpoint that its `checkpoint_path` names, {path:?}"
                ),
                None => format!("`{key}` is missing"),
            };
            LoadError::NoVlmVocabulary { reason }
        };
        let vocabulary = Self::up(
            keys.action_token_start_id
                .ok_or_else(|| missing("action_token_start_id"))?,
            keys.num_action_tokens
                .ok_or_else(|| missing("num_action_tokens"))?,
            keys.action_start_token_id,
            keys.action_end_token_id,
        )?;
        let end_of_text = keys.eos_token_id.as_ref().and_then(Value::as_u64);
        Ok(Self {
            end_of_text: end_of_text.and_then(|id| u32::try_from(id).ok()),
            ..vocabulary
        })
    }

    fn counting_down(keys: &Keys, tokenizer_json: &[u8]) -> Result<Self, LoadError> {
        let bad = |reason| LoadError::NoVlmVocabulary { reason };
        let skip = keys
            .fast_skip_tokens
            .ok_or_else(|| bad("`fast_skip_tokens` is missing".to_owned()))?;
        let tokenizer: TextTokenizer =
            json::parse(tokenizer_json).map_err(|source| LoadError::VlmJson {
                file: TOKENIZER_FILE,
                source,
            })?;
        let size = match tokenizer.model.vocab {
            Ids::ByName(tokens) => tokens.len(),
            Ids::InOrder(tokens) => tokens.len(),
        };
        let count = u32::try_from(size)
            .ok()
            .and_then(|size| size.checked_sub(skip));
        match count {
            Some(count @ 1..) => Ok(Self {
                first: count - 1,
                count,
                direction: Direction::Down,
                start: None,
                end: None,
                end_of_text: None,
            }),
            _ => Err(bad(format!(
                "`fast_skip_tokens` is {skip}, but the text tokenizer has only {size} ids"
            ))),
        }
    }

    /// The model's id of FAST id 0.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.first
    }

    /// FAST ids that have a place in the model's vocabulary: those below this. A FAST vocabulary
    /// may be smaller.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// The token before a span, where the model has one.
    #[must_use]
    pub fn start(&self) -> Option<u32> {
        self.start
    }

    /// The token after a span, where the model has one.
    #[must_use]
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// The model's id of a FAST id, or `None` beyond [`Self::count`].
    #[must_use]
    pub fn vlm_id(&self, fast: u32) -> Option<u32> {
        (fast < self.count).then(|| match self.direction {
            Direction::Up => self.first + fast,
            Direction::Down => self.first - fast,
        })
    }

    /// The FAST id of one of the model's ids, or `None` where that is no action token.
    #[must_use]
    pub fn fast_id(&self, vlm: u32) -> Option<u32> {
        match self.direction {
            Direction::Up => vlm.checked_sub(self.first),
            Direction::Down => self.first.checked_sub(vlm),
        }
        .filter(|&fast| fast < self.count)
    }

    /// FAST ids to the model's, without start and end.
    ///
    /// # Errors
    /// For an id beyond [`Self::count`].
    pub fn to_vlm(&self, ids: &[u32]) -> Result<Vec<u32>, VlmError> {
        ids.iter()
            .enumerate()
            .map(|(position, &id)| {
                self.vlm_id(id).ok_or(VlmError::NoActionToken {
                    position,
                    id,
                    count: self.count(),
                })
            })
            .collect()
    }

    /// FAST ids to the model's, between the start and the end token.
    ///
    /// # Errors
    /// As [`Self::to_vlm`], and when the model has no start or end token.
    pub fn wrap(&self, ids: &[u32]) -> Result<Vec<u32>, VlmError> {
        let (start, end) = self.start.zip(self.end).ok_or(VlmError::NoFrame)?;
        let mut wrapped = self.to_vlm(ids)?;
        wrapped.insert(0, start);
        wrapped.push(end);
        Ok(wrapped)
    }
}

fn no_text_tokenizer(keys: &Keys) -> LoadError {
    let name = keys.text_tokenizer_name.as_deref().unwrap_or("unnamed");
    LoadError::NoVlmVocabulary {
        reason: format!(
            "this model counts down from the end of its text tokenizer ({name}), whose size {CONFIG_FILE} does not give; put that tokenizer's {TOKENIZER_FILE} beside it"
        ),
    }
}
