//! Greedy generation, token by token.

use std::ops::ControlFlow;

use burn_tensor::Tensor;
use layers::read_back;

use crate::context::{Context, Segment};
use crate::error::ScoreError;
use crate::model::Qwen3Vl;
use crate::network::Network;
use crate::sequence::Sequence;
use crate::stage::unwatched;
use crate::text_model::{HiddenRows, Rows};

/// Reason for the end of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The model generated a stop token.
    EndOfText,
    /// The maximum number of tokens was reached.
    MaxTokens,
    /// The caller stopped the generation.
    Stopped,
}

/// Called with each token as it is chosen; a break ends the answer.
pub type OnToken<'a> = dyn FnMut(u32) -> ControlFlow<()> + 'a;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Its tokens, without the one that ended it.
    pub ids: Vec<u32>,
    /// Its text, special tokens left out.
    pub text: String,
    /// Reason for its end.
    pub stop_reason: StopReason,
}

impl Qwen3Vl {
    /// Reads `prompt` after what `context` holds and continues it with at most `max_tokens` tokens.
    ///
    /// The context is taken: a clone of it costs next to nothing and stays as it is.
    ///
    /// # Errors
    /// [`ScoreError::EmptyPrompt`], and as [`Qwen3Vl::stop_tokens`], [`Network::append`] and [`Network::log_probs`].
    pub async fn generate(
        &self,
        mut context: Context,
        prompt: &[u32],
        max_tokens: usize,
        on_token: &mut OnToken<'_>,
    ) -> Result<Generated, ScoreError> {
        let network = self.network();
        let stop_tokens = self.stop_tokens()?;
        let (&last, before) = prompt.split_last().ok_or(ScoreError::EmptyPrompt)?;
        network.append(&mut context, &[Segment::Text(before)])?;
        let mut ids = Vec::new();
        let mut stop_reason = StopReason::MaxTokens;
        let mut next = last;
        while ids.len() < max_tokens {
            let scores = read_back(network.step(&mut context, next)?).await?;
            next = likeliest(&scores).ok_or(ScoreError::NotFinite {
                what: "every score of the language model",
            })?;
            if stop_tokens.contains(&next) {
                stop_reason = StopReason::EndOfText;
                break;
            }
            ids.push(next);
            if on_token(next).is_break() {
                stop_reason = StopReason::Stopped;
                break;
            }
        }
        Ok(Generated {
            text: self.tokenizer().decode(&ids)?,
            ids,
            stop_reason,
        })
    }
}

impl Network {
    /// Reads one token into `context` and returns the logits of the next token, `[1, tokens]`.
    fn step(&self, context: &mut Context, id: u32) -> Result<Tensor<2>, ScoreError> {
        let mut sequence = Sequence::from(context.next);
        sequence.push_written(self, id)?;
        let joined = sequence.join(self).ok_or(ScoreError::EmptyPrompt)?;
        let past_len = context.tokens();
        let rows = Rows {
            x: joined.x,
            deepstack: joined.deepstack,
            rotary: self.text.rotation.rotary(&sequence.positions, &self.device),
            past: &context.past,
            past_len,
            past_bias: None,
            own_bias: None,
        };
        let read = self
            .text
            .forward(rows, &HiddenRows::Some(vec![0]), &unwatched);
        let hidden = read.hidden.ok_or(ScoreError::EmptyPrompt)?;
        context.past.extend(read.own);
        context.next = sequence.next;
        Ok(self.text.head().logits(&hidden))
    }
}

/// Index of the first of the largest logits; NaN counts as impossible.
fn likeliest(scores: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (id, &score) in (0..).zip(scores) {
        if !score.is_nan() && best.is_none_or(|(_, most)| score > most) {
            best = Some((id, score));
        }
    }
    best.map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::likeliest;

    #[test]
    fn the_first_of_the_largest_is_taken() {
        assert_eq!(likeliest(&[1.0, 5.0, f32::NAN, 5.0]), Some(1));
        assert_eq!(likeliest(&[f32::NAN]), None);
        assert_eq!(likeliest(&[]), None);
    }
}
