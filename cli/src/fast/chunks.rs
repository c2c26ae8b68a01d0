//! Action chunks from `.npy` files.

use anyhow::bail;
use datasets::npy::{self, Kind};
use openfast::Shape;
use std::path::Path;

/// `[batch, horizon, dims]`.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    pub(super) batch: usize,
    pub(super) shape: Shape,
    pub(super) values: Vec<f32>,
}

impl Chunks {
    /// Reads a batch, or one chunk. Says on standard error when numbers were converted.
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
                "{} has shape {shape:?}; wanted are [batch, horizon, dims] or one chunk [horizon, dims]",
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

    /// One after the other, `[horizon, dims]` each.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        let values = (self.shape.horizon * self.shape.dims).max(1);
        self.values.chunks(values)
    }

    /// Appends columns of zeros until there are `dims`.
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

    /// Keeps the first `dims` columns; answers the largest magnitude among those removed.
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
