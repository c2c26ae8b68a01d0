//! An affine map over rows.

use std::sync::Arc;

use burn_tensor::{DType, Device, FloatDType, Tensor};

use crate::quantized_matrix::QuantizedMatrix;

/// `y = x W + b` over the rows of a matrix. Whatever the weight is kept in, `x`, `b` and `y` are `f32`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Weight,
    /// `[1, outputs]`.
    bias: Option<Tensor<2>>,
}

#[derive(Debug, Clone)]
#[cfg_attr(
    target_arch = "wasm32",
    expect(
        clippy::large_enum_variant,
        reason = "there is one per layer, and most are tensors"
    )
)]
enum Weight {
    /// `[inputs, outputs]`, the transpose of what PyTorch stores; any float type the device multiplies in.
    Tensor(Tensor<2>),
    /// Some outputs of a matrix in the memory of this process.
    Quantized {
        matrix: Arc<QuantizedMatrix>,
        first: usize,
        count: usize,
        device: Device,
    },
}

impl Linear {
    /// From a weight `[inputs, outputs]` and a bias `[1, outputs]`.
    pub fn new(weight: Tensor<2>, bias: Option<Tensor<2>>) -> Self {
        Self {
            weight: Weight::Tensor(weight),
            bias,
        }
    }

    /// From a packed matrix and a bias `[1, outputs]` on `device`.
    pub fn quantized(matrix: QuantizedMatrix, bias: Option<Tensor<2>>, device: &Device) -> Self {
        Self::sharing(Arc::new(matrix), bias, device)
    }

    /// The same for a matrix that something else uses too.
    pub(crate) fn sharing(
        matrix: Arc<QuantizedMatrix>,
        bias: Option<Tensor<2>>,
        device: &Device,
    ) -> Self {
        Self {
            weight: Weight::Quantized {
                first: 0,
                count: matrix.outputs(),
                matrix,
                device: device.clone(),
            },
            bias,
        }
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = match &self.weight {
            Weight::Tensor(weight) => multiply(x, weight.clone()),
            Weight::Quantized {
                matrix,
                first,
                count,
                ..
            } => matrix.multiply(&x, *first, *count),
        };
        match &self.bias {
            Some(bias) => y + bias.clone(),
            None => y,
        }
    }

    /// The layer that gives only the outputs `start .. start + len`.
    #[must_use]
    pub fn columns(&self, start: usize, len: usize) -> Self {
        let weight = match &self.weight {
            Weight::Tensor(weight) => Weight::Tensor(weight.clone().narrow(1, start, len)),
            Weight::Quantized {
                matrix,
                first,
                device,
                ..
            } => Weight::Quantized {
                matrix: matrix.clone(),
                first: first + start,
                count: len,
                device: device.clone(),
            },
        };
        Self {
            weight,
            bias: self.bias.clone().map(|bias| bias.narrow(1, start, len)),
        }
    }

    /// The layer that takes only the inputs `0 .. len`, for inputs whose rest is zero. A packed weight is widened.
    #[must_use]
    pub fn first_inputs(&self, len: usize) -> Self {
        let weight = match &self.weight {
            Weight::Tensor(weight) => weight.clone(),
            Weight::Quantized {
                matrix,
                first,
                count,
                device,
            } => matrix.tile(*first, *count, device),
        };
        Self {
            weight: Weight::Tensor(weight.narrow(0, 0, len)),
            bias: self.bias.clone(),
        }
    }

    /// The device the layer computes on.
    pub fn device(&self) -> Device {
        match &self.weight {
            Weight::Tensor(weight) => weight.device(),
            Weight::Quantized { device, .. } => device.clone(),
        }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        match &self.weight {
            Weight::Tensor(weight) => {
                let [_, outputs] = weight.dims();
                outputs
            }
            Weight::Quantized { count, .. } => *count,
        }
    }
}

/// A product in the weight's type, given back as `f32`.
fn multiply(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let kept = match weight.dtype() {
        DType::F16 => FloatDType::F16,
        DType::BF16 => FloatDType::BF16,
        _ => return x.matmul(weight),
    };
    x.cast(kept).matmul(weight).cast(FloatDType::F32)
}
