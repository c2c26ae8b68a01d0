//! Observation of intermediate values.

use burn_tensor::Tensor;

/// A place in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Patches after their linear map, before positions: `[patches, hidden]`.
    PatchEmbedding,
    /// Output of a block of the vision tower, from 0.
    VisionBlock(usize),
    /// Features for a layer of the language model, from 0: `[tokens, width]`.
    Deepstack(usize),
    /// Tokens of the images: `[tokens, width]`.
    Merged,
    /// Input of the language model: `[tokens, width]`.
    Embedded,
    /// Output of a layer of the language model, from 0, deepstack included.
    Layer(usize),
    /// After the last norm.
    Final,
}

/// Callback for every stage as it is computed.
pub type OnStage<'a> = &'a dyn Fn(Stage, &Tensor<2>);

/// An observer that ignores everything.
pub(crate) fn unwatched(_: Stage, _: &Tensor<2>) {}
