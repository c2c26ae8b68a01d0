//! Writing the depth map, token by token through the cache.
//!
//! A code is the likeliest of the codes alone, so a map always has its cells; which one it is stays
//! on the device until the whole map is written, and the passes follow each other without waiting
//! for the host. After the last cell the model is free, and expected to write `<depth_end>`.

use burn::tensor::{Int, Tensor};
use layers::{KvCache, Linear};

use super::DepthIds;
use super::plan::Span;
use crate::config::Config;
use crate::discrete::read;
use crate::error::ActError;
use crate::text_model::{TextModel, Until};

/// Everything needed to write a depth map.
#[derive(Debug)]
pub(crate) struct DepthHead {
    pub(crate) ids: DepthIds,
    /// The output head's rows for the codes alone.
    pub(crate) head: Linear,
    /// Most tokens between the last cell and `<depth_end>`, it included.
    pub(crate) end_limit: usize,
    /// Most tokens of a map that the model writes freely.
    pub(crate) free_limit: usize,
}

/// A depth map that was written.
#[derive(Debug)]
pub(crate) struct Walked {
    /// All tokens after the prompt up to `<depth_end>`.
    pub(crate) tokens: Vec<u32>,
    pub(crate) codes: Vec<u32>,
    /// Per code, whether it was written in this call.
    pub(crate) regenerated: Vec<bool>,
    pub(crate) forwards: usize,
    /// Scores of every code that was picked, if asked for.
    pub(crate) logits: Option<Vec<Vec<f32>>>,
    /// Final hidden state of the last token fed, `[1, hidden]`, if asked for.
    pub(crate) hidden: Option<Tensor<2>>,
}

/// What to feed after `<depth_end>`, and whether anybody wants the state after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Then<'a> {
    pub(crate) tokens: &'a [u32],
    pub(crate) hidden: bool,
    /// Whether to keep the scores.
    pub(crate) logits: bool,
}

/// The model while it writes.
struct Pen<'a> {
    text: &'a TextModel,
    cache: &'a mut KvCache,
    forwards: usize,
}

impl Pen<'_> {
    /// Feeds tokens; gives the final hidden state of the last.
    fn feed(&mut self, embedded: Tensor<2>) -> Result<Tensor<2>, ActError> {
        self.forwards += 1;
        let hidden = self.text.extend(embedded, self.cache, Until::LastToken)?;
        hidden.ok_or_else(|| ActError::ReadBack {
            reason: "the language model gave no hidden state".to_owned(),
        })
    }
}

impl DepthHead {
    /// The bounds are the reference's.
    pub(crate) fn new(ids: DepthIds, config: &Config, text: &TextModel) -> Self {
        let horizon = config.max_action_horizon;
        Self {
            ids,
            head: text.head_for(ids.first as usize, ids.codes),
            end_limit: horizon.max(8),
            free_limit: (ids.cells + 8).max(horizon.saturating_mul(16)),
        }
    }

    /// What can be read together with the prompt because it is known beforehand: `<depth_start>`
    /// and the cells kept before the first new one.
    pub(crate) fn known_beginning(&self, spans: &[Span]) -> Vec<u32> {
        let mut known = vec![self.ids.start];
        if let Some(Span::Kept(codes)) = spans.first() {
            known.extend(codes.iter().map(|&code| self.ids.token(code)));
        }
        known
    }

