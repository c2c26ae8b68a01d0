//! Hands the tensors of a checkpoint to a loader, one at a time and each checked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use burn_tensor::{DType, Device, Element, Tensor, TensorData};
use half::{bf16, f16};

use crate::checkpoint::Checkpoint;
use crate::embedding::Embedding;
use crate::error::CheckpointError;
use crate::linear::Linear;
use crate::norm::{LayerNorm, RmsNorm};
use crate::precision::{Precision, is_cpu};
use crate::quantized_matrix::QuantizedMatrix;
use crate::transpose::transpose_into;

/// Callback for bytes read so far and bytes in total.
pub type Progress<'a> = &'a dyn Fn(u64, u64);

/// Reads tensors onto a device and remembers which were taken.
///
/// Names are given relative to a prefix, since the same network sits under different prefixes in
/// different files. Shapes are given as the configuration implies them; a checkpoint that
/// disagrees is refused with both shapes. Linear layers and tables are kept in the precision
/// requested ([`Weights::in_precision`]), everything else in `f32`.
#[derive(Debug, Clone)]
pub struct Weights<'a> {
    shared: Rc<Shared<'a>>,
    precision: Precision,
}

struct Shared<'a> {
    checkpoint: &'a Checkpoint,
    prefix: String,
    device: &'a Device,
    progress: Option<Progress<'a>>,
    total: u64,
    read: Cell<u64>,
    kept: Cell<u64>,
    taken: RefCell<BTreeSet<String>>,
}

impl std::fmt::Debug for Shared<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("prefix", &self.prefix)
            .field("device", self.device)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

impl<'a> Weights<'a> {
    /// A reader for tensors whose names start with `prefix` (which may be empty), in `f32`.
    pub fn new(checkpoint: &'a Checkpoint, prefix: impl Into<String>, device: &'a Device) -> Self {
        Self::with_progress(checkpoint, prefix, device, None)
    }

    /// The same, reporting to `progress` while it reads.
    pub fn with_progress(
        checkpoint: &'a Checkpoint,
        prefix: impl Into<String>,
        device: &'a Device,
        progress: Option<Progress<'a>>,
    ) -> Self {
        Self {
            shared: Rc::new(Shared {
                checkpoint,
                prefix: prefix.into(),
                device,
                progress,
                total: checkpoint.bytes(),
                read: Cell::new(0),
                kept: Cell::new(0),
                taken: RefCell::new(BTreeSet::new()),
            }),
            precision: Precision::F32,
        }
    }

    /// The same reader (what one takes, both have taken) for layers and tables kept in `precision`.
    ///
    /// # Errors
    /// [`CheckpointError::Precision`] if the device does not compute in it.
    pub fn in_precision(&self, precision: Precision) -> Result<Self, CheckpointError> {
        precision.check(self.shared.device)?;
        Ok(Self {
            shared: self.shared.clone(),
            precision,
        })
    }

