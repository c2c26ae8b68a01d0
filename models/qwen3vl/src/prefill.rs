//! Prefill of a context, and log-probabilities of suffixes.
//!
//! One video serves any number of prefixes and questions: a prefix of the video is a prefix of the cache, and a
//! question after it is a [`Suffix`], whose keys and values are dropped when it has been answered.

use burn_tensor::Tensor;
use layers::TokenQuery;

use crate::context::{Context, ContextPosition, PackedSuffix, Segment, Suffix};
use crate::error::ScoreError;
use crate::network::Network;
use crate::sequence::{Sequence, bias};
use crate::stage::{OnStage, unwatched};
use crate::text_model::{HiddenRows, Rows};

impl Network {
    /// Appends `segments` to `context`; every token attends to everything before it.
    ///
    /// Long segments are read in parts, so that the scores of attention stay within what the network was loaded for, and on the
    /// CPU near their core; that changes nothing in the result.
    ///
    /// # Errors
    /// [`ScoreError`] for tokens that are not in the vocabulary or stand for pictures, blocks that were not seen, and
    /// sequences that are too long. The context is then as it was before.
    pub fn append(
        &self,
        context: &mut Context,
        segments: &[Segment<'_>],
    ) -> Result<(), ScoreError> {
        let mut sequence = Sequence::from(context.next);
        for segment in segments {
            sequence.push(self, *segment)?;
        }
        let total = sequence.len();
        let Some(joined) = sequence.join(self) else {
            return Ok(());
        };
        let mut first = 0;
        while first < total {
            let past_len = context.tokens();
            let count = self.rows_within(past_len).min(total - first);
            let mrope_positions = sequence
                .positions
                .get(first..first + count)
                .unwrap_or_default();
            let rows = Rows {
                x: joined.x.clone().narrow(0, first, count),
                deepstack: joined
                    .deepstack
                    .iter()
                    .map(|features| features.clone().narrow(0, first, count))
                    .collect(),
                rotary: self.text.rotation.rotary(mrope_positions, &self.device),
                past: &context.past,
                past_len,
                past_bias: None,
                own_bias: bias(self, count, count, |row, column| column <= row),
            };
            let read = self.text.forward(rows, &HiddenRows::None, &unwatched);
            context.past.extend(read.own);
            first += count;
        }
        context.next = sequence.next;
        Ok(())
    }

    /// Maximum number of rows that may attend to `past` columns and themselves at a time.
    fn rows_within(&self, past: usize) -> usize {
        let allowed = self.scores / self.text.heads.max(1);
        // The largest r with r (past + r) <= allowed.
        let half = past / 2;
        ((half * half + allowed).isqrt())
            .saturating_sub(half)
            .min(self.rows_together)
            .max(1)
    }

    /// `ln p` of the queried tokens after those of `suffixes`, each suffix's in the order of its `queries`.
    ///
    /// A suffix attends to everything before its position and to itself, not to other suffixes. The context stays as it is.
    /// Suffixes of one call are read together as far as the memory for scores of attention allows.
    ///
    /// # Errors
    /// [`ScoreError`] for positions beyond the context, rows beyond a suffix, and tokens as in [`Network::append`].
    pub async fn log_probs(
        &self,
        context: &Context,
        suffixes: &[Suffix<'_>],
    ) -> Result<Vec<Vec<f32>>, ScoreError> {
        let mut log_probs = Vec::with_capacity(suffixes.len());
        let mut rest = suffixes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.together(rest));
            log_probs.extend(self.group(context, now).await?);
            rest = later;
        }
        Ok(log_probs)
    }

