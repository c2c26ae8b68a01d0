//! The vision tower: patches of two frames in, tokens for the language model out, and the same for a few blocks on
//! the way, which go into the first layers of the language model (deepstack).
//!
//! Temporal blocks do not attend to each other: a block's features are the same in every video.

use burn_tensor::{Device, Tensor, TensorData};
use layers::{LayerNorm, Linear, QkvHeads, Rotary, attention, gelu, gelu_tanh, merge_heads};

use crate::config::VisionConfig;
use crate::position_table::PositionTable;
use crate::positions::vision_rotary;
use crate::stage::{OnStage, Stage};
use crate::video_input::{Block, Grid};

/// One pre-norm block: attention over one temporal block's patches, then a feed-forward layer.
#[derive(Debug)]
pub(crate) struct VisionBlock {
    pub(crate) norm1: LayerNorm,
    /// Queries, keys and values side by side.
    pub(crate) qkv: Linear,
    pub(crate) proj: Linear,
    pub(crate) norm2: LayerNorm,
    pub(crate) fc1: Linear,
    pub(crate) fc2: Linear,
    pub(crate) layout: QkvHeads,
}

impl VisionBlock {
    /// `[blocks * patches, hidden]` to the same shape.
    fn forward(&self, x: Tensor<2>, blocks: usize, rotary: &Rotary) -> Tensor<2> {
        let x = x.clone() + self.attention(self.norm1.forward(x), blocks, rotary);
        let normed = self.norm2.forward(x.clone());
        x + self.fc2.forward(gelu_tanh(self.fc1.forward(normed)))
    }

    fn attention(&self, x: Tensor<2>, blocks: usize, rotary: &Rotary) -> Tensor<2> {
        let scale = (self.layout.head_dim as f32).sqrt().recip();
        // Blocks become a part of the head axis: no patch looks into another block.
        let [query, key, value] =
            self.layout
                .split(self.qkv.forward(x), blocks, None, rotary, scale);
        self.proj
            .forward(merge_heads(attention(query, key, value, None), blocks))
    }
}

/// Makes one token of a few neighbouring patches.
#[derive(Debug)]
pub(crate) struct Merger {
    pub(crate) norm: LayerNorm,
    /// True if the norm is over the patches together; else over each.
    pub(crate) norm_after: bool,
    pub(crate) fc1: Linear,
    pub(crate) fc2: Linear,
    pub(crate) merged: usize,
}

impl Merger {
    /// `[patches, hidden]` to `[tokens, width of the language model]`.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [patches, hidden] = x.dims();
        let together = [patches / self.merged, hidden * self.merged];
        let normed = if self.norm_after {
            self.norm.forward(x.reshape(together))
        } else {
            self.norm.forward(x).reshape(together)
        };
        // The exact GELU here, the tanh form in the blocks.
        self.fc2.forward(gelu(self.fc1.forward(normed)))
    }
}

/// The vision tower.
#[derive(Debug)]
pub(crate) struct VisionTower {
    pub(crate) config: VisionConfig,
    pub(crate) patch_embed: Linear,
    pub(crate) positions: PositionTable,
    pub(crate) blocks: Vec<VisionBlock>,
    pub(crate) merger: Merger,
    /// After which block, and what merges its output.
    pub(crate) deepstack: Vec<(usize, Merger)>,
    pub(crate) device: Device,
}

/// Output of the vision tower for temporal blocks of one grid.
#[derive(Debug, Clone)]
pub struct VisionTokens {
    /// Tokens of one block, along height and width.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) blocks: usize,
    /// `[blocks * tokens, width]`.
    pub(crate) merged: Tensor<2>,
    /// The same for the blocks on the way, the first first.
    pub(crate) deepstack: Vec<Tensor<2>>,
}

impl VisionTokens {
    /// Number of temporal blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Tokens of one block.
    pub fn tokens(&self) -> usize {
        self.rows * self.columns
    }

    /// Tokens of all blocks, `[blocks * tokens, width]`.
    pub fn merged(&self) -> &Tensor<2> {
        &self.merged
    }

    /// Features added after the first layers of the language model, in order, each as [`VisionTokens::merged`].
    pub fn deepstack(&self) -> &[Tensor<2>] {
        &self.deepstack
    }
}

impl VisionTower {
    /// Features of `blocks`, which all have the grid `grid` and whole patches; `together` of them at a time, at least one.
    pub(crate) fn forward(
        &self,
        blocks: &[Block],
        together: usize,
        grid: Grid,
        on_stage: OnStage<'_>,
    ) -> Option<VisionTokens> {
        let parts: Vec<(Tensor<2>, Vec<Tensor<2>>)> = blocks
            .chunks(together.max(1))
            .map(|blocks| self.run(blocks, grid, on_stage))
            .collect();
        let merged = parts.iter().map(|(merged, _)| merged.clone()).collect();
        let deepstack = (0..self.deepstack.len())
            .map(|tap| {
                let of_tap = parts.iter().filter_map(|(_, taps)| taps.get(tap).cloned());
                join(of_tap.collect())
            })
            .collect::<Option<_>>()?;
        let merge = self.config.spatial_merge_size;
        Some(VisionTokens {
            rows: grid.rows / merge,
            columns: grid.columns / merge,
            blocks: blocks.len(),
            merged: join(merged)?,
            deepstack,
        })
    }

    fn run(
        &self,
        blocks: &[Block],
        grid: Grid,
        on_stage: OnStage<'_>,
    ) -> (Tensor<2>, Vec<Tensor<2>>) {
        let count = blocks.len();
        let rows = count * grid.patches();
        let values: Vec<f32> = blocks
            .iter()
            .flat_map(|block| block.patches.iter().copied())
            .collect();
        let patches = Tensor::from_data(
            TensorData::new(values, [rows, self.config.patch_len()]),
            &self.device,
        );
        let positions = Tensor::<2>::from_data(
            TensorData::new(
                self.positions.on(grid, self.config.spatial_merge_size),
                [grid.patches(), self.config.hidden_size],
            ),
            &self.device,
        );
        let rotary = vision_rotary(&self.config, grid, &self.device).repeated(count);
        let embedded = self.patch_embed.forward(patches);
        on_stage(Stage::PatchEmbedding, &embedded);
        let mut x = embedded + positions.repeat_dim(0, count);
        let mut taps = Vec::with_capacity(self.deepstack.len());
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, count, &rotary);
            on_stage(Stage::VisionBlock(index), &x);
            if let Some((_, merger)) = self.deepstack.iter().find(|(after, _)| *after == index) {
                let features = merger.forward(x.clone());
                on_stage(Stage::Deepstack(taps.len()), &features);
                taps.push(features);
            }
        }
        let merged = self.merger.forward(x);
        on_stage(Stage::Merged, &merged);
        (merged, taps)
    }
}

/// Rows under each other; `None` for none.
fn join(mut parts: Vec<Tensor<2>>) -> Option<Tensor<2>> {
    if parts.len() > 1 {
        return Some(Tensor::cat(parts, 0));
    }
    parts.pop()
}
