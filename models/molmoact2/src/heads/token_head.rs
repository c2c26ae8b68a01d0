//! Action tokens: greedy decoding with the token head.
//!
//! **Masked** decoding, the default, feeds `<action_start>` itself and restricts every step to the tokens that can
//! still lead to a complete chunk, so that the result always decodes. **Strict** decoding is the reference's,
//! unrestricted over the whole vocabulary; a stream that does not decode is an error (the reference would command
//! the mid-range pose).

use burn_tensor::Tensor;
use layers::Linear;
use openfast::{FastTokenizer, Grammar, Shape, VlmError, VlmVocabulary};

use crate::error::ActError;
use crate::network::readback::read;
use crate::network::sequences::Sequences;
use crate::network::text_model::{TextModel, Until};

/// Decoding of action tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Decoding {
    /// Restricted to tokens that keep the stream decodable.
    #[default]
    Masked,
    /// Unrestricted, as in the reference; an undecodable stream is an error.
    Strict,
}

/// Token ids of the token head, from the checkpoint's configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ActionIds {
    pub(crate) vocabulary: VlmVocabulary,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) end_of_text: u32,
}

/// Callback that gets the FAST ids so far, after every action token.
pub type TokenCallback<'a> = dyn FnMut(&[u32]) + Send + 'a;

/// Result of decoding one chunk.
#[derive(Debug, Default)]
pub(crate) struct DecodedTokens {
    /// FAST ids of the chunk.
    pub(crate) fast_ids: Vec<u32>,
    /// Logits that each token was chosen from, if requested.
    pub(crate) logits: Vec<Vec<f32>>,
    /// The whole answer in the model's ids, from `<action_start>` (strict: from the first generated token) to the
    /// end of text.
    pub(crate) generated: Vec<u32>,
}

/// Reason for the absence of a token head, for display.
pub(crate) type NoTokenHead = String;

/// Tokenizer, ids and output rows for action tokens.
#[derive(Debug)]
pub(crate) struct TokenHead {
    pub(crate) tokenizer: FastTokenizer,
    pub(crate) ids: ActionIds,
    /// The output head's rows for the action tokens alone.
    pub(crate) action_head: Linear,
}

/// A chunk that is being decoded.
#[derive(Debug)]
pub(crate) struct TokenStream {
    state: DecodingState,
    decoded: DecodedTokens,
    /// The outcome, once decoding has ended.
    ended: Option<Result<(), ActError>>,
}

#[derive(Debug)]
enum DecodingState {
    Masked(Grammar),
    /// The tokens generated so far, and the maximum number.
    Strict {
        all: Vec<u32>,
        limit: usize,
    },
}

impl TokenHead {
    /// Starts a chunk of this shape. `before` are the tokens generated before it; strict decoding also searches
    /// them for action tokens, as the reference does.
    pub(crate) fn stream(
        &self,
        decoding: Decoding,
        shape: Shape,
        before: &[u32],
    ) -> Result<TokenStream, ActError> {
        let state = match decoding {
            Decoding::Masked => DecodingState::Masked(Grammar::new(&self.tokenizer, shape)?),
            Decoding::Strict => DecodingState::Strict {
                all: before.to_vec(),
                limit: shape.horizon.saturating_mul(16).max(1),
            },
        };
        Ok(TokenStream {
            state,
            decoded: DecodedTokens::default(),
            ended: None,
        })
    }

