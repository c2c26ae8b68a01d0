//! An embedding table.

use std::sync::Arc;

use burn_tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};

use crate::linear::Linear;
use crate::quantized_matrix::QuantizedMatrix;

/// Rows that are looked up by number. Rows come out in `f32` whatever the table is kept in.
#[derive(Debug, Clone)]
pub struct Embedding {
    rows: Rows,
    device: Device,
}

#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "a network has one table, so the size of the smaller variant is no matter"
)]
enum Rows {
    /// Any float type the device has.
    Tensor(Tensor<2>),
    /// In the memory of this process.
    Quantized(Arc<QuantizedMatrix>),
}

impl Embedding {
    /// From `[rows, width]`.
    pub fn new(rows: Tensor<2>) -> Self {
        Self {
            device: rows.device(),
            rows: Rows::Tensor(rows),
        }
    }

    /// From a packed matrix on `device`, which is the CPU.
    pub fn quantized(rows: QuantizedMatrix, device: &Device) -> Self {
        Self {
            rows: Rows::Quantized(Arc::new(rows)),
            device: device.clone(),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Tensor(rows) => {
                let [rows, _] = rows.dims();
                rows
            }
            Rows::Quantized(rows) => rows.outputs(),
        }
    }

    /// True if it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The table as an output head, one output per row: embedding and head that are tied share one memory.
    pub fn head(&self) -> Linear {
        match &self.rows {
            Rows::Tensor(rows) => Linear::new(rows.clone().transpose(), None),
            Rows::Quantized(rows) => Linear::sharing(rows.clone(), None, &self.device),
        }
    }

    /// The rows `ids`, each below [`Embedding::len`]: `[ids, width]`.
    pub fn select(&self, ids: &[u32]) -> Tensor<2> {
        match &self.rows {
            Rows::Tensor(_) => {
                let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
                let count = ids.len();
                self.select_rows(Tensor::from_data(
                    TensorData::new(ids, [count]),
                    &self.device,
                ))
            }
            Rows::Quantized(rows) => {
                let ids: Vec<usize> = ids.iter().map(|&id| id as usize).collect();
                rows.rows(&ids, &self.device)
            }
        }
    }

    /// The same for row numbers that are on the device already.
    pub fn select_rows(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        match &self.rows {
            Rows::Tensor(rows) => {
                let found = rows.clone().select(0, ids);
                match found.dtype() {
                    DType::F32 => found,
                    _ => found.cast(FloatDType::F32),
                }
            }
            Rows::Quantized(rows) => {
                let ids: Vec<usize> = ids
                    .into_data()
                    .iter::<i64>()
                    .map(|id| usize::try_from(id).unwrap_or_default())
                    .collect();
                rows.rows(&ids, &self.device)
            }
        }
    }
}
