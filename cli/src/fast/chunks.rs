//! Action chunks from `.npy` files.

use anyhow::bail;
use datasets::npy::{self, Kind};
use openfast::Shape;
use serde::Serialize;
use std::{fmt, path::Path};

/// A batch of chunks, `[batch, horizon, dims]`.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    pub(super) batch: usize,
    pub(super) shape: Shape,
    pub(super) values: Vec<f32>,
}

/// Number and shape of the chunks that a command read or wrote, for its summary.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct BatchShape {
    pub(super) chunks: usize,
    pub(super) horizon: usize,
    pub(super) dims: usize,
}

impl fmt::Display for BatchShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            chunks,
            horizon,
            dims,
        } = self;
        write!(f, "{chunks} chunks of {horizon}x{dims}")
    }
}

impl Chunks {
    /// Reads a batch or a single chunk. Reports on standard error if values were converted.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let npy::Array {
            shape,
            values,
            kind,
        } = npy::read(path)?;
        let (batch, horizon, dims) = match *shape.as_slice() {
            [batch, horizon, dims] => (batch, horizon, dims),
            [horizon, dims] => (1, horizon, dims),
            _ => bail!(
                "{} has shape {shape:?}; expected are [batch, horizon, dims] or one chunk [horizon, dims]",
                path.display()
            ),
        };
        if kind != Kind::Float32 {
            eprintln!(
                "note: {} holds {}; converted to float32",
                path.display(),
                kind.name()
            );
        }
        Ok(Self {
            batch,
            shape: Shape { horizon, dims },
            values,
        })
    }

    /// Number and shape of the chunks.
    pub(super) fn batch_shape(&self) -> BatchShape {
        BatchShape {
            chunks: self.batch,
            horizon: self.shape.horizon,
            dims: self.shape.dims,
        }
    }

    /// Values of each chunk, `[horizon, dims]`.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        let values = (self.shape.horizon * self.shape.dims).max(1);
        self.values.chunks(values)
    }

    /// Appends columns of zeros up to `dims` dimensions.
    pub(super) fn pad_to(&mut self, dims: usize) -> anyhow::Result<()> {
        let now = self.shape.dims;
        if dims < now {
            bail!("--pad-to {dims} is less than the {now} dimensions there are");
        }
        let rows = self.values.chunks(now.max(1));
        let zeros = std::iter::repeat_n(0.0, dims - now);
        self.values = rows
            .flat_map(|row| row.iter().copied().chain(zeros.clone()))
            .collect();
        self.shape.dims = dims;
        Ok(())
    }

    /// Keeps the first `dims` columns. Returns the largest magnitude in the removed ones.
    pub(super) fn unpad(&mut self, dims: usize) -> anyhow::Result<f32> {
        let now = self.shape.dims;
        if dims > now {
            bail!("--unpad {dims} is more than the {now} dimensions there are");
        }
        let removed = self
            .values
            .chunks(now.max(1))
            .flat_map(|row| row.iter().skip(dims))
            .fold(0.0f32, |most, value| most.max(value.abs()));
        let rows = self.values.chunks(now.max(1));
        self.values = rows
            .flat_map(|row| row.iter().take(dims).copied())
            .collect();
        self.shape.dims = dims;
        Ok(removed)
    }
}
