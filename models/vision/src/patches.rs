//! An image as a row of flat patches.

use crate::{ImageError, PixelNormalization, RgbImage};

/// The patches of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    /// Patches along the height.
    pub rows: usize,
    /// Patches along the width.
    pub columns: usize,
    /// Values of one patch: `patch_size * patch_size * 3`.
    pub patch_len: usize,
    /// `[rows * columns, patch_len]`; inside a patch the order is (row, column, channel).
    pub values: Vec<f32>,
}

/// Cuts an image into square patches, row by row, each normalised for the vision tower.
///
/// # Errors
/// [`ImageError::NotWholePatches`] when a side is not a multiple of `patch_size`.
pub fn patchify(
    image: &RgbImage,
    patch_size: usize,
    normalization: &PixelNormalization,
) -> Result<Patches, ImageError> {
    let (width, height) = (image.width(), image.height());
    if patch_size == 0 || !width.is_multiple_of(patch_size) || !height.is_multiple_of(patch_size) {
        return Err(ImageError::NotWholePatches {
            width,
            height,
            patch_size,
        });
    }
    let row_bytes = width * 3;
    let mut values = Vec::with_capacity(image.data().len());
    for band in image.data().chunks_exact(row_bytes * patch_size) {
        for left in (0..row_bytes).step_by(patch_size * 3) {
            for line in band.chunks_exact(row_bytes) {
                let line = line.iter().skip(left).take(patch_size * 3);
                values.extend(
                    line.enumerate()
                        .map(|(at, byte)| normalization.apply(at % 3, *byte)),
                );
            }
        }
    }
    Ok(Patches {
        rows: height / patch_size,
        columns: width / patch_size,
        patch_len: patch_size * patch_size * 3,
        values,
    })
}
