//! The whole network, on one device.

use burn_tensor::Device;

use crate::config::Config;
use crate::error::ScoreError;
use crate::stage::{OnStage, unwatched};
use crate::text_model::TextModel;
use crate::video_input::{Block, Grid};
use crate::vision_tower::{VisionTokens, VisionTower};

/// Everything a checkpoint holds.
#[derive(Debug)]
pub struct Network {
    pub(crate) config: Config,
    pub(crate) vision: VisionTower,
    pub(crate) text: TextModel,
    pub(crate) device: Device,
    pub(crate) weight_bytes: u64,
    /// Most scores of attention at a time.
    pub(crate) scores: usize,
    /// Most rows at a time where that is not for memory's sake.
    pub(crate) rows_together: usize,
}

impl Network {
    /// Sizes and ids.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The language model.
    pub fn text(&self) -> &TextModel {
        &self.text
    }

    /// The device it is on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Bytes that its weights take, on the device and beside it.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    /// Runs temporal blocks of one grid through the vision tower. No block attends to another, so it does not matter
    /// which are encoded together.
    ///
    /// # Errors
    /// [`ScoreError::NoFrames`] without blocks, [`ScoreError::BadBlock`] for blocks of different grids or with
    /// another number of values than their grid takes.
    pub fn encode_video(&self, blocks: &[Block]) -> Result<VisionTokens, ScoreError> {
        self.encode_video_watched(blocks, &unwatched)
    }

    /// The same, showing every stage to `on_stage`.
    ///
    /// # Errors
    /// As [`Network::encode_video`].
    pub fn encode_video_watched(
        &self,
        blocks: &[Block],
        on_stage: OnStage<'_>,
    ) -> Result<VisionTokens, ScoreError> {
        let first = blocks.first().ok_or(ScoreError::NoFrames)?;
        let grid = first.grid;
        let vision = &self.config.vision;
        let merge = vision.spatial_merge_size;
        let want = grid.patches() * vision.patch_len();
        for block in blocks {
            let whole = grid.rows.is_multiple_of(merge) && grid.columns.is_multiple_of(merge);
            if block.grid != grid || block.patches.len() != want || want == 0 || !whole {
                return Err(ScoreError::BadBlock {
                    rows: grid.rows,
                    columns: grid.columns,
                    want,
                    got: block.patches.len(),
                });
            }
        }
        self.vision
            .forward(blocks, self.blocks_together(grid), grid, on_stage)
            .ok_or(ScoreError::NoFrames)
    }

    /// Maximum number of temporal blocks of a grid per pass of the vision tower; at least one.
    fn blocks_together(&self, grid: Grid) -> usize {
        let patches = grid.patches().max(1);
        let scores = self.config.vision.num_heads * patches * patches;
        (self.scores / scores.max(1))
            .min(self.rows_together / patches)
            .max(1)
    }
}
