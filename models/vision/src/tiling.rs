//! A large image as one small view of the whole and several overlapping crops.
//!
//! The reference calls it `overlap-and-resize-c2`. The image is resized, ignoring its aspect ratio, to a grid
//! of crops that fits it best, and cut into crops that overlap by a margin of patches. Each patch of the
//! resized image is then looked up in the one crop where it lies furthest from the border, and these patches
//! are pooled in windows as if the image had never been cut.

use crate::{
    ImageError, PixelNormalization, RgbImage, patchify, pooling_indices, resize_bilinear_u8,
};

/// Parameters of the tiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// Pixels along one side of a crop, which is square, and of the view of the whole.
    pub crop_size: usize,
    /// Pixels along one side of a patch.
    pub patch_size: usize,
    /// Most crops of one image, the view of the whole not counted.
    pub max_crops: usize,
    /// Patches at the left (top) and at the right (bottom) of a crop that belong to its neighbour there.
    pub overlap_margins: [usize; 2],
    /// Patches pooled into one token, along the height and the width.
    pub pooling: [usize; 2],
}

/// One image, tiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Tiles {
    /// Rows and columns of crops.
    pub tiling: [usize; 2],
    /// Crops with the view of the whole, which comes first.
    pub crops: usize,
    /// Patches of one crop.
    pub patches: usize,
    /// Values of one patch.
    pub patch_len: usize,
    /// `[crops, patches, patch_len]`, normalised.
    pub values: Vec<f32>,
    /// Rows and columns of the tokens of the view of the whole.
    pub whole_grid: [usize; 2],
    /// Rows and columns of the tokens of the crops together.
    pub crop_grid: [usize; 2],
    /// Patches per window.
    pub window: usize,
    /// `[tokens of the whole + tokens of the crops, window]`: patch numbers counted over all crops, -1 outside
    /// the image.
    pub pool_indices: Vec<i32>,
}

/// The crop and its patch in which one row (or column) of patches of the resized image is looked up.
#[derive(Clone, Copy)]
struct PatchSource {
    crop: usize,
    patch: usize,
}

impl Tiling {
    /// Patches along one side of a crop.
    fn crop_patches(&self) -> usize {
        self.crop_size / self.patch_size.max(1)
    }

    /// Patches by which one crop lies further on than the one before it.
    fn step(&self) -> usize {
        let [left, right] = self.overlap_margins;
        self.crop_patches().saturating_sub(left + right)
    }

    /// Checks that the parameters describe a tiling.
    ///
    /// # Errors
    /// [`ImageError::BadTiling`].
    pub fn check(&self) -> Result<(), ImageError> {
        let [left, right] = self.overlap_margins;
        let whole = self.patch_size > 0 && self.crop_size.is_multiple_of(self.patch_size);
        // A few thousand crops are more than any model takes; the bound keeps every product below in range.
        let bounded = (1..=4096).contains(&self.max_crops) && self.crop_size <= 1 << 14;
        let overlap = left.saturating_add(right) < self.crop_patches();
        if whole && bounded && overlap && !self.pooling.contains(&0) {
            Ok(())
        } else {
            Err(ImageError::BadTiling {
                crop_size: self.crop_size,
                patch_size: self.patch_size,
                max_crops: self.max_crops,
                overlap_margins: self.overlap_margins,
                pooling: self.pooling,
            })
        }
    }

