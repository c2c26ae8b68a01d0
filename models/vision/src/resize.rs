//! Bilinear resizing of bytes, without antialiasing.
//!
//! The published checkpoints were trained on what PyTorch's CPU kernel gives for a uint8 image resized by
//! torchvision with `antialias=False`: the bytes go to f32, four neighbours are weighted, and the result is
//! rounded half to even. A later quantisation to 8 bits turns a last-bit difference before a tie into a
//! whole grey level, so the order of the operations and their roundings are part of the contract:
//!
//! - source coordinate = fma(scale, i + 0.5, -0.5), not below 0, with scale = in / out in f32;
//! - weights: products of the row weight and the column weight, rounded to f32;
//! - sum: fma(d, w11, fma(c, w10, fma(a, w00, b * w01))), a b the upper and c d the lower neighbours.
//!
//! That is what the kernel does on every processor with fused multiply-add (AVX2 and up). Where PyTorch
//! runs without it, its own result differs in a few pixels per image.

use crate::rgb_image::byte_len;
use crate::{ImageError, RgbImage};

/// Where an output coordinate reads from, along one axis.
#[derive(Clone, Copy)]
struct Tap {
    /// The nearer-to-zero neighbour.
    first: usize,
    /// The next one, or the same at the far edge.
    second: usize,
    first_weight: f32,
    second_weight: f32,
}

/// `a * b + c` rounded once to f32.
///
/// The product of two f32 is exact in f64. The sum is too unless the magnitudes lie 2^29 apart, which needs a
/// weight below 2^-20; the instruction itself is not used because without hardware support (wasm, baseline
/// x86-64) it is a slow library call.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the one rounding of a fused multiply-add"
)]
fn fused(a: f32, b: f32, c: f32) -> f32 {
    (f64::from(a) * f64::from(b) + f64::from(c)) as f32
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "coordinates are computed in f32 by the reference too, and are not negative"
)]
fn taps(input: usize, output: usize) -> Vec<Tap> {
    let scale = input as f32 / output as f32;
    let last = input.saturating_sub(1);
    (0..output)
        .map(|index| {
            if input == output {
                return Tap {
                    first: index,
                    second: index,
                    first_weight: 1.0,
                    second_weight: 0.0,
                };
            }
            let source = fused(scale, index as f32 + 0.5, -0.5).max(0.0);
            let first = (source as usize).min(last);
            let second_weight = (source - first as f32).clamp(0.0, 1.0);
            Tap {
                first,
                second: (first + 1).min(last),
                first_weight: 1.0 - second_weight,
                second_weight,
            }
        })
        .collect()
}

/// Resizes to `width` x `height` pixels, ignoring the aspect ratio.
///
/// Equal, byte for byte, to `torchvision.transforms.Resize((height, width), BILINEAR, antialias=False)` on a
/// uint8 image on a processor with fused multiply-add.
///
/// # Errors
/// [`ImageError::BadSize`] when a side of the wanted size is zero.
pub fn resize_bilinear_u8(
    image: &RgbImage,
    width: usize,
    height: usize,
) -> Result<RgbImage, ImageError> {
    let len = byte_len(width, height)?;
    if (width, height) == (image.width(), image.height()) {
        return Ok(image.clone());
    }
    let columns = taps(image.width(), width);
    let rows = taps(image.height(), height);
    let stride = image.width() * 3;
    let row_of = |row: usize| &image.data()[row * stride..(row + 1) * stride];

    let mut data = Vec::with_capacity(len);
    for row in &rows {
        let (upper, lower) = (row_of(row.first), row_of(row.second));
        for column in &columns {
            let weights = [
                row.first_weight * column.first_weight,
                row.first_weight * column.second_weight,
                row.second_weight * column.first_weight,
                row.second_weight * column.second_weight,
            ];
            let (left, right) = (column.first * 3, column.second * 3);
            for channel in 0..3 {
                data.push(blend(
                    [
                        upper[left + channel],
                        upper[right + channel],
                        lower[left + channel],
                        lower[right + channel],
                    ],
                    weights,
                ));
            }
        }
    }
    RgbImage::new(width, height, data)
}

#[inline]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a convex mix of bytes lies in 0..=255"
)]
fn blend(pixels: [u8; 4], weights: [f32; 4]) -> u8 {
    let [a, b, c, d] = pixels.map(f32::from);
    let [w00, w01, w10, w11] = weights;
    let sum = fused(d, w11, fused(c, w10, fused(a, w00, b * w01)));
    sum.round_ties_even() as u8
}
