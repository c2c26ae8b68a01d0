//! Hands the tensors of a checkpoint to a loader, one at a time and each checked.

use std::cell::RefCell;
use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData};

use crate::checkpoint::Checkpoint;
use crate::error::CheckpointError;
use crate::linear::Linear;
use crate::norm::{LayerNorm, RmsNorm};

/// Columns and rows of a block in the transposition, so that both sides stay in cache.
const BLOCK: usize = 64;

/// Reads tensors onto a device and remembers which were taken.
///
/// Names are given relative to a prefix, since the same network sits under different prefixes in
/// different files. Shapes are given as the configuration implies them; a checkpoint that
/// disagrees is refused with both shapes.
#[derive(Debug)]
pub struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    prefix: String,
    device: &'a Device,
    taken: RefCell<BTreeSet<String>>,
}

impl<'a> Weights<'a> {
    /// A reader for tensors whose names start with `prefix` (which may be empty).
    pub fn new(checkpoint: &'a Checkpoint, prefix: impl Into<String>, device: &'a Device) -> Self {
        Self {
            checkpoint,
            prefix: prefix.into(),
            device,
            taken: RefCell::new(BTreeSet::new()),
        }
    }

    /// The device the tensors are read onto.
    pub fn device(&self) -> &Device {
        self.device
    }

    /// Whether the checkpoint has the tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.checkpoint.shape(&self.full(name)).is_some()
    }

    /// Values of `name`, row-major, checked against `shape`.
    ///
    /// # Errors
    /// As [`Checkpoint::read_f32`].
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        let full = self.full(name);
        let values = self.checkpoint.read_f32(&full, shape)?;
        self.taken.borrow_mut().insert(full);
        Ok(values)
    }

    /// A tensor as it is stored, shape `[rows, columns]`.
    ///
    /// # Errors
    /// As [`Checkpoint::read_f32`].
    pub fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>, CheckpointError> {
        let values = self.values(name, &shape)?;
        Ok(self.upload(values, shape))
    }

    /// A linear layer `name.weight`, stored `[outputs, inputs]`, with `name.bias` if `bias`.
    ///
    /// # Errors
    /// As [`Checkpoint::read_f32`].
    pub fn linear(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Linear, CheckpointError> {
        self.fused_linear(&[(name, outputs, 1.0)], inputs, bias)
    }

    /// Several linear layers over the same input as one, their outputs side by side in the order
    /// given: one product instead of several. Each part is its name, its outputs and a factor
    /// that its weight and bias are multiplied by (the scale of attention scores, for queries).
    ///
    /// # Errors
    /// As [`Checkpoint::read_f32`].
    pub fn fused_linear(
        &self,
        parts: &[(&str, usize, f32)],
        inputs: usize,
        bias: bool,
    ) -> Result<Linear, CheckpointError> {
        let width: usize = parts.iter().map(|(_, outputs, _)| outputs).sum();
        let mut weight = vec![0.0; inputs * width];
        let mut biases = Vec::with_capacity(if bias { width } else { 0 });
        let mut column = 0;
        for &(name, outputs, factor) in parts {
            let mut stored = self.values(&format!("{name}.weight"), &[outputs, inputs])?;
            scale(&mut stored, factor);
            transpose_into(&stored, outputs, inputs, &mut weight, width, column);
            if bias {
                let mut stored = self.values(&format!("{name}.bias"), &[outputs])?;
                scale(&mut stored, factor);
                biases.extend(stored);
            }
            column += outputs;
        }
        let weight = self.upload(weight, [inputs, width]);
        let bias = bias.then(|| self.upload(biases, [1, width]));
        Ok(Linear::new(weight, bias))
    }

    /// An RMS normalisation with the weight `name.weight` of `width` values.
    ///
    /// # Errors
    /// As [`Checkpoint::read_f32`].
    pub fn rms_norm(&self, name: &str, width: usize, eps: f64) -> Result<RmsNorm, CheckpointError> {
        let weight = self.values(&format!("{name}.weight"), &[width])?;
        Ok(RmsNorm::new(self.upload(weight, [1, width]), eps))
    }

    /// A layer normalisation with `name.weight` and `name.bias`.
    ///
    /// # Errors
    /// As [`Checkpoint::read_f32`].
    pub fn layer_norm(
        &self,
        name: &str,
        width: usize,
        eps: f64,
    ) -> Result<LayerNorm, CheckpointError> {
        let weight = self.values(&format!("{name}.weight"), &[width])?;
        let bias = self.values(&format!("{name}.bias"), &[width])?;
        Ok(LayerNorm::new(
            self.upload(weight, [width]),
            self.upload(bias, [width]),
            eps,
        ))
    }

    /// Puts values on the device.
    pub fn upload<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }

    /// Ends the reading: every tensor of the checkpoint must have been taken, except those for
    /// which `ignored` says yes (names relative to the prefix where they carry it).
    ///
    /// # Errors
    /// [`CheckpointError::LeftOver`] with the names nobody asked for.
    pub fn finish(self, ignored: impl Fn(&str) -> bool) -> Result<(), CheckpointError> {
        let taken = self.taken.into_inner();
        let names: Vec<String> = self
            .checkpoint
            .names()
            .filter(|&name| !taken.contains(name))
            .filter(|name| !ignored(name.strip_prefix(self.prefix.as_str()).unwrap_or(name)))
            .map(str::to_owned)
            .collect();
        if names.is_empty() {
            Ok(())
        } else {
            Err(CheckpointError::LeftOver { names })
        }
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

fn scale(values: &mut [f32], factor: f32) {
    if factor != 1.0 {
        for value in values {
            *value *= factor;
        }
    }
}

/// Writes the transpose of `source` (`[rows, columns]`) into `target`, a matrix `width` wide,
/// starting at column `first`.
fn transpose_into(
    source: &[f32],
    rows: usize,
    columns: usize,
    target: &mut [f32],
    width: usize,
    first: usize,
) {
    for row_block in (0..rows).step_by(BLOCK) {
        for column_block in (0..columns).step_by(BLOCK) {
            for row in row_block..(row_block + BLOCK).min(rows) {
                let values = source.iter().skip(row * columns + column_block);
                let end = (column_block + BLOCK).min(columns);
                for (column, &value) in (column_block..end).zip(values) {
                    if let Some(slot) = target.get_mut(column * width + first + row) {
                        *slot = value;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::transpose_into;

    #[test]
    fn two_matrices_are_transposed_side_by_side() {
        let (rows, columns) = (70, 130);
        let source: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
        let width = rows + 3;
        let mut target = vec![-1.0; columns * width];
        transpose_into(&source, rows, columns, &mut target, width, 3);
        for row in 0..rows {
            for column in 0..columns {
                assert_eq!(
                    target[column * width + 3 + row],
                    source[row * columns + column]
                );
            }
        }
        assert!(target.chunks(width).all(|line| line[..3] == [-1.0; 3]));
    }
}
