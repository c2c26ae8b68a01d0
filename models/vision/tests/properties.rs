//! Properties of any image.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use proptest::prelude::*;
use vision::{PixelNormalization, RgbImage, patchify, pooling_indices, resize_bilinear_u8};

fn any_image() -> impl Strategy<Value = RgbImage> {
    (1_usize..40, 1_usize..40).prop_flat_map(|(width, height)| {
        prop::collection::vec(any::<u8>(), width * height * 3)
            .prop_map(move |data| RgbImage::new(width, height, data).unwrap())
    })
}

proptest! {
    #[test]
    fn resizing_stays_between_the_darkest_and_the_brightest(
        image in any_image(), width in 1_usize..60, height in 1_usize..60,
    ) {
        let resized = resize_bilinear_u8(&image, width, height).unwrap();
        prop_assert_eq!(resized.data().len(), width * height * 3);
        let (low, high) = (image.data().iter().min(), image.data().iter().max());
        prop_assert!(resized.data().iter().min() >= low && resized.data().iter().max() <= high);
    }

    #[test]
    fn an_image_of_one_color_keeps_it(color in any::<[u8; 3]>(), width in 1_usize..50, height in 1_usize..50) {
        let image = RgbImage::new(7, 5, color.repeat(35)).unwrap();
        let resized = resize_bilinear_u8(&image, width, height).unwrap();
        prop_assert_eq!(resized.data(), color.repeat(width * height));
    }

    #[test]
    fn patches_hold_every_pixel_once(rows in 1_usize..5, columns in 1_usize..5, patch in 1_usize..6, seed in any::<u8>()) {
        let (width, height) = (columns * patch, rows * patch);
        let data: Vec<u8> = (0..width * height * 3).map(|at| (at * 7) as u8 ^ seed).collect();
        let table = PixelNormalization::new([0.5; 3], [0.5; 3]).unwrap();
        let image = RgbImage::new(width, height, data).unwrap();
        let patches = patchify(&image, patch, &table).unwrap();
        for (at, value) in patches.values.iter().enumerate() {
            let (cell, inside) = (at / patches.patch_len, at % patches.patch_len);
            let (row, column) = (inside / 3 / patch, inside / 3 % patch);
            let x = cell % columns * patch + column;
            let y = cell / columns * patch + row;
            let byte = image.data()[(y * width + x) * 3 + inside % 3];
            prop_assert_eq!(*value, table.apply(inside % 3, byte));
        }
    }

    #[test]
    fn windows_hold_every_patch_once(
        rows in 1_usize..30, columns in 1_usize..30, window_rows in 1_usize..6, window_columns in 1_usize..6,
    ) {
        let windows = pooling_indices(rows, columns, window_rows, window_columns).unwrap();
        let mut seen: Vec<i32> = windows.indices.iter().copied().filter(|index| *index >= 0).collect();
        seen.sort_unstable();
        let all: Vec<i32> = (0..i32::try_from(rows * columns).unwrap()).collect();
        prop_assert_eq!(seen, all);
        prop_assert_eq!(windows.indices.len(), windows.rows * windows.columns * windows.window);
    }
}
