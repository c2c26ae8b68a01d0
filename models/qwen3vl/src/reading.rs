//! Reading pieces into a context, and asking about it.
//!
//! One video serves any number of prefixes and questions: a prefix of the video is a prefix of the cache, and a
//! question after it is a [`Tail`], whose keys and values are dropped when it has been answered.

use burn::tensor::Tensor;
use layers::Wanted;

use crate::context::{Context, Mark, PackedTail, Piece, Tail};
use crate::error::ScoreError;
use crate::network::Network;
use crate::sequence::{Sequence, bias};
use crate::stage::{Watch, unwatched};
use crate::text_model::{Needed, Rows};

impl Network {
    /// Reads `pieces` after what `context` holds; every token sees everything before it.
    ///
    /// Long pieces are read in parts, so that the scores of attention stay within what the network was loaded for, and on the
    /// CPU near their core; that changes nothing in the result.
    ///
    /// # Errors
    /// [`ScoreError`] for tokens that are not in the vocabulary or stand for pictures, blocks that were not seen, and
    /// sequences that are too long. The context is then as it was before.
    pub fn append(&self, context: &mut Context, pieces: &[Piece<'_>]) -> Result<(), ScoreError> {
        let mut sequence = Sequence::from(context.next);
        for piece in pieces {
            sequence.push(self, *piece)?;
        }
        let total = sequence.len();
        let Some(joined) = sequence.join(self) else {
            return Ok(());
        };
        let mut first = 0;
        while first < total {
            let past_len = context.tokens();
            let count = self.rows_within(past_len).min(total - first);
            let places = sequence
                .places
                .get(first..first + count)
                .unwrap_or_default();
            let rows = Rows {
                x: joined.x.clone().narrow(0, first, count),
                deepstack: joined
                    .deepstack
                    .iter()
                    .map(|features| features.clone().narrow(0, first, count))
                    .collect(),
                rotary: self.text.rotation.rotary(places, &self.device),
                past: &context.past,
                past_len,
                past_bias: None,
                own_bias: bias(self, count, count, |row, column| column <= row),
            };
            let read = self.text.forward(rows, &Needed::None, &unwatched);
            context.past.extend(read.own);
            first += count;
        }
        context.next = sequence.next;
        Ok(())
    }

    /// How many rows may look at `past` columns and themselves at a time.
    fn rows_within(&self, past: usize) -> usize {
        let allowed = self.scores / self.text.heads.max(1);
        // The largest r with r (past + r) <= allowed.
        let half = past / 2;
        ((half * half + allowed).isqrt())
            .saturating_sub(half)
            .min(self.rows_together)
            .max(1)
    }

    /// `ln p` of what may follow the tokens of `tails`, each tail's in the order of its `wanted`.
    ///
    /// A tail sees what lies before its mark, and itself; tails do not see each other, and the context stays as it
    /// is. Tails of one call are read together as far as the scores of attention allow.
    ///
    /// # Errors
    /// [`ScoreError`] for marks beyond the context, rows beyond a tail, and tokens as in [`Network::append`].
    pub async fn log_probs(
        &self,
        context: &Context,
        tails: &[Tail<'_>],
    ) -> Result<Vec<Vec<f32>>, ScoreError> {
        let mut found = Vec::with_capacity(tails.len());
        let mut rest = tails;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.together(rest));
            found.extend(self.group(context, now).await?);
            rest = later;
        }
        Ok(found)
    }