    /// Rows and columns of crops for an image of this size: those that need the least enlargement, or, where
    /// every choice would shrink the image, those that shrink it least.
    ///
    /// In f32 and with the reference's order of choices, so that ties fall the same way.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "sides of images are far below 2^24, where f32 is exact"
    )]
    pub fn select(&self, width: usize, height: usize) -> [usize; 2] {
        let [left, right] = self.overlap_margins;
        let margin = (self.patch_size * (left + right)) as f32;
        let side = (self.step() * self.patch_size) as f32;
        // Below zero for an image smaller than the margin, as in the reference.
        let (height, width) = (height as f32 - margin, width as f32 - margin);
        let mut choices: Vec<[usize; 2]> = (1..=self.max_crops)
            .flat_map(|rows| (1..=self.max_crops / rows).map(move |columns| [rows, columns]))
            .collect();
        choices.sort_by_key(|[rows, columns]| (rows * columns, *rows));
        let scale = |[rows, columns]: [usize; 2]| {
            let tall = rows as f32 * side / height;
            let wide = columns as f32 * side / width;
            tall.min(wide)
        };
        let shrinks_always = choices.iter().all(|choice| scale(*choice) < 1.0);
        let mut best = ([1, 1], None::<f32>);
        for choice in choices {
            let scale = scale(choice);
            let better = match best.1 {
                None => true,
                Some(most) if shrinks_always => scale > most,
                Some(least) => cost(scale) < cost(least),
            };
            if better {
                best = (choice, Some(scale));
            }
        }
        best.0
    }

    /// Tiles an image.
    ///
    /// # Errors
    /// [`ImageError::BadTiling`] for numbers that cannot be, [`ImageError::BadPooling`] where the patches
    /// cannot be counted in 32 bits.
    pub fn cut(
        &self,
        image: &RgbImage,
        normalization: &PixelNormalization,
    ) -> Result<Tiles, ImageError> {
        self.check()?;
        let (size, patch_size) = (self.crop_size, self.patch_size);
        let side = self.crop_patches();
        let [pool_rows, pool_columns] = self.pooling;
        let whole = patchify(
            &resize_bilinear_u8(image, size, size)?,
            patch_size,
            normalization,
        )?;
        let whole_windows = pooling_indices(side, side, pool_rows, pool_columns)?;

        let tiling = self.select(image.width(), image.height());
        let [tile_rows, tile_columns] = tiling;
        let step = self.step() * patch_size;
        let margin = size - step;
        let resized = resize_bilinear_u8(
            image,
            tile_columns * step + margin,
            tile_rows * step + margin,
        )?;
        let mut values = whole.values;
        values.reserve(values.len() * tile_rows * tile_columns);
        for row in 0..tile_rows {
            for column in 0..tile_columns {
                let crop = crop(&resized, column * step, row * step, size)?;
                values.extend(patchify(&crop, patch_size, normalization)?.values);
            }
        }

        let (rows, columns) = (self.places(tile_rows), self.places(tile_columns));
        let windows = pooling_indices(rows.len(), columns.len(), pool_rows, pool_columns)?;
        let patches = side * side;
        let number = |at: i32| {
            let at = usize::try_from(at).ok()?;
            let row = rows.get(at / columns.len())?;
            let column = columns.get(at % columns.len())?;
            let crop = row.crop * tile_columns + column.crop;
            // The view of the whole comes first.
            i32::try_from((crop + 1) * patches + row.patch * side + column.patch).ok()
        };
        let mut pool_indices = whole_windows.indices;
        pool_indices.extend(windows.indices.iter().map(|at| number(*at).unwrap_or(-1)));
        Ok(Tiles {
            tiling,
            crops: tile_rows * tile_columns + 1,
            patches,
            patch_len: whole.patch_len,
            values,
            whole_grid: [whole_windows.rows, whole_windows.columns],
            crop_grid: [windows.rows, windows.columns],
            window: windows.window,
            pool_indices,
        })
    }

    /// For each row (or column) of patches of the resized image, the crop that has it away from its border.
    fn places(&self, crops: usize) -> Vec<PatchSource> {
        let side = self.crop_patches();
        let [left, right] = self.overlap_margins;
        (0..crops)
            .flat_map(|crop| {
                let first = if crop == 0 { 0 } else { left };
                let end = if crop + 1 == crops {
                    side
                } else {
                    side - right
                };
                (first..end).map(move |patch| PatchSource { crop, patch })
            })
            .collect()
    }
}

/// Enlargement, with shrinking dearer than anything.
fn cost(scale: f32) -> f32 {
    if scale < 1.0 { 10e9 } else { scale }
}

/// The square of `size` pixels with its top left at `left`, `top`.
fn crop(image: &RgbImage, left: usize, top: usize, size: usize) -> Result<RgbImage, ImageError> {
    let row_bytes = image.width() * 3;
    let data = image
        .data()
        .chunks_exact(row_bytes)
        .skip(top)
        .take(size)
        .flat_map(|line| line.iter().skip(left * 3).take(size * 3))
        .copied()
        .collect();
    RgbImage::new(size, size, data)
}
