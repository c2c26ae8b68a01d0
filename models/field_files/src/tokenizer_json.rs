//! `tokenizer.json`, held against limits before a library unfolds it.
//!
//! The library that reads these files takes any. A state of a search tree is made of each byte of an added token: sixty
//! thousand long ones take gigabytes. Normalizers are applied to added tokens and to every text, each to the result of the
//! one before, so that a few rules make gigabytes of a sentence. Regular expressions grow by what they repeat. So the parts
//! are counted while the text is read once, and what grows beyond several times the published files is refused. Loading
//! what passes takes at most 200 MiB, measured at the limits.

use std::borrow::Cow;

use serde_json::Value;

use crate::json::{self, JsonError};
use layout::Layout;

mod growth;
mod layout;
mod patterns;

/// Most entries of the vocabulary of a model, and as many merges. The largest that are read here have a quarter of a
/// million.
pub const MOST_ENTRIES: usize = 300_000;
/// Most added tokens. Those for actions and depth are some four thousand.
pub const MOST_ADDED: usize = 16_384;
/// Most bytes of the text of all added tokens together; published ones have 80,000.
pub const MOST_ADDED_BYTES: usize = 1 << 20;
/// Most bytes of one added token.
pub const MOST_TOKEN_BYTES: usize = 512;
/// Most bytes that normalization may make of all added tokens together.
const MOST_NORMALIZED_BYTES: u64 = 2 << 20;

/// `bytes` as standard JSON for a library that reads tokenizers, if the file is whole and within the limits.
///
/// # Errors
/// [`JsonError`] with the part of the file: for text that is no JSON or ends early, for parts above the limits, and for
/// models and normalizers that cannot be bounded. The limit is named.
pub fn bounded(bytes: &[u8]) -> Result<Cow<'_, [u8]>, JsonError> {
    let text = json::standard(bytes)?;
    let layout: Layout = json::typed(&text, bytes.len())?;
    layout.model.check()?;
    let normalizer = growth::of_normalizer(&layout.normalizer)?;
    growth::of_pre_tokenizer(&layout.pre_tokenizer)?;
    growth::of_post_processor(&layout.post_processor)?;
    growth::of_decoder(&layout.decoder)?;
    let sections: [(&str, &[Value]); 3] = [
        ("normalizer", &layout.normalizer),
        ("pre_tokenizer", &layout.pre_tokenizer),
        ("decoder", &layout.decoder),
    ];
    patterns::check(&sections)?;
    let normalized = layout.added.normalized_bytes.saturating_mul(normalizer);
    if normalized > MOST_NORMALIZED_BYTES {
        return Err(JsonError::at(
            "added_tokens",
            format_args!(
                "normalization may make {normalized} bytes of them; at most {MOST_NORMALIZED_BYTES} are taken"
            ),
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
