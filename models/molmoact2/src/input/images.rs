//! Image preprocessing: patches, pooling windows and image tokens.

use vision::{
    PixelNormalization, PoolingIndices, RgbImage, Tiles, Tiling, patchify, pooling_indices,
    resize_bilinear_u8,
};

use crate::checkpoint::config::Config;
use crate::checkpoint::processor_config::{self, Crops, ProcessorConfig};
use crate::error::{ActError, LoadError, bad_value};

/// Image preprocessing of a checkpoint.
#[derive(Debug, Clone)]
pub struct ImagePreprocessor {
    height: usize,
    width: usize,
    patch_size: usize,
    normalization: PixelNormalization,
    windows: PoolingIndices,
    tiling: Option<Tiling>,
    column_tokens: bool,
    crop_column_tokens: bool,
    low_res_start: bool,
}

/// The images of one question, ready for the vision tower.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageBatch {
    /// Crops over all images; an image that is not tiled is one crop.
    pub crops: usize,
    /// Patches per crop.
    pub patches: usize,
    /// Values per patch: side x side x 3, in the order (row, column, channel).
    pub patch_len: usize,
    /// `[crops, patches, patch_len]`, row-major.
    pub values: Vec<f32>,
    /// `[tokens of all images, window]`: patch indices over all crops, -1 outside an image.
    pub pool_indices: Vec<i32>,
    /// Patches per pooling window.
    pub window: usize,
    /// The image tokens of each image.
    pub grids: Vec<TokenGrid>,
}

/// The tokens of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenGrid {
    /// Rows and columns of the whole image.
    pub whole: [usize; 2],
    /// Rows and columns of the overlapping crops together, if there are any.
    pub crops: Option<[usize; 2]>,
}

impl ImagePreprocessor {
    /// From the two configuration files.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`](layers::ConfigError::BadValue) for an invalid mean, deviation or pooling.
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
            tiling: match processor.crops() {
                Crops::Whole => None,
                Crops::Tiled(tiling) => Some(tiling),
            },
            column_tokens: processor.column_tokens(),
            crop_column_tokens: processor.crop_column_tokens(),
            low_res_start: processor.low_res_start(),
        })
    }

    /// True if an image is read in several crops, so that its tokens depend on its size.
    #[must_use]
    pub fn is_tiled(&self) -> bool {
        self.tiling.is_some()
    }

    /// Image patch tokens of an image that is not tiled.
    #[must_use]
    pub fn tokens_per_image(&self) -> usize {
        self.windows.rows * self.windows.columns
    }

    /// Rows and columns of image tokens of an image that is not tiled.
    #[must_use]
    pub fn grid(&self) -> (usize, usize) {
        (self.windows.rows, self.windows.columns)
    }

    /// Prompt text of the tokens of an image that is not tiled.
    #[must_use]
    pub fn token_string(&self) -> String {
        self.tokens_of(&TokenGrid {
            whole: [self.windows.rows, self.windows.columns],
            crops: None,
        })
    }

    /// Prompt text of the tokens of an image.
    #[must_use]
    pub fn tokens_of(&self, grid: &TokenGrid) -> String {
        let part = |start: &str, [rows, columns]: [usize; 2], column_tokens: bool| {
            let mut row = "<im_patch>".repeat(columns);
            if column_tokens {
                row.push_str("<im_col>");
            }
            format!("{start}{}<im_end>", row.repeat(rows))
        };
        match grid.crops {
            None => part("<im_start>", grid.whole, self.column_tokens),
            Some(crops) => {
                let start = if self.low_res_start {
                    "<low_res_im_start>"
                } else {
                    "<im_start>"
                };
                part(start, grid.whole, self.column_tokens)
                    + &part("<im_start>", crops, self.crop_column_tokens)
            }
        }
    }

    /// Resizes and normalizes the images of one question and cuts them into patches.
    ///
    /// # Errors
    /// [`ActError::Image`] with the index of the image.
    pub fn prepare(&self, images: &[RgbImage]) -> Result<ImageBatch, ActError> {
        let mut batch = ImageBatch {
            crops: 0,
            patches: (self.height / self.patch_size) * (self.width / self.patch_size),
            patch_len: self.patch_size * self.patch_size * 3,
            values: Vec::with_capacity(images.len() * self.height * self.width * 3),
            pool_indices: Vec::with_capacity(images.len() * self.windows.indices.len()),
            window: self.windows.window,
            grids: Vec::with_capacity(images.len()),
        };
        for (index, image) in images.iter().enumerate() {
            let refused = |source| ActError::Image { index, source };
            match &self.tiling {
                None => self.add_whole(&mut batch, image).map_err(refused)?,
                Some(tiling) => {
                    let tiles = tiling.cut(image, &self.normalization).map_err(refused)?;
                    batch.add_tiles(tiles);
                }
            }
        }
        Ok(batch)
    }

    fn add_whole(
        &self,
        batch: &mut ImageBatch,
        image: &RgbImage,
    ) -> Result<(), vision::ImageError> {
        let resized = resize_bilinear_u8(image, self.width, self.height)?;
        let cut = patchify(&resized, self.patch_size, &self.normalization)?;
        let offset = batch.offset();
        batch.values.extend_from_slice(&cut.values);
        batch.pool_indices.extend(self.windows.shifted(offset));
        batch.crops += 1;
        batch.grids.push(TokenGrid {
            whole: [self.windows.rows, self.windows.columns],
            crops: None,
        });
        Ok(())
    }
}

impl ImageBatch {
    /// Index of the next image's first patch. All patches together must fit 32 bits.
    fn offset(&self) -> i32 {
        i32::try_from(self.crops * self.patches).unwrap_or(i32::MAX)
    }

    /// Adds the images of another question, made by the same [`ImagePreprocessor`].
    pub(crate) fn append(&mut self, other: Self) {
        let offset = self.offset();
        self.pool_indices
            .extend(other.pool_indices.iter().map(|&index| match index {
                outside if outside < 0 => outside,
                inside => inside.saturating_add(offset),
            }));
        self.values.extend(other.values);
        self.crops += other.crops;
        self.grids.extend(other.grids);
    }

    fn add_tiles(&mut self, tiles: Tiles) {
        let offset = self.offset();
        let shifted = tiles.pool_indices.iter().map(|index| {
            if *index < 0 {
                -1
            } else {
                index.saturating_add(offset)
            }
        });
        self.pool_indices.extend(shifted);
        self.crops += tiles.crops;
        self.grids.push(TokenGrid {
            whole: tiles.whole_grid,
            crops: Some(tiles.crop_grid),
        });
        self.values.extend(tiles.values);
    }
}
