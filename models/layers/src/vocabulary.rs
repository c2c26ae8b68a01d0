//! The rows of a vocabulary, as embeddings and as output head.
//!
//! A vocabulary of 151,936 tokens in vectors of 2,048 takes 622 MB in `f16`, more than a buffer may hold on many
//! devices (a browser guarantees 128 MiB). It is therefore kept in shards of whole rows. Embeddings come from the
//! shard that has them; scores are computed shard by shard, and what leaves a shard is the largest score, the sum of
//! the exponentials above it, and the few scores that were queried.

use burn_tensor::{Element, Tensor};
use half::{bf16, f16};

use crate::embedding::Embedding;
use crate::error::CheckpointError;
use crate::linear::Linear;
use crate::precision::{Precision, is_cpu};
use crate::quantized_matrix::QuantizedMatrix;
use crate::read_back::{ReadBackError, read_back};
use crate::weights::Weights;

/// Scores computed at a time, so that many rows over a large vocabulary need not be in memory together.
const SCORES: usize = 1 << 24;

/// Rows that are embeddings, output head, or both.
#[derive(Debug)]
pub struct Vocabulary {
    shards: Vec<Shard>,
    len: usize,
}

#[derive(Debug)]
struct Shard {
    first: usize,
    embedding: Embedding,
    head: Linear,
}

/// A query for the natural logarithm of a token's probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenQuery {
    /// Row of the hidden state.
    pub row: usize,
    /// Id of the token.
    pub id: u32,
}

impl Vocabulary {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Embeddings of `ids`, each below [`Vocabulary::len`]: `[ids, width]`.
    pub fn select(&self, ids: &[u32]) -> Tensor<2> {
        if let [only] = self.shards.as_slice() {
            return only.embedding.select(ids);
        }
        let runs = self.runs(ids);
        Tensor::cat(
            runs.iter()
                .map(|(shard, ids)| shard.embedding.select(ids))
                .collect(),
            0,
        )
    }

    /// `ids` cut where the shard changes, each run counted from its shard's first row.
    fn runs(&self, ids: &[u32]) -> Vec<(&Shard, Vec<u32>)> {
        let mut runs: Vec<(&Shard, Vec<u32>)> = Vec::new();
        for &id in ids {
            let number = self
                .shards
                .partition_point(|shard| shard.first <= id as usize);
            let Some(shard) = self.shards.get(number.saturating_sub(1)) else {
                continue;
            };
            let place = id - shard.first as u32;
            match runs.last_mut() {
                Some((last, places)) if last.first == shard.first => places.push(place),
                _ => runs.push((shard, vec![place])),
            }
        }
        runs
    }

    /// Scores of every token: `[rows, width]` to `[rows, tokens]`.
    pub fn logits(&self, hidden: &Tensor<2>) -> Tensor<2> {
        let scores = self
            .shards
            .iter()
            .map(|shard| shard.head.forward(hidden.clone()))
            .collect();
        Tensor::cat(scores, 1)
    }

    /// `ln p(id)` under the softmax over all tokens, for each of `queries`, whose rows are rows of `hidden`
    /// (`[rows, width]`) and whose ids are below [`Vocabulary::len`].
    ///
    /// Scores and sums are `f32` whatever the rows are kept in; the sums of the shards are joined in `f64`.
    ///
    /// # Errors
    /// [`ReadBackError`].
    pub async fn log_probs(
        &self,
        hidden: &Tensor<2>,
        queries: &[TokenQuery],
    ) -> Result<Vec<f32>, ReadBackError> {
        let [rows, _] = hidden.dims();
        let largest = self.shards.iter().map(|shard| shard.head.outputs()).max();
        let each = (SCORES / largest.unwrap_or(1).max(1)).max(1);
        let mut found = vec![f32::NAN; queries.len()];
        for first in (0..rows).step_by(each) {
            let count = each.min(rows - first);
            let asked: Vec<(usize, TokenQuery)> = queries
                .iter()
                .copied()
                .enumerate()
                .filter(|(_, query)| (first..first + count).contains(&query.row))
                .collect();
            if asked.is_empty() {
                continue;
            }
            let some = hidden.clone().narrow(0, first, count);
            let mut sums = vec![Sum::default(); count];
            let mut scores = vec![0.0_f32; asked.len()];
            // All work is submitted to the device before the first result is awaited.
            let answers: Vec<_> = self
                .shards
                .iter()
                .map(|shard| shard.ask(&some, first, &asked))
                .collect();
            for (answer, inside) in answers {
                let values = read_back(answer).await?;
                let (most, rest) = values.split_at(count.min(values.len()));
                let (sum, picked) = rest.split_at(count.min(rest.len()));
                for ((total, most), sum) in sums.iter_mut().zip(most).zip(sum) {
                    total.add(f64::from(*most), f64::from(*sum));
                }
                for (place, score) in inside.iter().zip(picked) {
                    if let Some(slot) = scores.get_mut(*place) {
                        *slot = *score;
                    }
                }
            }
            for ((place, query), score) in asked.iter().zip(scores) {
                if let (Some(slot), Some(sum)) =
                    (found.get_mut(*place), sums.get(query.row - first))
                {
                    *slot = (f64::from(score) - sum.ln()) as f32;
                }
            }
        }
        Ok(found)
    }
}

