//! The vision tower: a SigLIP-style transformer without class token and without final norm.
//!
//! Its output is the concatenation of the outputs of a few blocks, in the order of the adapter's list (24 then 18
//! in the published sizes). Later blocks are not in the checkpoint, nor here.

use burn_tensor::Tensor;
use layers::{LayerNorm, Linear, attention, gelu_tanh};

/// One pre-norm block: attention over one image's patches, then a feed-forward layer.
#[derive(Debug)]
pub(crate) struct VitBlock {
    pub(crate) attention_norm: LayerNorm,
    /// Queries (already scaled), keys and values side by side.
    pub(crate) qkv: Linear,
    pub(crate) out: Linear,
    pub(crate) ffn_norm: LayerNorm,
    pub(crate) w1: Linear,
    pub(crate) w2: Linear,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
}

impl VitBlock {
    /// `[images * patches, hidden]` to the same shape.
    fn forward(&self, x: Tensor<2>, images: usize) -> Tensor<2> {
        let normed = self.attention_norm.forward(x.clone());
        let x = x + self.attention(normed, images);
        let normed = self.ffn_norm.forward(x.clone());
        x + self.w2.forward(gelu_tanh(self.w1.forward(normed)))
    }

    fn attention(&self, x: Tensor<2>, images: usize) -> Tensor<2> {
        let [rows, _] = x.dims();
        let patches = rows / images;
        let (heads, kv_heads, head_dim) = (self.heads, self.kv_heads, self.head_dim);
        // Images are a part of the head axis, so patches attend within their image alone.
        let all = self
            .qkv
            .forward(x)
            .reshape([images, patches, heads + 2 * kv_heads, head_dim])
            .swap_dims(1, 2);
        let part = |start: usize, count: usize| {
            all.clone()
                .narrow(1, start, count)
                .reshape([images * count, patches, head_dim])
        };
        let mixed = attention(
            part(0, heads),
            part(heads, kv_heads),
            part(heads + kv_heads, kv_heads),
            None,
        );
        self.out.forward(
            mixed
                .reshape([images, heads, patches, head_dim])
                .swap_dims(1, 2)
                .reshape([rows, heads * head_dim]),
        )
    }
}

/// The vision tower.
#[derive(Debug)]
pub struct Vit {
    pub(crate) patch_embedding: Linear,
    /// `[1, patches, hidden]`.
    pub(crate) position: Tensor<3>,
    pub(crate) blocks: Vec<VitBlock>,
    /// Blocks whose outputs are concatenated, in that order.
    pub(crate) taps: Vec<usize>,
}

impl Vit {
    /// Features of every patch of every image.
    ///
    /// - `patches`: `[images, patches, patch_values]`, pixels in `[-1, 1]`, each patch flattened
    ///   as (row, column, channel).
    ///
    /// Returns `[images * patches, hidden * taps]`.
    pub fn forward(&self, patches: Tensor<3>) -> Tensor<2> {
        let [images, count, values] = patches.dims();
        let rows = images * count;
        let embedded = self
            .patch_embedding
            .forward(patches.reshape([rows, values]));
        let [_, hidden] = embedded.dims();
        let mut x = (embedded.reshape([images, count, hidden]) + self.position.clone())
            .reshape([rows, hidden]);
        // Only the selected outputs are kept: those of all blocks and images together are larger than the weights.
        let mut tapped: Vec<Option<Tensor<2>>> = vec![None; self.taps.len()];
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, images);
            for (slot, _) in tapped
                .iter_mut()
                .zip(&self.taps)
                .filter(|(_, tap)| **tap == index)
            {
                *slot = Some(x.clone());
            }
        }
        let tapped = tapped.into_iter().flatten().collect();
        Tensor::cat(tapped, 1)
    }
}
