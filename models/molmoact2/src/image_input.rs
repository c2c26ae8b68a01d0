//! Camera frames as the network reads them: patches, pooling windows and image tokens.

use vision::{
    PixelNormalization, PoolingIndices, RgbImage, patchify, pooling_indices, resize_bilinear_u8,
};

use crate::config::Config;
use crate::error::{ActError, LoadError, bad_value};
use crate::processor_config::{self, ProcessorConfig};

/// How a checkpoint wants its frames.
#[derive(Debug, Clone)]
pub struct ImageInput {
    height: usize,
    width: usize,
    patch_size: usize,
    normalization: PixelNormalization,
    windows: PoolingIndices,
    column_tokens: bool,
}

/// The frames of one observation, ready for the vision tower.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageBatch {
    /// Frames.
    pub images: usize,
    /// Patches per frame.
    pub patches: usize,
    /// Values per patch: side x side x 3, in the order (row, column, channel).
    pub patch_len: usize,
    /// `[images, patches, patch_len]`, row-major.
    pub values: Vec<f32>,
    /// `[images * tokens, window]`: patch numbers counted over all frames, -1 outside a frame.
    pub pool_indices: Vec<i32>,
    /// Patches per pooling window.
    pub window: usize,
}

impl ImageInput {
    /// From the two configuration files.
    ///
    /// # Errors
    /// [`LoadError::BadValue`] for a mean, deviation or pooling that cannot be.
    pub fn new(processor: &ProcessorConfig, config: &Config) -> Result<Self, LoadError> {
        let image = &processor.image_processor;
        let [height, width] = config.vit.image_default_input_size;
        let patch_size = config.vit.image_patch_size.max(1);
        let [window_rows, window_columns] = image.pooling_size;
        let refused = |key: &str, error: vision::ImageError| {
            bad_value(
                processor_config::FILE,
                format!("image_processor.{key}"),
                error.to_string(),
            )
        };
        Ok(Self {
            height,
            width,
            patch_size,
            normalization: PixelNormalization::new(image.image_mean, image.image_std)
                .map_err(|error| refused("image_std", error))?,
            windows: pooling_indices(
                height / patch_size,
                width / patch_size,
                window_rows,
                window_columns,
            )
            .map_err(|error| refused("pooling_size", error))?,
            column_tokens: processor.column_tokens(),
        })
    }

    /// Image patch tokens per frame.
    #[must_use]
    pub fn tokens_per_image(&self) -> usize {
        self.windows.rows * self.windows.columns
    }

    /// Rows and columns of image tokens of one frame.
    #[must_use]
    pub fn grid(&self) -> (usize, usize) {
        (self.windows.rows, self.windows.columns)
    }

    /// What stands for one frame in the prompt.
    #[must_use]
    pub fn token_string(&self) -> String {
        let mut row = "<im_patch>".repeat(self.windows.columns);
        if self.column_tokens {
            row.push_str("<im_col>");
        }
        format!("<im_start>{}<im_end>", row.repeat(self.windows.rows))
    }

    /// Resizes, normalises and cuts up the frames of one observation.
    ///
    /// # Errors
    /// [`ActError::Image`] with the number of the frame.
    pub fn prepare(&self, images: &[RgbImage]) -> Result<ImageBatch, ActError> {
        let mut batch = ImageBatch {
            images: images.len(),
            patches: (self.height / self.patch_size) * (self.width / self.patch_size),
            patch_len: self.patch_size * self.patch_size * 3,
            values: Vec::with_capacity(images.len() * self.height * self.width * 3),
            pool_indices: Vec::with_capacity(images.len() * self.windows.indices.len()),
            window: self.windows.window,
        };
        let mut offset = 0_i32;
        // A frame holds fewer patches than fit 32 bits (`pooling_indices`), all frames together must too.
        let step = i32::try_from(batch.patches).unwrap_or(i32::MAX);
        for (index, image) in images.iter().enumerate() {
            let refused = |source| ActError::Image { index, source };
            let resized = resize_bilinear_u8(image, self.width, self.height).map_err(refused)?;
            let cut = patchify(&resized, self.patch_size, &self.normalization).map_err(refused)?;
            batch.values.extend_from_slice(&cut.values);
            batch.pool_indices.extend(self.windows.shifted(offset));
            offset = offset.saturating_add(step);
        }
        Ok(batch)
    }
}