impl Shard {
    /// Per row the largest score, per row the sum of exponentials above it, then the queried scores that lie in
    /// this shard, with their places in `asked`.
    fn ask(
        &self,
        hidden: &Tensor<2>,
        first_row: usize,
        asked: &[(usize, TokenQuery)],
    ) -> (Tensor<1>, Vec<usize>) {
        let scores = self.head.forward(hidden.clone());
        let [rows, tokens] = scores.dims();
        let most = scores.clone().max_dim(1);
        let sum = (scores.clone() - most.clone()).exp().sum_dim(1);
        let mut inside = Vec::new();
        let mut parts = vec![most.reshape([rows]), sum.reshape([rows])];
        for (place, (_, query)) in asked.iter().enumerate() {
            let Some(column) = (query.id as usize).checked_sub(self.first) else {
                continue;
            };
            if column < tokens {
                inside.push(place);
                let row = scores.clone().narrow(0, query.row - first_row, 1);
                parts.push(row.narrow(1, column, 1).reshape([1]));
            }
        }
        (Tensor::cat(parts, 0), inside)
    }
}

/// A sum of exponentials, kept as the largest exponent and the sum above it.
#[derive(Debug, Clone, Copy)]
struct Sum {
    most: f64,
    sum: f64,
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            most: f64::NEG_INFINITY,
            sum: 0.0,
        }
    }
}

impl Sum {
    fn add(&mut self, most: f64, sum: f64) {
        let higher = self.most.max(most);
        self.sum = self.sum * (self.most - higher).exp() + sum * (most - higher).exp();
        self.most = higher;
    }

    fn ln(&self) -> f64 {
        self.most + self.sum.ln()
    }
}

impl Weights<'_> {
    /// The rows `name`, `[rows, width]`, in shards of at most `shard_bytes` bytes each. Where the rows stay in the
    /// memory of this process (low precision on the CPU) they are one shard.
    ///
    /// # Errors
    /// As [`Checkpoint::read_pieces`](crate::Checkpoint::read_pieces), and [`CheckpointError::OutOfRange`].
    pub fn vocabulary(
        &self,
        name: &str,
        rows: usize,
        width: usize,
        shard_bytes: u64,
    ) -> Result<Vocabulary, CheckpointError> {
        let embeddings = if is_cpu(self.device())
            && let Some(mut packed) = QuantizedMatrix::with_capacity(self.precision(), rows, width)
        {
            self.matrix_pieces(name, [rows, width], 1.0, |_, rows| packed.push_rows(rows))?;
            self.keep(packed.bytes());
            vec![Embedding::quantized(packed, self.device())]
        } else {
            match self.precision() {
                Precision::F16 => self.shards(name, rows, width, shard_bytes, f16::from_f32)?,
                Precision::Bf16 => self.shards(name, rows, width, shard_bytes, bf16::from_f32)?,
                _ => self.shards(name, rows, width, shard_bytes, |value: f32| value)?,
            }
        };
        let mut first = 0;
        let shards = embeddings
            .into_iter()
            .map(|embedding| {
                let shard = Shard {
                    first,
                    head: embedding.head(),
                    embedding,
                };
                first += shard.embedding.len();
                shard
            })
            .collect();
        Ok(Vocabulary { shards, len: rows })
    }

    fn shards<T: Element + Copy>(
        &self,
        name: &str,
        rows: usize,
        width: usize,
        shard_bytes: u64,
        convert: impl Fn(f32) -> T,
    ) -> Result<Vec<Embedding>, CheckpointError> {
        let row_bytes = (width.max(1) * T::dtype().size()) as u64;
        let each = usize::try_from(shard_bytes / row_bytes).unwrap_or(rows);
        let each = each.clamp(1, rows.max(1)) * width;
        let mut embeddings = Vec::new();
        let mut held: Vec<T> = Vec::with_capacity(each);
        let upload = |values: Vec<T>| {
            let count = values.len() / width.max(1);
            Embedding::new(self.upload_as(values, [count, width], T::dtype()))
        };
        self.matrix_pieces(name, [rows, width], 1.0, |_, mut piece| {
            while !piece.is_empty() {
                let (now, later) = piece.split_at(piece.len().min(each - held.len()));
                held.extend(now.iter().map(|&value| convert(value)));
                piece = later;
                if held.len() == each {
                    embeddings.push(upload(std::mem::replace(
                        &mut held,
                        Vec::with_capacity(each),
                    )));
                }
            }
        })?;
        if !held.is_empty() {
            embeddings.push(upload(held));
        }
        Ok(embeddings)
    }
}