    /// Writes the cells of `spans`. `cache` holds the prompt and [`DepthHead::known_beginning`],
    /// `hidden` is the final hidden state of its last token.
    pub(crate) async fn fill(
        &self,
        text: &TextModel,
        cache: &mut KvCache,
        hidden: Tensor<2>,
        spans: &[Span],
        then: Then<'_>,
    ) -> Result<Walked, ActError> {
        let mut pen = Pen {
            text,
            cache,
            forwards: 0,
        };
        let mut hidden = hidden;
        let mut picks: Vec<Tensor<1, Int>> = Vec::new();
        let mut scores = Vec::new();
        for (index, span) in spans.iter().enumerate() {
            match span {
                Span::New(count) => {
                    for _ in 0..*count {
                        let row = self.head.forward(hidden);
                        let pick = row.clone().argmax(1).reshape([1]);
                        if then.logits {
                            scores.push(row);
                        }
                        picks.push(pick.clone());
                        hidden = pen.feed(text.embed_rows(pick + i64::from(self.ids.first)))?;
                    }
                }
                Span::Kept(_) if index == 0 => {}
                Span::Kept(codes) => {
                    let tokens: Vec<u32> = codes.iter().map(|&code| self.ids.token(code)).collect();
                    hidden = pen.feed(text.embed(&tokens))?;
                }
            }
        }
        let mut tail = Vec::new();
        let hidden = self
            .close(&mut pen, hidden, self.end_limit, then, &mut tail)
            .await?;
        let mut written = read_indices(picks).await?.into_iter();
        let (mut codes, mut regenerated) = (Vec::new(), Vec::new());
        for span in spans {
            match span {
                Span::New(count) => {
                    codes.extend(written.by_ref().take(*count));
                    regenerated.extend(std::iter::repeat_n(true, *count));
                }
                Span::Kept(kept) => {
                    codes.extend(kept);
                    regenerated.extend(std::iter::repeat_n(false, kept.len()));
                }
            }
        }
        if codes.iter().any(|&code| code as usize >= self.ids.codes) {
            return Err(ActError::NotFinite {
                what: "every score of a depth code",
            });
        }
        let mut tokens = vec![self.ids.start];
        tokens.extend(codes.iter().map(|&code| self.ids.token(code)));
        tokens.extend(tail);
        let logits = if then.logits {
            let mut rows = Vec::with_capacity(scores.len());
            for row in scores {
                rows.push(read(row).await?);
            }
            Some(rows)
        } else {
            None
        };
        Ok(Walked {
            tokens,
            codes,
            regenerated,
            forwards: pen.forwards,
            logits,
            hidden,
        })
    }

    /// Lets the model write as it likes after the prompt, whose last final hidden state is `hidden`.
    pub(crate) async fn free(
        &self,
        text: &TextModel,
        cache: &mut KvCache,
        hidden: Tensor<2>,
        then: Then<'_>,
    ) -> Result<Walked, ActError> {
        let mut pen = Pen {
            text,
            cache,
            forwards: 0,
        };
        let mut tokens = Vec::new();
        let hidden = self
            .close(&mut pen, hidden, self.free_limit, then, &mut tokens)
            .await?;
        let codes = self.ids.span(&tokens);
        if codes.is_empty() {
            return Err(ActError::NoDepthCodes {
                generated: tokens.len(),
            });
        }
        Ok(Walked {
            regenerated: vec![true; codes.len()],
            codes,
            tokens,
            forwards: pen.forwards,
            logits: None,
            hidden,
        })
    }

    /// The likeliest tokens of all until `<depth_end>`, which is fed together with what follows.
    async fn close(
        &self,
        pen: &mut Pen<'_>,
        hidden: Tensor<2>,
        limit: usize,
        then: Then<'_>,
        tokens: &mut Vec<u32>,
    ) -> Result<Option<Tensor<2>>, ActError> {
        let mut hidden = hidden;
        for _ in 0..limit {
            let best = pen.text.logits(hidden).argmax(1).reshape([1]);
            let token = read_indices(vec![best]).await?;
            tokens.extend(&token);
            if token == [self.ids.end] {
                let last = [&[self.ids.end], then.tokens].concat();
                let embedded = pen.text.embed(&last);
                if then.hidden {
                    return pen.feed(embedded).map(Some);
                }
                pen.forwards += 1;
                return pen.text.extend(embedded, pen.cache, Until::KeysAndValues);
            }
            hidden = pen.feed(pen.text.embed(&token))?;
        }
        Err(ActError::NoDepthEnd { limit })
    }
}

/// Reads picks back to the host, all at once.
async fn read_indices(picks: Vec<Tensor<1, Int>>) -> Result<Vec<u32>, ActError> {
    if picks.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |reason: String| ActError::ReadBack { reason };
    let data = Tensor::cat(picks, 0)
        .into_data_async()
        .await
        .map_err(|error| failed(format!("{error:?}")))?;
    data.convert::<i64>()
        .as_slice::<i64>()
        .map_err(|error| failed(format!("{error:?}")))?
        .iter()
        .map(|&index| u32::try_from(index).map_err(|error| failed(error.to_string())))
        .collect()
}
