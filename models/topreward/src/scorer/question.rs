//! A prompt in tokens.

use super::ScorerError;
use crate::Prompt;
use layers::Wanted;
use qwen3vl::{TextLayout, Words};

/// What stands after the video, and which probabilities are read where it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Everything from the end of the video to the place of the answer.
    pub ids: Vec<u32>,
    /// ` True`.
    pub yes: u32,
    /// ` False`.
    pub no: u32,
}

impl Question {
    /// The prompt's tail in the tokens of a model.
    ///
    /// # Errors
    /// [`ScorerError::Model`] for an instruction with a token of its own meaning in it, [`ScorerError::Answer`]
    /// when an answer is not one token.
    pub fn new(words: &Words, layout: TextLayout, prompt: &Prompt) -> Result<Self, ScorerError> {
        words.check_plain(prompt.instruction())?;
        if let Some(description) = prompt.description() {
            words.check_plain(description)?;
        }
        // The answer's token is the last one of the whole text, which is tokenised at once.
        let tail = format!("{}{}", layout.close(), prompt.tail());
        let mut ids = words.encode(&format!("{tail}{}", prompt.yes()))?;
        let yes = single(words, prompt.yes())?;
        if ids.pop() != Some(yes) {
            return Err(ScorerError::Answer {
                word: prompt.yes(),
                tokens: 2,
            });
        }
        Ok(Self {
            ids,
            yes,
            no: single(words, prompt.no())?,
        })
    }

    /// Both answers, where the tail ends.
    #[must_use]
    pub fn wanted(&self) -> [Wanted; 2] {
        let row = self.ids.len().saturating_sub(1);
        [self.yes, self.no].map(|id| Wanted { row, id })
    }
}

fn single(words: &Words, word: &'static str) -> Result<u32, ScorerError> {
    match words.encode(word)?.as_slice() {
        &[id] => Ok(id),
        ids => Err(ScorerError::Answer {
            word,
            tokens: ids.len(),
        }),
    }
}
