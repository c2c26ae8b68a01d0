//! Resizing of bytes with antialiasing, in fixed point.
//!
//! Two libraries do it the same way and round it differently. Each output pixel is a weighted mean over all the
//! source pixels it covers, along the rows, then along the columns, with the bytes in between rounded. Weights
//! are computed in f64 and rounded to fixed point; sums are 32-bit integers that start at one half.
//!
//! - Pillow's `Image.resize`: multiples of 2^-22. Two camera frames are compared after its bilinear filter, and
//!   some video pipelines begin with its bicubic one.
//! - PyTorch's `interpolate(mode="bicubic", antialias=True)` on bytes, which torchvision's resize calls: as many
//!   bits as leave the largest weight of an axis within 16.
//!
//! Neither is [`resize_bilinear_u8`](crate::resize_bilinear_u8), which does not antialias.

use crate::rgb_image::byte_len;
use crate::{ImageError, RgbImage};

/// Most fraction bits of a weight: a byte times a sum of weights then fits 32 bits with sign.
const MOST_BITS: u32 = 32 - 8 - 2;

/// Ratio of height to width above which columns are resized first.
const TALL: usize = 100;

/// A filter: its reach at its natural size, in source pixels, and its height at a distance from the center.
#[derive(Clone, Copy)]
struct Filter {
    reach: f64,
    height: fn(f64) -> f64,
}

/// A triangle.
const BILINEAR: Filter = Filter {
    reach: 1.0,
    height: |x| (1.0 - x.abs()).max(0.0),
};

/// The cubic kernel of Keys (1981) with `a = -0.5`.
const BICUBIC: Filter = Filter {
    reach: 2.0,
    height: |x| {
        const A: f64 = -0.5;
        let x = x.abs();
        if x < 1.0 {
            ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
        } else if x < 2.0 {
            (((x - 5.0) * x + 8.0) * x - 4.0) * A
        } else {
            0.0
        }
    },
};

/// Rounding of weights to integers.
#[derive(Clone, Copy)]
enum Rounding {
    /// [`MOST_BITS`], always.
    Pillow,
    /// Fewer where the largest weight of the axis would not fit 16 bits with sign.
    Torch,
}

/// The source pixels of one output coordinate, along one axis.
struct Taps {
    first: usize,
    /// Fixed-point weights of `first`, `first + 1`, …
    weights: Vec<i32>,
}

/// One axis: where every output coordinate reads from, in weights of so many fraction bits.
struct Axis {
    taps: Vec<Taps>,
    bits: u32,
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "coordinates are non-negative and small; truncation is the rounding that is wanted"
)]
fn axis(input: usize, output: usize, filter: Filter, rounding: Rounding) -> Axis {
    let scale = input as f64 / output as f64;
    // Enlarging interpolates between neighbours; shrinking widens the filter to what a pixel covers.
    let widening = scale.max(1.0);
    let reach = filter.reach * widening;
    let per_widening = 1.0 / widening;
    let exact: Vec<(usize, Vec<f64>)> = (0..output)
        .map(|index| {
            let center = (index as f64 + 0.5) * scale;
            // Below zero the cast gives 0, as the clamp of the originals does.
            let first = (center - reach + 0.5) as usize;
            let end = ((center + reach + 0.5) as usize).min(input);
            let raw: Vec<f64> = (first..end)
                .map(|at| (filter.height)((at as f64 - center + 0.5) * per_widening))
                .collect();
            let total: f64 = raw.iter().sum();
            (first, raw.iter().map(|weight| weight / total).collect())
        })
        .collect();
    let bits = match rounding {
        Rounding::Pillow => MOST_BITS,
        Rounding::Torch => {
            let largest = exact
                .iter()
                .flat_map(|(_, weights)| weights)
                .fold(0.0_f64, |most, weight| most.max(*weight));
            let fits = |bits: u32| (0.5 + largest * f64::from(1_u32 << (bits + 1))) < 32768.0;
            (0..MOST_BITS)
                .find(|bits| !fits(*bits))
                .unwrap_or(MOST_BITS)
        }
    };
    let one = f64::from(1_u32 << bits);
    let round = |weight: &f64| (weight * one + 0.5_f64.copysign(*weight)) as i32;
    let taps = exact
        .iter()
        .map(|(first, weights)| Taps {
            first: *first,
            weights: weights.iter().map(round).collect(),
        })
        .collect();
    Axis { taps, bits }
}

