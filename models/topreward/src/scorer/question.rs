//! A tokenized prompt.

use super::ScorerError;
use crate::Prompt;
use layers::TokenQuery;
use qwen3vl::{TextLayout, TextTokenizer};

/// The tokens after the video, and the two answers whose probabilities are read at their end.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Everything from the end of the video to the place of the answer.
    pub ids: Vec<u32>,
    /// Token of ` True`.
    pub yes: u32,
    /// Token of ` False`.
    pub no: u32,
}

impl Question {
    /// The prompt's suffix in the tokens of a model.
    ///
    /// # Errors
    /// [`ScorerError::Model`] for an instruction that contains a special token, [`ScorerError::Answer`]
    /// when an answer is not one token.
    pub fn new(
        tokenizer: &TextTokenizer,
        layout: TextLayout,
        prompt: &Prompt,
    ) -> Result<Self, ScorerError> {
        tokenizer.check_plain(prompt.instruction())?;
        if let Some(description) = prompt.description() {
            tokenizer.check_plain(description)?;
        }
        // The answer's token is the last one of the whole text, which is tokenised at once.
        let suffix = format!("{}{}", layout.close(), prompt.suffix());
        let mut ids = tokenizer.encode(&format!("{suffix}{}", prompt.yes()))?;
        let yes = single(tokenizer, prompt.yes())?;
        if ids.pop() != Some(yes) {
            return Err(ScorerError::Answer {
                word: prompt.yes(),
                tokens: 2,
            });
        }
        Ok(Self {
            ids,
            yes,
            no: single(tokenizer, prompt.no())?,
        })
    }

    /// Queries for both answers at the end of the suffix.
    #[must_use]
    pub fn queries(&self) -> [TokenQuery; 2] {
        let row = self.ids.len().saturating_sub(1);
        [self.yes, self.no].map(|id| TokenQuery { row, id })
    }
}

fn single(tokenizer: &TextTokenizer, word: &'static str) -> Result<u32, ScorerError> {
    match tokenizer.encode(word)?.as_slice() {
        &[id] => Ok(id),
        ids => Err(ScorerError::Answer {
            word,
            tokens: ids.len(),
        }),
    }
}
