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
