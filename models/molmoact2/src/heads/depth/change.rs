//! Changed cells of an image, against an earlier image.
//!
//! Both images are resized to 32 pixels per cell ([`vision::resample_bilinear_u8`]) and compared cell by cell by
//! the cosine of their bytes. Sums are f32 in numpy's order (pairwise, eight at a time), so a cell near the
//! threshold falls on the same side as in the reference.

use vision::{ImageError, RgbImage, resample_bilinear_u8};

/// Pixels along one side of a cell.
const CELL: usize = 32;
/// Cosine similarity below which a cell counts as changed.
pub const THRESHOLD: f32 = 0.996;

/// An image at the size for comparison: `side` x `side` cells.
pub(crate) fn shrink(image: &RgbImage, side: usize) -> Result<RgbImage, ImageError> {
    let size = side.saturating_mul(CELL);
    resample_bilinear_u8(image, size, size)
}

/// Cosine similarity of every cell of two images made by [`shrink`], row by row. 1 where one of them is black.
pub(crate) fn similarity(current: &RgbImage, previous: &RgbImage, side: usize) -> Vec<f32> {
    (0..side * side)
        .map(|index| {
            let a = cell(current, index / side, index % side);
            let b = cell(previous, index / side, index % side);
            let dot = |a: &[f32], b: &[f32]| {
                let products: Vec<f32> = a.iter().zip(b).map(|(a, b)| a * b).collect();
                pairwise_sum(&products)
            };
            let norms = dot(&a, &a).sqrt() * dot(&b, &b).sqrt();
            if norms < 1e-8 {
                1.0
            } else {
                dot(&a, &b) / (norms + 1e-12)
            }
        })
        .collect()
}

/// The bytes of one cell: row, column, channel.
fn cell(image: &RgbImage, row: usize, column: usize) -> Vec<f32> {
    image
        .data()
        .chunks_exact(image.width().max(1) * 3)
        .skip(row * CELL)
        .take(CELL)
        .flat_map(|line| line.iter().skip(column * CELL * 3).take(CELL * 3))
        .map(|&byte| f32::from(byte))
        .collect()
}

/// Pairwise sum, as numpy computes it over a contiguous axis of f32: halves down to blocks of 128, and eight
/// running sums in a block.
fn pairwise_sum(values: &[f32]) -> f32 {
    if values.len() < 8 {
        return values.iter().sum();
    }
    if values.len() > 128 {
        let half = values.len() / 2;
        let (first, second) = values.split_at(half - half % 8);
        return pairwise_sum(first) + pairwise_sum(second);
    }
    let (lanes, rest) = values.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for lane in lanes {
        for (sum, value) in sums.iter_mut().zip(lane) {
            *sum += value;
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let total = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(total, |total, value| total + value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{pairwise_sum, shrink, similarity};
    use vision::RgbImage;

    /// `v = (np.arange(n, dtype=np.float32) * np.float32(0.37)) ** 2 % np.float32(251)`, summed
    /// with numpy 2.2.6.
    #[test]
    fn sums_are_numpys_to_the_bit() {
        for (count, bits) in SUMS {
            let values: Vec<f32> = (0..count)
                .map(|i| {
                    let x = i as f32 * 0.37;
                    (x * x) % 251.0
                })
                .collect();
            assert_eq!(pairwise_sum(&values).to_bits(), bits, "{count}");
        }
    }

    #[test]
    fn a_black_cell_counts_as_unchanged_and_the_same_frame_too() {
        let black = RgbImage::new(64, 64, vec![0; 64 * 64 * 3]).unwrap();
        let bytes = (0..64 * 64 * 3).map(|i| (i % 251) as u8).collect();
        let frame = shrink(&RgbImage::new(64, 64, bytes).unwrap(), 2).unwrap();
        assert_eq!(similarity(&frame, &black, 2), [1.0; 4]);
        for value in similarity(&frame, &frame, 2) {
            assert!((value - 1.0).abs() < 1e-6);
        }
    }

    const SUMS: [(u16, u32); 6] = [
        (1, 0x00000000),
        (7, 0x41475390),
        (8, 0x419953f8),
        (100, 0x461d3878),
        (129, 0x465aa9c6),
        (3072, 0x48bd7abc),
    ];
}
