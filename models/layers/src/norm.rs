//! Normalisation over the last axis.

use burn_tensor::Tensor;

use crate::pointwise::{layer_norm, rms_norm};

/// Divides by the root of the mean square over the last axis: `x / sqrt(mean(x²) + eps)`.
pub fn rms_normalize<const D: usize>(x: Tensor<D>, eps: f64) -> Tensor<D> {
    rms_norm(x, None, eps)
}

/// RMS normalisation with a weight per column.
///
/// # Params
/// - `weight`: `[1, width]`.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    weight: Tensor<2>,
    eps: f64,
}

impl RmsNorm {
    /// From a weight `[1, width]`.
    pub fn new(weight: Tensor<2>, eps: f64) -> Self {
        Self { weight, eps }
    }

    /// `[rows, width]` to the same shape.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        rms_norm(x, Some(&self.weight), self.eps)
    }
}

/// Layer normalisation with weight and bias.
///
/// # Params
/// - `weight`, `bias`: `[width]`.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
}

impl LayerNorm {
    /// From a weight and a bias of `[width]` each.
    pub fn new(weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Self {
        Self { weight, bias, eps }
    }

    /// `[rows, width]` to the same shape.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}
