//! Measurements of a tokenizer on chunks: tokens, errors, losses.

use super::bar;
use anyhow::Context as _;
use openfast::{Chunk, FastTokenizer, Shape};
use serde::Serialize;
use std::collections::BTreeSet;

/// Bins per dimension of naive binning, with which FAST is compared.
pub(super) const NAIVE_BINS: usize = 256;

/// Numbers of tokens per chunk.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Tokens {
    pub(super) mean: f64,
    pub(super) p99: f64,
    pub(super) max: usize,
    /// Values per token. Naive binning takes one token per value.
    pub(super) compression: f64,
}

/// Errors of one dimension, in normalised units.
#[derive(Debug, Clone, Serialize)]
pub(super) struct DimError {
    pub(super) rmse: f64,
    pub(super) max: f64,
    /// RMSE of 256 equal bins between the smallest and the largest value.
    pub(super) naive_rmse: f64,
}

/// Measurements on a set of chunks.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Quality {
    pub(super) chunks: usize,
    pub(super) tokens: Tokens,
    pub(super) rmse: f64,
    pub(super) naive_rmse: f64,
    pub(super) dims: Vec<DimError>,
    /// Chunks without a lost coefficient.
    pub(super) lossless_chunks: usize,
    /// Chunks whose streams do not decode with the reference's encoding. Their errors here are those of the nearest
    /// encoding.
    pub(super) undecodable_chunks: usize,
    /// Number of distinct ids in use.
    pub(super) ids_used: usize,
    /// Tokens of each chunk.
    #[serde(skip)]
    pub(super) lengths: Vec<usize>,
    /// RMSE by `[step, dim]`, if all chunks have the same shape.
    #[serde(skip)]
    pub(super) grid: Option<(Shape, Vec<f64>)>,
    #[serde(skip)]
    pub(super) worst: Option<Worst>,
}

/// The chunk with the largest error.
#[derive(Debug, Clone)]
pub(super) struct Worst {
    pub(super) index: usize,
    pub(super) shape: Shape,
    pub(super) original: Vec<f32>,
    pub(super) decoded: Vec<f32>,
    pub(super) rmse: f64,
}

/// Equal bins per dimension.
#[derive(Debug, Clone)]
pub(super) struct Bins {
    ranges: Vec<(f32, f32)>,
}

impl Bins {
    /// Bins between the smallest and the largest value of each dimension in `chunks`.
    pub(super) fn of(chunks: &[Chunk<'_>]) -> Self {
        let dims = chunks.first().map_or(0, |chunk| chunk.shape.dims);
        let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); dims];
        for row in chunks
            .iter()
            .flat_map(|chunk| chunk.values.chunks(dims.max(1)))
        {
            for (range, &value) in ranges.iter_mut().zip(row) {
                *range = (range.0.min(value), range.1.max(value));
            }
        }
        Self { ranges }
    }

    fn error(&self, value: f32, dim: usize) -> f64 {
        let Some(&(low, high)) = self.ranges.get(dim) else {
            return 0.0;
        };
        let (low, width) = (f64::from(low), f64::from(high - low) / NAIVE_BINS as f64);
        let value = f64::from(value);
        if width <= 0.0 {
            return value - low;
        }
        let bin = ((value - low) / width)
            .floor()
            .clamp(0.0, NAIVE_BINS as f64 - 1.0);
        value - (low + (bin + 0.5) * width)
    }
}

/// Encodes and decodes `chunks` and compares the values. All chunks must have the same number of dimensions.
pub(super) fn measure(
    tokenizer: &FastTokenizer,
    chunks: &[Chunk<'_>],
    bins: &Bins,
) -> anyhow::Result<Quality> {
    let first = chunks
        .first()
        .context("there is no chunk to measure")?
        .shape;
    let uniform = chunks.iter().all(|chunk| chunk.shape == first);
    let mut grid = vec![
        0.0;
        if uniform {
            first.horizon * first.dims
        } else {
            0
        }
    ];
    let mut sums = vec![(0.0, 0.0f64, 0.0); first.dims];
    let (mut lossless, mut undecodable, mut values, mut rows) = (0, 0, 0, 0);
    let mut lengths = Vec::with_capacity(chunks.len());
    let mut used = BTreeSet::new();
    let mut worst: Option<Worst> = None;
    let bar = bar(chunks.len(), "chunks measured")?;
    for (
        index,
        &Chunk {
            values: chunk,
            shape,
        },
    ) in chunks.iter().enumerate()
    {
        bar.inc(1);
        let name = || format!("chunk {index}");
        let mut encoded = tokenizer.encode(chunk, shape).with_context(name)?;
        lengths.push(encoded.ids.len());
        lossless += usize::from(encoded.lost.is_empty());
        used.extend(encoded.ids.iter().copied());
        if !encoded.decodes() {
            undecodable += 1;
            encoded = tokenizer.encode_nearest(chunk, shape).with_context(name)?;
        }
        let decoded = tokenizer.decode(&encoded.ids, shape).with_context(name)?;
        let mut squares = 0.0;
        for (at, (&original, &value)) in chunk.iter().zip(&decoded).enumerate() {
            let error = f64::from(original) - f64::from(value);
            let dim = at % shape.dims;
            squares += error * error;
            if let Some((sum, most, naive)) = sums.get_mut(dim) {
                *sum += error * error;
                *most = most.max(error.abs());
                *naive += bins.error(original, dim).powi(2);
            }
            if let Some(cell) = grid.get_mut(at) {
                *cell += error * error;
            }
        }
        values += chunk.len();
        rows += shape.horizon;
        let rmse = (squares / chunk.len().max(1) as f64).sqrt();
        if worst.as_ref().is_none_or(|worst| rmse > worst.rmse) {
            worst = Some(Worst {
                index,
                shape,
                original: chunk.to_vec(),
                decoded,
                rmse,
            });
        }
    }
    bar.finish_and_clear();
    let root = |sum: f64, count: usize| (sum / count.max(1) as f64).sqrt();
    let tokens: usize = lengths.iter().sum();
    let mut sorted = lengths.clone();
    sorted.sort_unstable();
    Ok(Quality {
        chunks: chunks.len(),
        tokens: Tokens {
            mean: tokens as f64 / chunks.len() as f64,
            p99: percentile(&sorted, 0.99),
            max: sorted.last().copied().unwrap_or(0),
            compression: values as f64 / tokens.max(1) as f64,
        },
        rmse: root(sums.iter().map(|(sum, ..)| sum).sum(), values),
        naive_rmse: root(sums.iter().map(|(.., naive)| naive).sum(), values),
        dims: sums
            .into_iter()
            .map(|(sum, max, naive)| DimError {
                rmse: root(sum, rows),
                max,
                naive_rmse: root(naive, rows),
            })
            .collect(),
        lossless_chunks: lossless,
        undecodable_chunks: undecodable,
        ids_used: used.len(),
        lengths,
        grid: uniform.then(|| {
            let cells = grid.into_iter().map(|sum| root(sum, chunks.len()));
            (first, cells.collect())
        }),
        worst,
    })
}

/// Percentile of sorted values, interpolated between two of them. `share` is 0 to 1.
fn percentile(sorted: &[usize], share: f64) -> f64 {
    let position = share * sorted.len().saturating_sub(1) as f64;
    let at = |index: f64| {
        sorted
            .get(index as usize)
            .map_or(0.0, |&value| value as f64)
    };
    let below = at(position.floor());
    below + (at(position.ceil()) - below) * position.fract()
}
