//! Image preprocessing for vision transformers, bit for bit as the Python references compute it.
//!
//! A frame is an [`RgbImage`]. It is resized on bytes ([`resize_bilinear_u8`]), mapped to floats and cut
//! into flat patches ([`patchify`] with a [`PixelNormalization`]). [`pooling_indices`] says which patches
//! each image token gathers; [`Tiling`] does all of it for an image that is read in overlapping crops.
//! [`resample_bilinear_u8`], [`resample_bicubic_u8`] and [`resize_bicubic_u8`] resize with antialiasing, the
//! first two as Pillow does it, the third as PyTorch does. Nothing here
//! knows a model: every size is an argument, read by the callers from a checkpoint's
//! configuration.
//!
//! The functions are held to equality, not to a tolerance (`tests/`), against the values that the Python
//! reference computes (`tests/goldens/vision`).
//!
//! # Example
//!
//! ```
//! use vision::{PixelNormalization, RgbImage, patchify, pooling_indices, resize_bilinear_u8};
//!
//! // A gradient: [height, width, 3] bytes.
//! let pixels = (0..48).flat_map(|y| (0..64).flat_map(move |x| [x * 4, y * 5, 128]));
//! let frame = RgbImage::new(64, 48, pixels.collect())?;
//!
//! let resized = resize_bilinear_u8(&frame, 28, 28)?;
//! let normalization = PixelNormalization::new([0.5; 3], [0.5; 3])?;
//! let patches = patchify(&resized, 14, &normalization)?;
//! assert_eq!((patches.rows, patches.columns, patches.patch_len), (2, 2, 14 * 14 * 3));
//! assert_eq!(patches.values.len(), 4 * 14 * 14 * 3);
//! assert!(patches.values.iter().all(|value| (-1.0..=1.0).contains(value)));
//!
//! // All four patches are pooled into one token.
//! let pooled = pooling_indices(patches.rows, patches.columns, 2, 2)?;
//! assert_eq!(pooled.indices, [0, 1, 2, 3]);
//!
//! // A size that is no whole number of patches is an error that says so.
//! let error = patchify(&frame, 14, &normalization).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "an image of 64x48 pixels cannot be cut into patches of 14x14"
//! );
//! # Ok::<(), vision::ImageError>(())
//! ```

mod error;
mod fused;
mod normalize;
mod patches;
mod pooling;
mod resample;
mod resize;
mod rgb_image;
mod tiling;

pub use error::ImageError;
pub use normalize::PixelNormalization;
pub use patches::{Patches, patchify};
pub use pooling::{PoolingIndices, pooling_indices};
pub use resample::{resample_bicubic_u8, resample_bilinear_u8, resize_bicubic_u8};
pub use resize::resize_bilinear_u8;
pub use rgb_image::RgbImage;
pub use tiling::{Tiles, Tiling};