    /// How many of the tails can be read together; at least one.
    fn together(&self, tails: &[Tail<'_>]) -> usize {
        let allowed = self.scores / self.text.heads.max(1);
        let (mut rows, mut past) = (0, 0);
        let fits = tails.iter().take_while(|tail| {
            rows += tail.ids.len();
            past = past.max(tail.from.tokens);
            rows * (rows + past) <= allowed
        });
        fits.count().max(1)
    }

    async fn group(
        &self,
        context: &Context,
        tails: &[Tail<'_>],
    ) -> Result<Vec<Vec<f32>>, ScoreError> {
        let held = context.tokens();
        let mut rows = TailRows::default();
        let mut places = Vec::new();
        let mut embedded = Vec::new();
        for tail in tails {
            let Mark { tokens, next } = tail.from;
            if tokens > held {
                return Err(ScoreError::NoSuchMark { tokens, held });
            }
            let mut sequence = Sequence::from(next);
            sequence.push_text(self, tail.ids)?;
            rows.add(tokens, tail.ids, tail.wanted)?;
            embedded.extend(sequence.join(self).map(|joined| joined.x));
            places.extend(sequence.places);
        }
        let past_len = rows.past.iter().copied().max().unwrap_or(0);
        let count = rows.past.len();
        let input = Rows {
            x: Tensor::cat(embedded, 0),
            deepstack: Vec::new(),
            rotary: self.text.rotation.rotary(&places, &self.device),
            past: &context.past,
            past_len,
            past_bias: bias(self, count, past_len, |row, column| {
                rows.past.get(row).is_some_and(|past| column < *past)
            }),
            own_bias: bias(self, count, count, |row, column| {
                column <= row && rows.tail.get(row) == rows.tail.get(column)
            }),
        };
        self.answer(input, &rows, tails.iter().map(|tail| tail.wanted.len()))
            .await
    }

    /// The same in a single pass over everything: `pieces` are read once, and each tail behind the pieces that it
    /// follows, with a mask that hides the others from it. Nothing is kept.
    ///
    /// Equal to [`Network::append`] and [`Network::log_probs`], but for rounding. The scores of attention of all rows
    /// are in memory together, so this is for devices with much of it, and for sequences that are not long.
    ///
    /// # Errors
    /// As these two.
    pub async fn packed_log_probs(
        &self,
        pieces: &[Piece<'_>],
        tails: &[PackedTail<'_>],
    ) -> Result<Vec<Vec<f32>>, ScoreError> {
        let mut sequence = Sequence::from(0);
        // Marks before the first piece and after each.
        let mut marks = vec![Mark::default()];
        for piece in pieces {
            sequence.push(self, *piece)?;
            marks.push(Mark {
                tokens: sequence.len(),
                next: sequence.next,
            });
        }
        let video = sequence.len();
        let mut rows = TailRows::default();
        rows.past.resize(video, 0);
        rows.tail.resize(video, 0);
        for tail in tails {
            let Some(mark) = marks.get(tail.after_pieces) else {
                return Err(ScoreError::NoSuchMark {
                    tokens: tail.after_pieces,
                    held: pieces.len(),
                });
            };
            sequence.next = mark.next;
            sequence.push_text(self, tail.ids)?;
            rows.add(mark.tokens, tail.ids, tail.wanted)?;
        }
        let count = sequence.len();
        let Some(joined) = sequence.join(self) else {
            return Ok(Vec::new());
        };
        let empty = Context::default();
        let input = Rows {
            x: joined.x,
            deepstack: joined.deepstack,
            rotary: self.text.rotation.rotary(&sequence.places, &self.device),
            past: &empty.past,
            past_len: 0,
            past_bias: None,
            own_bias: bias(self, count, count, |row, column| {
                let own = rows.tail.get(row) == rows.tail.get(column);
                let before = rows.past.get(row).is_some_and(|past| column < *past);
                column <= row && (own || before)
            }),
        };
        self.answer(input, &rows, tails.iter().map(|tail| tail.wanted.len()))
            .await
    }

    async fn answer(
        &self,
        input: Rows<'_>,
        rows: &TailRows,
        counts: impl Iterator<Item = usize>,
    ) -> Result<Vec<Vec<f32>>, ScoreError> {
        // Each row once, however many tokens are asked for there.
        let mut needed: Vec<usize> = rows.wanted.iter().map(|wanted| wanted.row).collect();
        needed.sort_unstable();
        needed.dedup();
        let wanted: Vec<Wanted> = rows
            .wanted
            .iter()
            .map(|wanted| Wanted {
                row: needed.partition_point(|row| *row < wanted.row),
                id: wanted.id,
            })
            .collect();
        let mut all = Vec::new();
        if !needed.is_empty() {
            let read = self.text.forward(input, &Needed::Some(needed), &unwatched);
            if let Some(hidden) = read.hidden {
                all = self.text.head().log_probs(&hidden, &wanted).await?;
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

    /// Final hidden states of `pieces` read from the beginning, every row, `[rows, hidden]`, showing every stage to
    /// `watch`. For holding the network against the reference.
    ///
    /// # Errors
    /// As [`Network::append`].
    pub fn hidden_watched(
        &self,
        pieces: &[Piece<'_>],
        watch: Watch<'_>,
    ) -> Result<Option<Tensor<2>>, ScoreError> {
        let mut sequence = Sequence::from(0);
        for piece in pieces {
            sequence.push(self, *piece)?;
        }
        let count = sequence.len();
        let Some(joined) = sequence.join(self) else {
            return Ok(None);
        };
        let empty = Context::default();
        let input = Rows {
            x: joined.x,
            deepstack: joined.deepstack,
            rotary: self.text.rotation.rotary(&sequence.places, &self.device),
            past: &empty.past,
            past_len: 0,
            past_bias: None,
            own_bias: bias(self, count, count, |row, column| column <= row),
        };
        Ok(self.text.forward(input, &Needed::All, watch).hidden)
    }
}

/// The rows of some tails under each other.
#[derive(Default)]
struct TailRows {
    /// Per row, how many tokens it sees of what lies before the tail.
    past: Vec<usize>,
    /// Per row, which tail it belongs to; rows of a video have 0, tails count from 1.
    tail: Vec<usize>,
    /// With rows counted over all.
    wanted: Vec<Wanted>,
}

impl TailRows {
    fn add(&mut self, past: usize, ids: &[u32], wanted: &[Wanted]) -> Result<(), ScoreError> {
        let tokens = ids.len();
        if tokens == 0 {
            return Err(ScoreError::NoSuchRow { row: 0, tokens });
        }
        let first = self.past.len();
        for Wanted { row, id } in wanted.iter().copied() {
            if row >= tokens {
                return Err(ScoreError::NoSuchRow { row, tokens });
            }
            self.wanted.push(Wanted {
                row: first + row,
                id,
            });
        }
        let tail = self.tail.last().copied().unwrap_or(0) + 1;
        self.past.resize(first + tokens, past);
        self.tail.resize(first + tokens, tail);
        Ok(())
    }
}
