//! Frames to the patches that the vision tower reads.

use vision::{RgbImage, resize_bicubic_u8};

use crate::config::VisionConfig;
use crate::error::ScoreError;
use crate::frame_size::{FrameSize, OddFrames, PixelBudget, smart_resize, smart_resize_image};
use crate::video_config::VideoConfig;

/// Grid of patches of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Patches along the height.
    pub rows: usize,
    /// Patches along the width.
    pub columns: usize,
}

impl Grid {
    /// Number of patches.
    #[must_use]
    pub fn patches(self) -> usize {
        self.rows * self.columns
    }
}

/// Two frames that are read together: a temporal block.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Patches, before they are merged.
    pub grid: Grid,
    /// `[patches, 3 * 2 * patch * patch]`. Patches that merge into one token lie together; inside a patch the order
    /// is (colour, frame, row, column).
    pub patches: Vec<f32>,
}

/// Preprocessing of frames to blocks.
#[derive(Debug, Clone)]
pub struct VideoInput {
    patch: usize,
    merge: usize,
    budget: PixelBudget,
    /// Value of every byte of each colour.
    levels: [[f32; 256]; 3],
}

impl VideoInput {
    /// The preprocessing of a checkpoint.
    pub fn new(video: &VideoConfig, vision: &VisionConfig) -> Self {
        let level = |channel: usize| -> [f32; 256] {
            // In the order in which the reference rounds: mean and deviation are scaled, not the byte.
            let scaled = |values: &[f32; 3]| values.get(channel).copied().unwrap_or(0.5) * 255.0;
            let (mean, std) = (scaled(&video.image_mean), scaled(&video.image_std));
            std::array::from_fn(|byte| (byte as f32 - mean) / std)
        };
        Self {
            patch: vision.patch_size,
            merge: vision.spatial_merge_size,
            budget: video.budget,
            levels: [level(0), level(1), level(2)],
        }
    }

    /// Both sides of a resized frame are multiples of this many pixels.
    pub fn factor(&self) -> usize {
        self.patch * self.merge
    }

    /// Bounds on the pixels of a video.
    pub fn budget(&self) -> PixelBudget {
        self.budget
    }

    /// The size that the frames of a video of `frames` frames are resized to.
    ///
    /// # Errors
    /// As [`smart_resize`].
    pub fn frame_size(
        &self,
        frames: usize,
        size: FrameSize,
        odd: OddFrames,
    ) -> Result<FrameSize, ScoreError> {
        smart_resize(frames, size, self.factor(), self.budget, odd)
    }

    /// Patches of frames of this size.
    ///
    /// # Errors
    /// [`ScoreError::BadFrameSize`] when a side is not a multiple of [`VideoInput::factor`].
    pub fn grid(&self, size: FrameSize) -> Result<Grid, ScoreError> {
        let FrameSize { width, height } = size;
        let factor = self.factor();
        if width == 0
            || height == 0
            || !width.is_multiple_of(factor)
            || !height.is_multiple_of(factor)
        {
            return Err(ScoreError::BadFrameSize {
                width,
                height,
                reason: format!("both sides must be multiples of {factor}"),
            });
        }
        Ok(Grid {
            rows: height / self.patch,
            columns: width / self.patch,
        })
    }

    /// Language-model tokens of one block of this grid.
    pub fn tokens(&self, grid: Grid) -> usize {
        grid.patches() / (self.merge * self.merge).max(1)
    }

    /// One block of two frames, resized to `size`. A block of one frame has it twice.
    ///
    /// # Errors
    /// [`ScoreError::BadFrameSize`] for a size that is not whole patches, [`ScoreError::Frame`] for one that cannot
    /// be held.
    pub fn block(&self, frames: [&RgbImage; 2], size: FrameSize) -> Result<Block, ScoreError> {
        let grid = self.grid(size)?;
        let resized = |index: usize, frame: &RgbImage| {
            resize_bicubic_u8(frame, size.width, size.height)
                .map_err(|source| ScoreError::Frame { index, source })
        };
        let [first, second] = frames;
        let frames = [resized(0, first)?, resized(1, second)?];
        Ok(Block {
            grid,
            patches: self.patchify(&frames, grid),
        })
    }

    /// A single image, which is read as a block that has it twice.
    ///
    /// # Errors
    /// As [`smart_resize_image`], and [`ScoreError::Frame`].
    pub fn image(&self, image: &RgbImage) -> Result<Block, ScoreError> {
        let own = FrameSize {
            width: image.width(),
            height: image.height(),
        };
        let size = smart_resize_image(own, self.factor(), self.budget)?;
        self.block([image, image], size)
    }

    /// All frames of a video as blocks, resized to the size that the whole video gets; the last frame of an odd
    /// video is repeated.
    ///
    /// # Errors
    /// [`ScoreError::NoFrames`], [`ScoreError::UnevenFrames`], and as [`smart_resize`].
    pub fn video(&self, frames: &[RgbImage], odd: OddFrames) -> Result<Vec<Block>, ScoreError> {
        let first = frames.first().ok_or(ScoreError::NoFrames)?;
        let own = FrameSize {
            width: first.width(),
            height: first.height(),
        };
        for (index, frame) in frames.iter().enumerate() {
            if (frame.width(), frame.height()) != (own.width, own.height) {
                return Err(ScoreError::UnevenFrames {
                    index,
                    width: frame.width(),
                    height: frame.height(),
                    first_width: own.width,
                    first_height: own.height,
                });
            }
        }
        let size = self.frame_size(frames.len(), own, odd)?;
        frames
            .chunks(2)
            .filter_map(|pair| Some([pair.first()?, pair.last()?]))
            .map(|pair| self.block(pair, size))
            .collect()
    }

    fn patchify(&self, frames: &[RgbImage; 2], grid: Grid) -> Vec<f32> {
        let (patch, merge) = (self.patch, self.merge);
        let stride = grid.columns * patch * 3;
        let mut values = Vec::with_capacity(grid.patches() * patch * patch * 6);
        for (row, column) in merge_order(grid, merge) {
            for (channel, levels) in self.levels.iter().enumerate() {
                for frame in frames {
                    for line in frame
                        .data()
                        .chunks_exact(stride)
                        .skip(row * patch)
                        .take(patch)
                    {
                        let bytes = line
                            .iter()
                            .skip(column * patch * 3 + channel)
                            .step_by(3)
                            .take(patch);
                        values
                            .extend(bytes.map(|byte| {
                                levels.get(usize::from(*byte)).copied().unwrap_or(0.0)
                            }));
                    }
                }
            }
        }
        values
    }
}

/// Row and column of every patch, in the order of the patches: those that merge into one token lie together.
pub(crate) fn merge_order(grid: Grid, merge: usize) -> impl Iterator<Item = (usize, usize)> {
    let merge = merge.max(1);
    (0..grid.rows / merge).flat_map(move |block_row| {
        (0..grid.columns / merge).flat_map(move |block_column| {
            (0..merge).flat_map(move |row| {
                (0..merge)
                    .map(move |column| (block_row * merge + row, block_column * merge + column))
            })
        })
    })
}
