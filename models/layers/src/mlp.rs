//! Feed-forward layers.

use burn_tensor::Tensor;

use crate::linear::Linear;
use crate::pointwise::gated;

/// The half of the fused projection that goes through SiLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateHalf {
    /// `silu(first) * second`.
    First,
    /// `first * silu(second)`.
    Second,
}

/// A gated feed-forward layer: `out(silu(gate(x)) * up(x))`.
#[derive(Debug, Clone)]
pub struct GatedMlp {
    fused: Linear,
    out: Linear,
    gate: GateHalf,
}

impl GatedMlp {
    /// `fused` gives both halves side by side, `out` takes one half's width.
    pub fn new(fused: Linear, out: Linear, gate: GateHalf) -> Self {
        Self { fused, out, gate }
    }

    /// `[rows, width]` to `[rows, outputs of out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let both = self.fused.forward(x);
        self.out.forward(gated(both, self.gate == GateHalf::First))
    }
}