    /// The same reader for layers that must stay in `f32`.
    #[must_use]
    pub fn exact(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            precision: Precision::F32,
        }
    }

    /// Precision of layers and embeddings.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The device the tensors are read onto.
    pub fn device(&self) -> &'a Device {
        self.shared.device
    }

    /// Bytes of all that was made so far.
    pub fn kept(&self) -> u64 {
        self.shared.kept.get()
    }

    /// True if the checkpoint has the tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.shared.checkpoint.shape(&self.full(name)).is_some()
    }

    /// Values of `name`, row-major, checked against `shape`.
    ///
    /// # Errors
    /// As [`Checkpoint::read_pieces`].
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        // Before room is made for what may be a wrong size.
        self.shared.checkpoint.expect(&self.full(name), shape)?;
        let mut values = Vec::new();
        values.reserve_exact(shape.iter().product());
        self.pieces(name, shape, |piece| values.extend_from_slice(piece))?;
        Ok(values)
    }

    fn pieces(
        &self,
        name: &str,
        shape: &[usize],
        take: impl FnMut(&[f32]),
    ) -> Result<(), CheckpointError> {
        let shared = &self.shared;
        let full = self.full(name);
        let tell = |bytes: u64| {
            shared.read.set(shared.read.get() + bytes);
            if let Some(progress) = shared.progress {
                progress(shared.read.get(), shared.total);
            }
        };
        shared.checkpoint.read_pieces(&full, shape, &tell, take)?;
        shared.taken.borrow_mut().insert(full);
        Ok(())
    }

    /// Hands a matrix to `take`, rows scaled by `factor`, some rows at a time with the number of the first.
    pub(crate) fn matrix_pieces(
        &self,
        name: &str,
        [rows, columns]: [usize; 2],
        factor: f32,
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<(), CheckpointError> {
        let mut row = 0;
        let mut scaled = Vec::new();
        let mut largest = 0.0_f32;
        self.pieces(name, &[rows, columns], |piece| {
            let values = if factor == 1.0 {
                piece
            } else {
                scaled.clear();
                scaled.extend(piece.iter().map(|value| value * factor));
                &scaled
            };
            if self.precision == Precision::F16 {
                largest = values
                    .iter()
                    .fold(largest, |most, value| most.max(value.abs()));
            }
            take(row, values);
            row += piece.len() / columns.max(1);
        })?;
        if largest > f16::MAX.to_f32() {
            return Err(CheckpointError::OutOfRange {
                name: self.full(name),
                precision: self.precision,
            });
        }
        Ok(())
    }

    /// A tensor as it is stored, in `f32`.
    ///
    /// # Errors
    /// As [`Checkpoint::read_pieces`].
    pub fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>, CheckpointError> {
        let values = self.values(name, &shape)?;
        Ok(self.upload(values, shape))
    }

    /// A linear layer `name.weight`, stored `[outputs, inputs]`, with `name.bias` if `bias`.
    ///
    /// # Errors
    /// As [`Checkpoint::read_pieces`].
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
    /// As [`Checkpoint::read_pieces`], and [`CheckpointError::OutOfRange`].
    pub fn fused_linear(
        &self,
        parts: &[(&str, usize, f32)],
        inputs: usize,
        bias: bool,
    ) -> Result<Linear, CheckpointError> {
        if is_cpu(self.device()) {
            let width = parts.iter().map(|(_, outputs, _)| outputs).sum();
            if let Some(mut packed) = QuantizedMatrix::with_capacity(self.precision, width, inputs)
            {
                for &(name, outputs, factor) in parts {
                    let name = format!("{name}.weight");
                    let push = |_, rows: &[f32]| packed.push_rows(rows);
                    self.matrix_pieces(&name, [outputs, inputs], factor, push)?;
                }
                self.keep(packed.bytes());
                let bias = self.biases(parts, bias)?;
                return Ok(Linear::quantized(packed, bias, self.device()));
            }
        }
        let weight = match self.precision {
            Precision::F16 => self.transposed(parts, inputs, f16::from_f32)?,
            Precision::Bf16 => self.transposed(parts, inputs, bf16::from_f32)?,
            _ => self.transposed(parts, inputs, |value| value)?,
        };
        Ok(Linear::new(weight, self.biases(parts, bias)?))
    }

    fn biases(
        &self,
        parts: &[(&str, usize, f32)],
        wanted: bool,
    ) -> Result<Option<Tensor<2>>, CheckpointError> {
        if !wanted {
            return Ok(None);
        }
        let mut values = Vec::new();
        for &(name, outputs, factor) in parts {
            let stored = self.values(&format!("{name}.bias"), &[outputs])?;
            values.extend(stored.into_iter().map(|value| value * factor));
        }
        let width = values.len();
        Ok(Some(self.upload(values, [1, width])))
    }

    /// The parts' weights side by side, `[inputs, outputs]`, as a tensor of type `T`.
    fn transposed<T: Element + Copy>(
        &self,
        parts: &[(&str, usize, f32)],
        inputs: usize,
        convert: impl Fn(f32) -> T,
    ) -> Result<Tensor<2>, CheckpointError> {
        let width: usize = parts.iter().map(|(_, outputs, _)| outputs).sum();
        let mut weight = vec![convert(0.0); inputs * width];
        let mut column = 0;
        for &(name, outputs, factor) in parts {
            let name = format!("{name}.weight");
            self.matrix_pieces(&name, [outputs, inputs], factor, |first, rows| {
                transpose_into(rows, inputs, &mut weight, width, column + first, &convert);
            })?;
            column += outputs;
        }
        Ok(self.upload_as(weight, [inputs, width], T::dtype()))
    }

    /// Embedding tables one after the other: each its name and its rows.
    ///
    /// # Errors
    /// As [`Checkpoint::read_pieces`], and [`CheckpointError::OutOfRange`].
    pub fn embedding(
        &self,
        parts: &[(&str, usize)],
        width: usize,
    ) -> Result<Embedding, CheckpointError> {
        let total: usize = parts.iter().map(|(_, rows)| rows).sum();
        if is_cpu(self.device())
            && let Some(mut packed) = QuantizedMatrix::with_capacity(self.precision, total, width)
        {
            for &(name, rows) in parts {
                self.matrix_pieces(name, [rows, width], 1.0, |_, rows| packed.push_rows(rows))?;
            }
            self.keep(packed.bytes());
            return Ok(Embedding::quantized(packed, self.device()));
        }
        Ok(Embedding::new(match self.precision {
            Precision::F16 => self.stacked(parts, width, f16::from_f32)?,
            Precision::Bf16 => self.stacked(parts, width, bf16::from_f32)?,
            _ => self.stacked(parts, width, |value| value)?,
        }))
    }

    /// Matrices one under the other, as a tensor of type `T`.
    fn stacked<T: Element + Copy>(
        &self,
        parts: &[(&str, usize)],
        width: usize,
        convert: impl Fn(f32) -> T,
    ) -> Result<Tensor<2>, CheckpointError> {
        let total: usize = parts.iter().map(|(_, rows)| rows).sum();
        let mut values: Vec<T> = Vec::new();
        values.reserve_exact(total * width);
        for &(name, rows) in parts {
            self.matrix_pieces(name, [rows, width], 1.0, |_, rows| {
                values.extend(rows.iter().map(|&value| convert(value)));
            })?;
        }
        Ok(self.upload_as(values, [total, width], T::dtype()))
    }

    /// An RMS normalisation with the weight `name.weight` of `width` values.
    ///
    /// # Errors
    /// As [`Checkpoint::read_pieces`].
    pub fn rms_norm(&self, name: &str, width: usize, eps: f64) -> Result<RmsNorm, CheckpointError> {
        let weight = self.values(&format!("{name}.weight"), &[width])?;
        Ok(RmsNorm::new(self.upload(weight, [1, width]), eps))
    }

    /// A layer normalisation with `name.weight` and `name.bias`.
    ///
    /// # Errors
    /// As [`Checkpoint::read_pieces`].
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

    /// Puts values on the device, in `f32`.
    pub fn upload<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        self.upload_as(values, shape, DType::F32)
    }

    pub(crate) fn upload_as<T: Element, const D: usize>(
        &self,
        values: Vec<T>,
        shape: [usize; D],
        dtype: DType,
    ) -> Tensor<D> {
        self.keep((values.len() * dtype.size()) as u64);
        Tensor::from_data(TensorData::new(values, shape), (self.device(), dtype))
    }

    pub(crate) fn keep(&self, bytes: u64) {
        self.shared.kept.set(self.shared.kept.get() + bytes);
    }

    /// Ends the reading: every tensor of the checkpoint must have been taken, except those for
    /// which `ignored` says yes (names relative to the prefix where they carry it).
    ///
    /// # Errors
    /// [`CheckpointError::LeftOver`] with the names of tensors that were not taken.
    pub fn finish(self, ignored: impl Fn(&str) -> bool) -> Result<(), CheckpointError> {
        let shared = &self.shared;
        let taken = shared.taken.borrow();
        let names: Vec<String> = shared
            .checkpoint
            .names()
            .filter(|&name| !taken.contains(name))
            .filter(|name| !ignored(name.strip_prefix(shared.prefix.as_str()).unwrap_or(name)))
            .map(str::to_owned)
            .collect();
        if names.is_empty() {
            if let Some(progress) = shared.progress {
                progress(shared.total, shared.total);
            }
            Ok(())
        } else {
            Err(CheckpointError::LeftOver {
                place: shared.checkpoint.place().to_owned(),
                names,
            })
        }
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.shared.prefix)
    }
}
