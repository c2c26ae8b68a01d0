//! Equality, to the bit, with the reference for images read in several crops (`tests/goldens/vision/tilings.json`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::frame;
use proptest::prelude::*;
use serde_json::Value;
use vision::{ImageError, PixelNormalization, RgbImage, Tiling};

fn golden() -> Value {
    common::golden("tilings.json")
}

fn numbers<const N: usize>(value: &Value) -> [usize; N] {
    serde_json::from_value::<Vec<usize>>(value.clone())
        .unwrap()
        .try_into()
        .unwrap()
}

fn tiling(case: &Value) -> Tiling {
    let number = |key: &str| usize::try_from(case[key].as_u64().unwrap()).unwrap();
    Tiling {
        crop_size: number("crop_size"),
        patch_size: number("patch_size"),
        max_crops: number("max_crops"),
        overlap_margins: numbers(&case["margins"]),
        pooling: numbers(&case["window"]),
    }
}

/// The generator's hash of 32-bit words.
fn words(values: impl IntoIterator<Item = u32>) -> String {
    let hash = values.into_iter().fold(0_u64, |hash, word| {
        hash.wrapping_mul(0x0100_0000_01b3)
            .wrapping_add(u64::from(word) + 1)
    });
    format!("{hash:016x}")
}

fn noise(width: usize, height: usize, seed: u64) -> RgbImage {
    frame("noise", width, height, seed)
}

#[test]
fn the_grid_of_crops_is_the_references_for_every_size() {
    for case in golden()["choices"].as_array().unwrap() {
        let tiling = tiling(case);
        let sides: Vec<usize> = serde_json::from_value(case["sides"].clone()).unwrap();
        let found: Vec<[usize; 2]> = sides
            .iter()
            .flat_map(|height| sides.iter().map(|width| tiling.select(*width, *height)))
            .collect();
        let first: Vec<usize> = serde_json::from_value(case["first"].clone()).unwrap();
        let some: Vec<usize> = found
            .iter()
            .step_by(found.len() / 50)
            .flatten()
            .copied()
            .collect();
        assert_eq!(some, first, "{}", case["name"]);
        assert_eq!(
            words(found.iter().flatten().map(|side| *side as u32)),
            case["words"].as_str().unwrap(),
            "{}",
            case["name"]
        );
    }
}

#[test]
fn crops_and_windows_are_the_references() {
    let halves = PixelNormalization::new([0.5; 3], [0.5; 3]).unwrap();
    let golden = golden();
    let cases = golden["cuts"].as_array().unwrap();
    assert!(cases.len() > 85);
    for case in cases {
        let about = format!("{} {}", case["name"], case["input"]);
        let [width, height] = numbers(&case["input"]);
        let image = noise(width, height, case["seed"].as_u64().unwrap());
        let tiles = tiling(case).cut(&image, &halves).unwrap();
        let grid: [usize; 4] = numbers(&case["grid"]);
        assert_eq!(tiles.whole_grid, [grid[0], grid[1]], "{about}");
        assert_eq!(tiles.crop_grid, [grid[2], grid[3]], "{about}");
        let shape: [usize; 3] = numbers(&case["shape"]);
        assert_eq!(
            shape,
            [tiles.crops, tiles.patches, tiles.patch_len],
            "{about}"
        );
        assert_eq!(
            tiles.values.len(),
            shape.iter().product::<usize>(),
            "{about}"
        );
        let [tokens, window] = numbers(&case["pool_shape"]);
        assert_eq!(window, tiles.window, "{about}");
        assert_eq!(tiles.pool_indices.len(), tokens * window, "{about}");
        assert_eq!(
            words(tiles.pool_indices.iter().map(|index| index.cast_unsigned())),
            case["pool"].as_str().unwrap(),
            "{about}"
        );
        assert_eq!(
            words(tiles.values.iter().map(|value| value.to_bits())),
            case["values"].as_str().unwrap(),
            "{about}"
        );
    }
}

#[test]
fn tilings_that_cannot_be_are_refused() {
    let good = Tiling {
        crop_size: 56,
        patch_size: 14,
        max_crops: 4,
        overlap_margins: [1, 1],
        pooling: [2, 2],
    };
    good.check().unwrap();
    let halves = PixelNormalization::new([0.5; 3], [0.5; 3]).unwrap();
    for bad in [
        Tiling {
            crop_size: 57,
            ..good
        },
        Tiling {
            patch_size: 0,
            ..good
        },
        Tiling {
            max_crops: 0,
            ..good
        },
        Tiling {
            max_crops: usize::MAX,
            ..good
        },
        Tiling {
            overlap_margins: [2, 2],
            ..good
        },
        Tiling {
            overlap_margins: [usize::MAX, 1],
            ..good
        },
        Tiling {
            pooling: [0, 2],
            ..good
        },
    ] {
        let error = bad.cut(&noise(9, 9, 1), &halves).unwrap_err();
        assert!(matches!(error, ImageError::BadTiling { .. }), "{error}");
        assert!(error.to_string().contains("margins"), "{error}");
    }
}

proptest! {
    /// Each patch of the resized image is pooled exactly once, the view of the whole likewise.
    #[test]
    fn every_patch_is_pooled_once(
        (width, height) in (1_usize..200, 1_usize..200),
        max_crops in 1_usize..10,
        margins in (0_usize..2, 0_usize..3),
        pooling in (1_usize..4, 1_usize..4),
    ) {
        let tiling = Tiling {
            crop_size: 20,
            patch_size: 4,
            max_crops,
            overlap_margins: [margins.0, margins.1],
            pooling: [pooling.0, pooling.1],
        };
        let halves = PixelNormalization::new([0.5; 3], [0.5; 3]).unwrap();
        let tiles = tiling.cut(&noise(width, height, 3), &halves).unwrap();
        let [rows, columns] = tiles.tiling;
        prop_assert!(rows * columns <= max_crops);
        let mut seen: Vec<i32> = tiles.pool_indices.iter().copied().filter(|at| *at >= 0).collect();
        let whole = 25;
        let (step, margin) = (5 - margins.0 - margins.1, margins.0 + margins.1);
        prop_assert_eq!(seen.len(), whole + (rows * step + margin) * (columns * step + margin));
        let largest = i32::try_from(tiles.crops * tiles.patches).unwrap();
        prop_assert!(seen.iter().all(|at| *at < largest));
        seen.sort_unstable();
        let before = seen.len();
        seen.dedup();
        prop_assert_eq!(before, seen.len());
    }
}
