//! Tokens that end an answer.

use layers::{ConfigError, ModelFiles, parse_config};
use serde::Deserialize;

use crate::error::LoadError;
use crate::layout::{END_OF_TEXT, IM_END};
use crate::tokenizer::TextTokenizer;

/// File name in a model folder.
const FILE: &str = "generation_config.json";

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Some(Vec<u32>),
}

/// Those of `generation_config.json`; without it the end of a turn and the end of a text, as far as the tokenizer has
/// them.
///
/// # Errors
/// [`LoadError`] for a file that cannot be used, or an id that the model has no token for.
pub(crate) fn read(files: &ModelFiles, tokenizer: &TextTokenizer) -> Result<Vec<u32>, LoadError> {
    let given = match files.find(FILE)? {
        Some(bytes) => parse_config::<Raw>(FILE, &bytes)?.eos_token_id,
        None => None,
    };
    let ids = match given {
        Some(Ids::One(id)) => vec![id],
        Some(Ids::Some(ids)) => ids,
        None => {
            return Ok([IM_END, END_OF_TEXT]
                .iter()
                .filter_map(|token| tokenizer.id(token))
                .collect());
        }
    };
    match ids
        .iter()
        .find(|id| **id as usize >= tokenizer.vocab_size())
    {
        Some(id) => Err(ConfigError::bad_value(
            FILE,
            "eos_token_id",
            format!(
                "has {id}, but the model has {} tokens",
                tokenizer.vocab_size()
            ),
        )
        .into()),
        None => Ok(ids),
    }
}