    /// Number of the suffixes that can be read together; at least one.
    fn together(&self, suffixes: &[Suffix<'_>]) -> usize {
        let allowed = self.scores / self.text.heads.max(1);
        let (mut rows, mut past) = (0, 0);
        let fits = suffixes.iter().take_while(|suffix| {
            rows += suffix.ids.len();
            past = past.max(suffix.position.tokens);
            rows * (rows + past) <= allowed
        });
        fits.count().max(1)
    }

    async fn group(
        &self,
        context: &Context,
        suffixes: &[Suffix<'_>],
    ) -> Result<Vec<Vec<f32>>, ScoreError> {
        let held = context.tokens();
        let mut rows = SuffixRows::default();
        let mut mrope_positions = Vec::new();
        let mut embedded = Vec::new();
        for suffix in suffixes {
            let ContextPosition {
                tokens,
                next_position,
            } = suffix.position;
            if tokens > held {
                return Err(ScoreError::NoSuchPosition { tokens, held });
            }
            let mut sequence = Sequence::from(next_position);
            sequence.push_text(self, suffix.ids)?;
            rows.add(tokens, suffix.ids, suffix.queries)?;
            embedded.extend(sequence.join(self).map(|joined| joined.x));
            mrope_positions.extend(sequence.positions);
        }
        let past_len = rows.past.iter().copied().max().unwrap_or(0);
        let count = rows.past.len();
        let input = Rows {
            x: Tensor::cat(embedded, 0),
            deepstack: Vec::new(),
            rotary: self.text.rotation.rotary(&mrope_positions, &self.device),
            past: &context.past,
            past_len,
            past_bias: bias(self, count, past_len, |row, column| {
                rows.past.get(row).is_some_and(|past| column < *past)
            }),
            own_bias: bias(self, count, count, |row, column| {
                column <= row && rows.suffix.get(row) == rows.suffix.get(column)
            }),
        };
        self.answer(
            input,
            &rows,
            suffixes.iter().map(|suffix| suffix.queries.len()),
        )
        .await
    }

    /// The same in a single pass over everything: `segments` are read once, and each suffix behind the segments that it
    /// follows, with a mask that hides the others from it. Nothing is kept.
    ///
    /// Equal to [`Network::append`] and [`Network::log_probs`], but for rounding. The scores of attention of all rows
    /// are in memory together, so this is for devices with much of it, and for sequences that are not long.
    ///
    /// # Errors
    /// As these two.
    pub async fn packed_log_probs(
        &self,
        segments: &[Segment<'_>],
        suffixes: &[PackedSuffix<'_>],
    ) -> Result<Vec<Vec<f32>>, ScoreError> {
        let mut sequence = Sequence::from(0);
        // Positions before the first segment and after each.
        let mut positions = vec![ContextPosition::default()];
        for segment in segments {
            sequence.push(self, *segment)?;
            positions.push(ContextPosition {
                tokens: sequence.len(),
                next_position: sequence.next,
            });
        }
        let video = sequence.len();
        let mut rows = SuffixRows::default();
        rows.past.resize(video, 0);
        rows.suffix.resize(video, 0);
        for suffix in suffixes {
            let Some(position) = positions.get(suffix.after_segments) else {
                return Err(ScoreError::NoSuchPosition {
                    tokens: suffix.after_segments,
                    held: segments.len(),
                });
            };
            sequence.next = position.next_position;
            sequence.push_text(self, suffix.ids)?;
            rows.add(position.tokens, suffix.ids, suffix.queries)?;
        }
        let count = sequence.len();
        let Some(joined) = sequence.join(self) else {
            return Ok(Vec::new());
        };
        let empty = Context::default();
        let input = Rows {
            x: joined.x,
            deepstack: joined.deepstack,
            rotary: self.text.rotation.rotary(&sequence.positions, &self.device),
            past: &empty.past,
            past_len: 0,
            past_bias: None,
            own_bias: bias(self, count, count, |row, column| {
                let own = rows.suffix.get(row) == rows.suffix.get(column);
                let before = rows.past.get(row).is_some_and(|past| column < *past);
                column <= row && (own || before)
            }),
        };
        self.answer(
            input,
            &rows,
            suffixes.iter().map(|suffix| suffix.queries.len()),
        )
        .await
    }

    async fn answer(
        &self,
        input: Rows<'_>,
        rows: &SuffixRows,
        counts: impl Iterator<Item = usize>,
    ) -> Result<Vec<Vec<f32>>, ScoreError> {
        // Each row once, however many tokens are queried there.
        let mut needed: Vec<usize> = rows.queries.iter().map(|query| query.row).collect();
        needed.sort_unstable();
        needed.dedup();
        let queries: Vec<TokenQuery> = rows
            .queries
            .iter()
            .map(|query| TokenQuery {
                row: needed.partition_point(|row| *row < query.row),
                id: query.id,
            })
            .collect();
        let mut all = Vec::new();
        if !needed.is_empty() {
            let read = self
                .text
                .forward(input, &HiddenRows::Some(needed), &unwatched);
            if let Some(hidden) = read.hidden {
                all = self.text.head().log_probs(&hidden, &queries).await?;
            }
        }
        if all.iter().any(|value| !value.is_finite()) {
            return Err(ScoreError::NotFinite {
                what: "a log-probability",
            });
        }
        let mut all = all.into_iter();
        Ok(counts
            .map(|count| all.by_ref().take(count).collect())
            .collect())
    }

    /// Final hidden states of `segments` read from the beginning, every row, `[rows, hidden]`, showing every stage to
    /// `on_stage`. For holding the network against the reference.
    ///
    /// # Errors
    /// As [`Network::append`].
    pub fn hidden_states_watched(
        &self,
        segments: &[Segment<'_>],
        on_stage: OnStage<'_>,
    ) -> Result<Option<Tensor<2>>, ScoreError> {
        let mut sequence = Sequence::from(0);
        for segment in segments {
            sequence.push(self, *segment)?;
        }
        let count = sequence.len();
        let Some(joined) = sequence.join(self) else {
            return Ok(None);
        };
        let empty = Context::default();
        let input = Rows {
            x: joined.x,
            deepstack: joined.deepstack,
            rotary: self.text.rotation.rotary(&sequence.positions, &self.device),
            past: &empty.past,
            past_len: 0,
            past_bias: None,
            own_bias: bias(self, count, count, |row, column| column <= row),
        };
        Ok(self.text.forward(input, &HiddenRows::All, on_stage).hidden)
    }
}

/// The rows of several suffixes, stacked.
#[derive(Default)]
struct SuffixRows {
    /// Per row, number of tokens before the suffix that it attends to.
    past: Vec<usize>,
    /// Per row, number of its suffix from 1; 0 for rows of the video.
    suffix: Vec<usize>,
    /// Queries, with rows counted over all.
    queries: Vec<TokenQuery>,
}

impl SuffixRows {
    fn add(&mut self, past: usize, ids: &[u32], queries: &[TokenQuery]) -> Result<(), ScoreError> {
        let tokens = ids.len();
        if tokens == 0 {
            return Err(ScoreError::NoSuchRow { row: 0, tokens });
        }
        let first = self.past.len();
        for TokenQuery { row, id } in queries.iter().copied() {
            if row >= tokens {
                return Err(ScoreError::NoSuchRow { row, tokens });
            }
            self.queries.push(TokenQuery {
                row: first + row,
                id,
            });
        }
        let suffix = self.suffix.last().copied().unwrap_or(0) + 1;
        self.past.resize(first + tokens, past);
        self.suffix.resize(first + tokens, suffix);
        Ok(())
    }
}
