//! Equality, to the byte and to the bit, with the reference's image processor (`tests/goldens/vision`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use safetensors::SafeTensors;
use serde_json::Value;
use vision::{
    ImageError, PixelNormalization, RgbImage, patchify, pooling_indices, resample_bilinear_u8,
    resize_bilinear_u8,
};

fn golden_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens/vision")
        .join(name)
}

fn golden() -> Value {
    serde_json::from_slice(&std::fs::read(golden_path("golden.json")).unwrap()).unwrap()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

fn pair(value: &Value) -> (usize, usize) {
    (number(&value[0]), number(&value[1]))
}

/// The frame that `generate.py` defines by the same formula.
fn noise(width: usize, height: usize, seed: u64) -> RgbImage {
    let byte = |at: u64| {
        let mut value = (at * 2_654_435_761 + seed) & 0xFFFF_FFFF;
        value ^= value >> 15;
        value = (value * 2_246_822_519) & 0xFFFF_FFFF;
        u8::try_from(value >> 24).unwrap()
    };
    let bytes = (0..(width * height * 3) as u64).map(byte).collect();
    RgbImage::new(width, height, bytes).unwrap()
}

fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> String {
    let step = |value: u64, byte: u8| (value ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!(
        "{:016x}",
        bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
    )
}

fn case_noise(case: &Value) -> RgbImage {
    let (width, height) = pair(&case["input"]);
    noise(width, height, case["seed"].as_u64().unwrap())
}

#[test]
fn resized_bytes_are_those_of_the_reference() {
    let golden = golden();
    let cases = golden["resizes"].as_array().unwrap();
    assert!(cases.len() > 10);
    for case in cases {
        let (width, height) = pair(&case["output"]);
        let resized = resize_bilinear_u8(&case_noise(case), width, height).unwrap();
        let first: Vec<u8> = serde_json::from_value(case["first"].clone()).unwrap();
        let about = format!("{} to {}", case["input"], case["output"]);
        assert!(resized.data().starts_with(&first), "{about}");
        assert_eq!(
            fnv1a(resized.into_data()),
            case["fnv1a"].as_str().unwrap(),
            "{about}"
        );
    }
}

#[test]
fn resampled_bytes_are_those_of_pillow() {
    let golden = golden();
    let cases = golden["resamples"].as_array().unwrap();
    assert!(cases.len() > 10);
    for case in cases {
        let (width, height) = pair(&case["output"]);
        let resampled = resample_bilinear_u8(&case_noise(case), width, height).unwrap();
        let first: Vec<u8> = serde_json::from_value(case["first"].clone()).unwrap();
        let about = format!("{} to {}", case["input"], case["output"]);
        assert!(resampled.data().starts_with(&first), "{about}");
        assert_eq!(
            fnv1a(resampled.into_data()),
            case["fnv1a"].as_str().unwrap(),
            "{about}"
        );
    }
    assert!(resample_bilinear_u8(&noise(4, 4, 0), 0, 4).is_err());
}

#[test]
fn patches_and_windows_of_a_frame_are_those_of_the_reference() {
    let golden = golden();
    let halves = PixelNormalization::new([0.5; 3], [0.5; 3]).unwrap();
    for case in golden["paths"].as_array().unwrap() {
        let (size, patch, pooling) = (
            number(&case["size"]),
            number(&case["patch"]),
            number(&case["pooling"]),
        );
        let resized = resize_bilinear_u8(&case_noise(case), size, size).unwrap();
        let patches = patchify(&resized, patch, &halves).unwrap();
        let shape: Vec<usize> = serde_json::from_value(case["shape"].clone()).unwrap();
        assert_eq!(
            shape,
            [1, patches.rows * patches.columns, patches.patch_len]
        );
        let first: Vec<f32> = serde_json::from_value(case["first"].clone()).unwrap();
        assert_eq!(patches.values[..first.len()], first);
        let bytes = patches.values.iter().flat_map(|value| value.to_le_bytes());
        assert_eq!(fnv1a(bytes), case["fnv1a"].as_str().unwrap(), "size {size}");

        let windows = pooling_indices(patches.rows, patches.columns, pooling, pooling).unwrap();
        assert_eq!((windows.rows, windows.columns), pair(&case["grid"]));
        let bytes = windows.indices.iter().flat_map(|index| index.to_le_bytes());
        assert_eq!(
            fnv1a(bytes),
            case["pool_fnv1a"].as_str().unwrap(),
            "size {size}"
        );
    }
}

#[test]
fn pooling_windows_are_those_of_the_reference() {
    let golden = golden();
    for case in golden["poolings"].as_array().unwrap() {
        let ((rows, columns), (window_rows, window_columns)) =
            (pair(&case["grid"]), pair(&case["window"]));
        let windows = pooling_indices(rows, columns, window_rows, window_columns).unwrap();
        let indices: Vec<i32> = serde_json::from_value(case["indices"].clone()).unwrap();
        assert_eq!(windows.indices, indices, "{case}");
        assert_eq!((windows.rows, windows.columns), pair(&case["output"]));
        assert_eq!(windows.window, window_rows * window_columns);
        let shifted: Vec<i32> = windows.shifted(100).collect();
        for (shifted, own) in shifted.into_iter().zip(indices) {
            assert_eq!(shifted, if own < 0 { -1 } else { own + 100 });
        }
    }
}

#[test]
fn every_byte_becomes_the_float_of_the_reference() {
    let bytes = std::fs::read(golden_path("normalisation.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let read = |name: &str| -> Vec<f32> {
        let data = tensors.tensor(name).unwrap().data();
        data.chunks_exact(4)
            .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
            .collect()
    };
    for name in ["halves", "imagenet", "clip"] {
        let mean = read(&format!("{name}.mean")).try_into().unwrap();
        let std = read(&format!("{name}.std")).try_into().unwrap();
        let ours = PixelNormalization::new(mean, std).unwrap();
        let processor = read(&format!("{name}.processor"));
        let model = read(&format!("{name}.model"));
        for channel in 0..3 {
            for byte in 0..=255_u8 {
                let at = channel * 256 + usize::from(byte);
                assert_eq!(
                    ours.before_requantization(channel, byte),
                    processor[at],
                    "{name} {at}"
                );
                assert_eq!(ours.apply(channel, byte), model[at], "{name} {at}");
            }
        }
    }
}

#[test]
fn images_that_cannot_be_are_refused_with_their_numbers() {
    let short = RgbImage::new(4, 2, vec![0; 23]).unwrap_err();
    assert_eq!(
        short.to_string(),
        "an RGB image of 4x2 pixels takes 24 bytes (three per pixel), but 23 came"
    );
    assert!(matches!(
        RgbImage::new(0, 5, Vec::new()),
        Err(ImageError::BadSize { .. })
    ));
    assert!(matches!(
        RgbImage::new(usize::MAX, usize::MAX, Vec::new()),
        Err(ImageError::BadSize { .. })
    ));
    let image = noise(30, 28, 1);
    assert!(matches!(
        resize_bilinear_u8(&image, 0, 5),
        Err(ImageError::BadSize { .. })
    ));
    let halves = PixelNormalization::new([0.5; 3], [0.5; 3]).unwrap();
    assert!(matches!(
        patchify(&image, 14, &halves),
        Err(ImageError::NotWholePatches { .. })
    ));
    assert!(matches!(
        patchify(&image, 0, &halves),
        Err(ImageError::NotWholePatches { .. })
    ));
    assert!(pooling_indices(0, 3, 2, 2).is_err());
    assert!(pooling_indices(3, 3, 0, 2).is_err());
    assert!(pooling_indices(usize::MAX, 2, 2, 2).is_err());
    let no_std = PixelNormalization::new([0.5; 3], [0.5, 0.0, 0.5]).unwrap_err();
    assert_eq!(
        no_std.to_string(),
        "image_std of channel 1 is 0; it must be a number above 0"
    );
}