/// A sum of weighted bytes as a byte. Sums begin at one half.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a byte"
)]
fn byte(sum: i32, bits: u32) -> u8 {
    (sum >> bits).clamp(0, 255) as u8
}

/// Adds a weighted byte. Never wraps, by the choice of [`MOST_BITS`]; a check in every step would cost several times
/// what the step does.
#[inline]
fn add(sum: i32, byte: u8, weight: i32) -> i32 {
    sum.wrapping_add(i32::from(byte).wrapping_mul(weight))
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
    pillow(image, width, height, BILINEAR)
}

/// Resizes to `width` x `height` pixels with a cubic filter, ignoring the aspect ratio.
///
/// Equal, byte for byte, to Pillow's `Image.resize((width, height), Image.BICUBIC)` on an RGB image.
///
/// # Errors
/// [`ImageError::BadSize`] when a side of the wanted size is zero.
pub fn resample_bicubic_u8(
    image: &RgbImage,
    width: usize,
    height: usize,
) -> Result<RgbImage, ImageError> {
    pillow(image, width, height, BICUBIC)
}

/// Resizes to `width` x `height` pixels with a cubic filter, ignoring the aspect ratio.
///
/// Equal, byte for byte, to `torchvision.transforms.v2.functional.resize(image, (height, width), BICUBIC,
/// antialias=True)` on a uint8 image on the CPU.
///
/// # Errors
/// [`ImageError::BadSize`] when a side of the wanted size is zero.
pub fn resize_bicubic_u8(
    image: &RgbImage,
    width: usize,
    height: usize,
) -> Result<RgbImage, ImageError> {
    byte_len(width, height)?;
    let wide = resample_rows(image, width, BICUBIC, Rounding::Torch)?;
    resample_columns(&wide, height, BICUBIC, Rounding::Torch)
}

fn pillow(
    image: &RgbImage,
    width: usize,
    height: usize,
    filter: Filter,
) -> Result<RgbImage, ImageError> {
    byte_len(width, height)?;
    let rounding = Rounding::Pillow;
    // Pillow takes very tall images the other way round; the bytes in between are rounded, so it shows.
    if image.height() > image.width() * TALL && height < image.height() {
        resample_rows(
            &resample_columns(image, height, filter, rounding)?,
            width,
            filter,
            rounding,
        )
    } else {
        resample_columns(
            &resample_rows(image, width, filter, rounding)?,
            height,
            filter,
            rounding,
        )
    }
}

fn resample_columns(
    image: &RgbImage,
    height: usize,
    filter: Filter,
    rounding: Rounding,
) -> Result<RgbImage, ImageError> {
    if height == image.height() {
        return Ok(image.clone());
    }
    let width = image.width();
    let stride = width * 3;
    let mut data = Vec::with_capacity(byte_len(width, height)?);
    let Axis { taps, bits } = axis(image.height(), height, filter, rounding);
    let mut sums = vec![0; stride];
    for taps in &taps {
        sums.fill((1 << bits) / 2);
        let lines = image.data().get(taps.first * stride..).unwrap_or_default();
        // Line by line, as they lie in memory.
        for (line, weight) in lines.chunks_exact(stride).zip(&taps.weights) {
            for (sum, value) in sums.iter_mut().zip(line) {
                *sum = add(*sum, *value, *weight);
            }
        }
        data.extend(sums.iter().map(|sum| byte(*sum, bits)));
    }
    RgbImage::new(width, height, data)
}

fn resample_rows(
    image: &RgbImage,
    width: usize,
    filter: Filter,
    rounding: Rounding,
) -> Result<RgbImage, ImageError> {
    if width == image.width() {
        return Ok(image.clone());
    }
    let Axis { taps, bits } = axis(image.width(), width, filter, rounding);
    let mut data = Vec::with_capacity(byte_len(width, image.height())?);
    for line in image.data().chunks_exact(image.width() * 3) {
        for taps in &taps {
            let (pixels, _) = line.as_chunks::<3>();
            let pixels = pixels.get(taps.first..).unwrap_or_default();
            let mut sums = [(1 << bits) / 2; 3];
            for (pixel, weight) in pixels.iter().zip(&taps.weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum = add(*sum, *value, *weight);
                }
            }
            data.extend(sums.map(|sum| byte(sum, bits)));
        }
    }
    RgbImage::new(width, image.height(), data)
}
