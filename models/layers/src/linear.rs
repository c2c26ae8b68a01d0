//! An affine map over rows.

use burn::tensor::{Device, Tensor};

/// `y = x W + b` over the rows of a matrix.
///
/// # Params
/// - `weight`: `[inputs, outputs]`, the transpose of what PyTorch stores.
/// - `bias`: `[1, outputs]`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor<2>,
    bias: Option<Tensor<2>>,
}

impl Linear {
    /// From a weight `[inputs, outputs]` and a bias `[1, outputs]`.
    pub fn new(weight: Tensor<2>, bias: Option<Tensor<2>>) -> Self {
        Self { weight, bias }
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = x.matmul(self.weight.clone());
        match &self.bias {
            Some(bias) => y + bias.clone(),
            None => y,
        }
    }

    /// The layer that gives only the outputs `start .. start + len`.
    #[must_use]
    pub fn columns(&self, start: usize, len: usize) -> Self {
        Self {
            weight: self.weight.clone().narrow(1, start, len),
            bias: self.bias.clone().map(|bias| bias.narrow(1, start, len)),
        }
    }

    /// The layer that takes only the inputs `0 .. len`, for inputs whose rest is zero.
    #[must_use]
    pub fn first_inputs(&self, len: usize) -> Self {
        Self {
            weight: self.weight.clone().narrow(0, 0, len),
            bias: self.bias.clone(),
        }
    }

    /// The device the weight is on.
    pub fn device(&self) -> Device {
        self.weight.device()
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        let [_, outputs] = self.weight.dims();
        outputs
    }
}
