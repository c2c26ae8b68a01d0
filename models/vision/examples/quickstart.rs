//! A frame as a vision transformer reads it: resized, normalized, in patches; and a large one in overlapping crops.
//!
//! `cargo run -p vision --example quickstart`

use vision::{ImageError, PixelNormalization, RgbImage, Tiling, patchify, resize_bilinear_u8};

/// A test picture of `width` x `height` pixels: a gradient with stripes.
fn picture(width: usize, height: usize) -> Result<RgbImage, ImageError> {
    let pixels = (0..height).flat_map(|y| {
        (0..width).flat_map(move |x| {
            [
                (x * 255 / width) as u8,
                (y * 255 / height) as u8,
                (x * 16) as u8,
            ]
        })
    });
    RgbImage::new(width, height, pixels.collect())
}

fn main() -> Result<(), ImageError> {
    // The mean and standard deviation of the checkpoint's processor configuration.
    let normalization = PixelNormalization::new([0.5; 3], [0.5; 3])?;

    let frame = picture(640, 480)?;
    let resized = resize_bilinear_u8(&frame, 378, 378)?;
    let patches = patchify(&resized, 14, &normalization)?;
    let (low, high) = patches
        .values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
    println!(
        "{frame:?}: {} x {} patches of {} values from {low:.3} to {high:.3}",
        patches.rows, patches.columns, patches.patch_len
    );

    // A large image: one view of the whole and up to eight crops that overlap by four patches at each side.
    let tiling = Tiling {
        crop_size: 378,
        patch_size: 14,
        max_crops: 8,
        overlap_margins: [4, 4],
        pooling: [2, 2],
    };
    let large = picture(1280, 720)?;
    let tiles = tiling.cut(&large, &normalization)?;
    let [rows, columns] = tiles.tiling;
    println!(
        "{large:?}: {rows} x {columns} crops and the whole, {} patches, {} image tokens",
        tiles.crops * tiles.patches,
        tiles.pool_indices.len() / tiles.window
    );

    // No crop could hold more than its margins.
    let error = Tiling {
        crop_size: 112,
        ..tiling
    }
    .check();
    println!(
        "{}",
        error
            .err()
            .map_or_else(String::new, |error| error.to_string())
    );
    Ok(())
}