    /// Decodes the chunks `streams`, all in the same mode, one for each sequence of `past`. `hidden` (`[streams,
    /// hidden]`) has the final hidden state of the last token of each, in masked decoding that of `<action_start>`.
    /// Finished streams wait for the others. `written` gets the index of a stream and its FAST ids after each of
    /// its action tokens.
    pub(crate) async fn write(
        &self,
        text: &TextModel,
        past: &mut Sequences,
        hidden: Tensor<2>,
        mut streams: Vec<TokenStream>,
        keep_logits: bool,
        written: &mut (dyn FnMut(usize, &[u32]) + Send),
    ) -> Result<Vec<Result<DecodedTokens, ActError>>, ActError> {
        // Streams that continue, in the order of the rows of `hidden`.
        let mut writing: Vec<usize> = (0..streams.len()).collect();
        let masked = matches!(
            streams.first().map(|s| &s.state),
            Some(DecodingState::Masked(_))
        );
        let mut hidden = hidden;
        loop {
            let scores = if masked {
                self.action_head.forward(hidden)
            } else {
                text.logits(hidden)
            };
            let [_, width] = scores.dims();
            let scores = read(scores).await?;
            let mut counts = vec![0; streams.len()];
            let mut tokens = Vec::with_capacity(writing.len());
            let mut going = Vec::with_capacity(writing.len());
            for (&number, scores) in writing.iter().zip(scores.chunks(width.max(1))) {
                let (Some(stream), Some(count)) = (streams.get_mut(number), counts.get_mut(number))
                else {
                    continue;
                };
                let mut told = |ids: &[u32]| written(number, ids);
                let next = self.next(stream, scores, keep_logits, &mut told);
                let (held, max) = (past.len(number), text.max_positions());
                stream.ended = match next {
                    Ok(Some(_)) if held >= max => Some(Err(ActError::TooLong {
                        tokens: held + 1,
                        max,
                    })),
                    Ok(Some(token)) => {
                        tokens.push(token);
                        going.push(number);
                        *count = 1;
                        None
                    }
                    Ok(None) => Some(Ok(())),
                    Err(error) => Some(Err(error)),
                };
            }
            writing = going;
            if writing.is_empty() {
                break;
            }
            let embedded = text.embed(&tokens);
            hidden = text
                .forward_several(embedded, &counts, &[], past, Until::LastToken)
                .ok_or_else(ActError::no_hidden_state)?;
        }
        let done = |stream: TokenStream| match stream.ended {
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Ok(stream.decoded),
        };
        Ok(streams.into_iter().map(done).collect())
    }

    /// Chooses the next token of a stream; `None` at its end.
    fn next(
        &self,
        stream: &mut TokenStream,
        scores: &[f32],
        keep_logits: bool,
        written: &mut TokenCallback<'_>,
    ) -> Result<Option<u32>, ActError> {
        let TokenStream { state, decoded, .. } = stream;
        if keep_logits {
            decoded.logits.push(scores.to_vec());
        }
        match state {
            DecodingState::Masked(grammar) => {
                let id = argmax(scores, Some(&grammar.mask()))?;
                grammar.push(id)?;
                decoded.fast_ids.push(id);
                written(&decoded.fast_ids);
                let token = self
                    .ids
                    .vocabulary
                    .vlm_id(id)
                    .ok_or(VlmError::NoActionToken {
                        position: decoded.fast_ids.len() - 1,
                        id,
                        count: self.ids.vocabulary.count(),
                    })?;
                decoded.generated.push(token);
                if !grammar.is_complete() {
                    return Ok(Some(token));
                }
                decoded.generated.insert(0, self.ids.start);
                decoded
                    .generated
                    .extend([self.ids.end, self.ids.end_of_text]);
                Ok(None)
            }
            DecodingState::Strict { all, limit } => {
                let token = argmax(scores, None)?;
                all.push(token);
                decoded.generated.push(token);
                if token != self.ids.end_of_text {
                    if decoded.generated.len() >= *limit {
                        return Err(ActError::NoEnd { limit: *limit });
                    }
                    if self.ids.vocabulary.fast_id(token).is_some() {
                        written(&self.ids.vocabulary.from_vlm_as_reference(all));
                    }
                    return Ok(Some(token));
                }
                decoded.fast_ids = self.ids.vocabulary.from_vlm_as_reference(all);
                if decoded.fast_ids.is_empty() {
                    return Err(ActError::NoActionTokens {
                        generated: decoded.generated.len(),
                    });
                }
                Ok(None)
            }
        }
    }
}

/// The first of the largest scores among the allowed ones; without a list all are allowed.
fn argmax(scores: &[f32], allowed: Option<&[bool]>) -> Result<u32, ActError> {
    let mut best: Option<(u32, f32)> = None;
    for (place, (id, &score)) in (0..).zip(scores).enumerate() {
        let allowed = allowed.is_none_or(|list| list.get(place).copied().unwrap_or(false));
        let better = best.is_none_or(|(_, most)| score > most);
        if allowed && better && !score.is_nan() {
            best = Some((id, score));
        }
    }
    best.map(|(id, _)| id).ok_or(ActError::NotFinite {
        what: "every score of the token head",
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::argmax;

    #[test]
    fn the_likeliest_allowed_token_is_picked_and_the_first_of_equals() {
        assert_eq!(
            argmax(&[3.0, 9.0, 4.0, 4.0], Some(&[true, false, true, true])).unwrap(),
            2
        );
        assert_eq!(argmax(&[3.0, 9.0, 4.0], None).unwrap(), 1);
        assert_eq!(argmax(&[f32::NAN, -1.0], None).unwrap(), 1);
        assert!(argmax(&[f32::NAN, -1.0], Some(&[true, false])).is_err());
    }
}
