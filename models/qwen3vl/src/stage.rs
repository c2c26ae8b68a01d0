//! Looking at the network while it computes.

use burn::tensor::Tensor;

/// A place in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Patches after their linear map, before positions: `[patches, hidden]`.
    PatchEmbedding,
    /// Output of a block of the vision tower, from 0.
    VisionBlock(usize),
    /// Features for a layer of the language model, from 0: `[tokens, width]`.
    Deepstack(usize),
    /// Tokens of the pictures: `[tokens, width]`.
    Merged,
    /// What the language model reads: `[tokens, width]`.
    Embedded,
    /// Output of a layer of the language model, from 0, deepstack included.
    Layer(usize),
    /// After the last norm.
    Final,
}

/// Shown every stage as it is computed.
pub type OnStage<'a> = &'a dyn Fn(Stage, &Tensor<2>);

/// Looks at nothing.
pub(crate) fn unwatched(_: Stage, _: &Tensor<2>) {}
