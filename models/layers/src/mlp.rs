//! Feed-forward layers.

use burn::tensor::{Tensor, activation};

use crate::linear::Linear;

/// GELU in its tanh form.
///
/// Written as `x * sigmoid(2 u)`, `u = sqrt(2/pi) (x + 0.044715 x³)`, which equals
/// `x/2 (1 + tanh u)` and needs no cube and no tanh.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    const TWICE: f64 = 2.0 * 0.797_884_560_802_865_4;
    let inner = (x.clone().square() * (TWICE * 0.044_715) + TWICE) * x.clone();
    x * activation::sigmoid(inner)
}

/// Which half of the fused projection goes through SiLU.
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
        let half = self.fused.outputs() / 2;
        let both = self.fused.forward(x);
        let first = both.clone().narrow(1, 0, half);
        let second = both.narrow(1, half, half);
        let (gate, up) = match self.gate {
            GateHalf::First => (first, second),
            GateHalf::Second => (second, first),
        };
        self.out.forward(activation::silu(gate) * up)
    }
}
