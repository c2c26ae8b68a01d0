//! Bilinear resizing of bytes with antialiasing, in fixed point.
//!
//! Where the depth-reasoning checkpoints compare two camera frames, the reference first shrinks both with
//! Pillow's `Image.resize(size, BILINEAR)`. That is not [`resize_bilinear_u8`](crate::resize_bilinear_u8): each
//! output pixel is a triangle-weighted mean over all the source pixels it covers, along the rows, then along
//! the columns, with the bytes in between rounded. Weights are computed in f64 and rounded to multiples
//! of 2^-22; sums are 32-bit integers that start at one half.

use crate::rgb_image::byte_len;
use crate::{ImageError, RgbImage};

/// Fraction bits of a weight: a byte times a sum of weights then fits 32 bits with sign.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// How many times taller than wide an image is when its columns are resized first.
const TALL: usize = 100;

/// The source pixels of one output coordinate, along one axis.
struct Taps {
    first: usize,
    /// Fixed-point weights of `first`, `first + 1`, …
    weights: Vec<i32>,
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "coordinates are non-negative and small; truncation is the rounding that is wanted"
)]
fn taps(input: usize, output: usize) -> Vec<Taps> {
    let scale = input as f64 / output as f64;
    // Enlarging interpolates between neighbours; shrinking widens the triangle to what a pixel covers.
    let reach = scale.max(1.0);
    let per_reach = 1.0 / reach;
    (0..output)
        .map(|index| {
            let centre = (index as f64 + 0.5) * scale;
            // Below zero the cast gives 0, as the clamp of the original does.
            let first = (centre - reach + 0.5) as usize;
            let end = ((centre + reach + 0.5) as usize).min(input);
            let raw: Vec<f64> = (first..end)
                .map(|at| {
                    let distance = ((at as f64 - centre + 0.5) * per_reach).abs();
                    if distance < 1.0 { 1.0 - distance } else { 0.0 }
                })
                .collect();
            let total: f64 = raw.iter().sum();
            let one = f64::from(1_u32 << PRECISION_BITS);
            let weights = raw
                .iter()
                .map(|weight| (0.5 + weight / total * one) as i32)
                .collect();
            Taps { first, weights }
        })
        .collect()
}

/// One output byte from the bytes of one channel, `step` apart.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a byte"
)]
fn mix(bytes: impl Iterator<Item = u8>, weights: &[i32]) -> u8 {
    let half = 1 << (PRECISION_BITS - 1);
    let sum: i32 = bytes
        .zip(weights)
        .fold(half, |sum, (byte, weight)| sum + i32::from(byte) * weight);
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Resizes to `width` x `height` pixels with a triangle filter, ignoring the aspect ratio.
///
/// Equal, byte for byte, to Pillow's `Image.resize((width, height), Image.BILINEAR)` on an RGB image.
///
/// # Errors
/// [`ImageError::BadSize`] when a side of the wanted size is zero.
pub fn resample_bilinear_u8(
    image: &RgbImage,
    width: usize,
    height: usize,
) -> Result<RgbImage, ImageError> {
    byte_len(width, height)?;
    // Pillow takes very tall images the other way round; the bytes in between are rounded, so it shows.
    if image.height() > image.width() * TALL && height < image.height() {
        resample_rows(&resample_columns(image, height)?, width)
    } else {
        resample_columns(&resample_rows(image, width)?, height)
    }
}

fn resample_columns(image: &RgbImage, height: usize) -> Result<RgbImage, ImageError> {
    if height == image.height() {
        return Ok(image.clone());
    }
    let width = image.width();
    let stride = width * 3;
    let mut data = Vec::with_capacity(byte_len(width, height)?);
    for taps in taps(image.height(), height) {
        let lines = image.data().get(taps.first * stride..).unwrap_or_default();
        for column in 0..stride {
            let bytes = lines.iter().skip(column).step_by(stride).copied();
            data.push(mix(bytes, &taps.weights));
        }
    }
    RgbImage::new(width, height, data)
}

fn resample_rows(image: &RgbImage, width: usize) -> Result<RgbImage, ImageError> {
    if width == image.width() {
        return Ok(image.clone());
    }
    let columns = taps(image.width(), width);
    let mut data = Vec::with_capacity(byte_len(width, image.height())?);
    for line in image.data().chunks_exact(image.width() * 3) {
        for taps in &columns {
            for channel in 0..3 {
                let bytes = line.iter().skip(taps.first * 3 + channel).step_by(3);
                data.push(mix(bytes.copied(), &taps.weights));
            }
        }
    }
    RgbImage::new(width, image.height(), data)
}
