//! Bilinear resizing of bytes, without antialiasing.
//!
//! The reference has torchvision resize a uint8 image with `antialias=False`, which PyTorch's CPU kernels do: the
//! bytes go to f32, four neighbours are weighted, and the result is rounded half to even. A later quantisation to 8 bits turns a last-bit difference before a tie into a
//! whole grey level, so the order of the operations and their roundings are part of the contract:
//!
//! - source coordinate = fma(scale, i + 0.5, -0.5), not below 0, with scale = in / out in f32;
//! - with a b the upper neighbours, c d the lower ones, and the weights of each axis, the pixel is
//!   fma(fma(a, left, b * right), up, fma(c, left, d * right) * low): first along the row, then across;
//! - except where the output's width and height are [`SMALL`] together or less. There PyTorch takes another
//!   kernel: the weights of both axes are multiplied and rounded, and the pixel is
//!   fma(d, low * right, fma(c, low * left, fma(a, up * left, b * (up * right)))).
//!
//! That is what the kernels do on every processor with fused multiply-add (AVX2 and up), for either layout of
//! the pixels in memory, where PyTorch has more than one thread. Told to use a single thread, it takes the kernel
//! of small outputs for every size; without fused multiply-add it differs too: a few pixels per image, each by
//! one level.

use crate::fused::fused;
use crate::rgb_image::byte_len;
use crate::{ImageError, RgbImage};

/// The largest sum of an output's width and height for which PyTorch takes its kernel of small outputs.
const SMALL: usize = 128;

/// The two source pixels of an output coordinate, along one axis.
#[derive(Clone, Copy)]
struct Tap {
    /// The nearer-to-zero neighbour.
    first: usize,
    /// The next one, or the same at the far edge.
    second: usize,
    first_weight: f32,
    second_weight: f32,
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
/// uint8 image on a processor with fused multiply-add, with more than one thread.
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
    let mut data = Vec::with_capacity(len);
    if width.saturating_add(height) <= SMALL {
        at_once(image, &rows, &columns, &mut data);
    } else {
        row_by_row(image, &rows, &columns, &mut data);
    }
    RgbImage::new(width, height, data)
}

/// The pixels of one row.
fn line(image: &RgbImage, row: usize) -> &[[u8; 3]] {
    let (pixels, _) = image.data().as_chunks();
    let start = row * image.width();
    pixels.get(start..start + image.width()).unwrap_or_default()
}

/// The neighbours of an output pixel on one row, and their weights.
#[inline(always)]
fn neighbors(line: &[[u8; 3]], column: &Tap) -> [[f32; 3]; 2] {
    let at = |index: usize| line.get(index).copied().unwrap_or_default().map(f32::from);
    [at(column.first), at(column.second)]
}

/// All four neighbours in one sum: PyTorch's kernel of small outputs.
fn at_once(image: &RgbImage, rows: &[Tap], columns: &[Tap], data: &mut Vec<u8>) {
    for row in rows {
        let (upper, lower) = (line(image, row.first), line(image, row.second));
        for column in columns {
            let [a, b] = neighbors(upper, column);
            let [c, d] = neighbors(lower, column);
            let up_left = row.first_weight * column.first_weight;
            let up_right = row.first_weight * column.second_weight;
            let low_left = row.second_weight * column.first_weight;
            let low_right = row.second_weight * column.second_weight;
            for (((a, b), c), d) in a.into_iter().zip(b).zip(c).zip(d) {
                let upper = fused(a, up_left, b * up_right);
                data.push(byte(fused(d, low_right, fused(c, low_left, upper))));
            }
        }
    }
}

/// Along the rows, then across them: PyTorch's kernel of all other outputs.
fn row_by_row(image: &RgbImage, rows: &[Tap], columns: &[Tap], data: &mut Vec<u8>) {
    let mut upper = Stretched::new(columns.len());
    let mut lower = Stretched::new(columns.len());
    for row in rows {
        // Going down, the lower line often becomes the upper one.
        if lower.row == Some(row.first) {
            std::mem::swap(&mut upper, &mut lower);
        }
        upper.take(image, row.first, columns);
        lower.take(image, row.second, columns);
        let (up, low) = (row.first_weight, row.second_weight);
        let values = upper.values.iter().zip(&lower.values);
        data.extend(values.map(|(t, u)| byte(fused(*t, up, *u * low))));
    }
}

/// One row of an image at the width of the output.
struct Stretched {
    row: Option<usize>,
    values: Vec<f32>,
}

impl Stretched {
    fn new(width: usize) -> Self {
        Self {
            row: None,
            values: vec![0.0; width * 3],
        }
    }

    fn take(&mut self, image: &RgbImage, row: usize, columns: &[Tap]) {
        if self.row == Some(row) {
            return;
        }
        self.row = Some(row);
        let line = line(image, row);
        let (pixels, _) = self.values.as_chunks_mut::<3>();
        for (pixel, column) in pixels.iter_mut().zip(columns) {
            let [left, right] = neighbors(line, column);
            for (slot, (left, right)) in pixel.iter_mut().zip(left.into_iter().zip(right)) {
                *slot = fused(left, column.first_weight, right * column.second_weight);
            }
        }
    }
}

/// A mix of bytes as a byte, half to even.
///
/// From 2^23 on an f32 has no fraction, so adding it rounds, and the byte is what its last bits hold. The function for
/// that is a library call on baseline x86-64.
#[inline(always)]
fn byte(mix: f32) -> u8 {
    const WHOLE: f32 = 8_388_608.0;
    let [low, ..] = (mix + WHOLE).to_bits().to_le_bytes();
    low
}
