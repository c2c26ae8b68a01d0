//! Equality, to the byte and to the bit, with the reference's image processor (`tests/goldens/vision`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{case_frame, fault, fnv1a, frame, golden_path, number, pair};
use safetensors::SafeTensors;
use serde_json::Value;
use vision::{
    ImageError, PixelNormalization, RgbImage, patchify, pooling_indices, resample_bilinear_u8,
    resize_bilinear_u8,
};

fn golden() -> Value {
    common::golden("golden.json")
}

/// Differences of the frames of one kind, resized.
fn faults(
    kind: &str,
    resize: impl Fn(&RgbImage, usize, usize) -> Result<RgbImage, ImageError>,
) -> Vec<String> {
    let golden = golden();
    let cases = golden[kind].as_array().unwrap();
    assert!(cases.len() > 40);
    cases
        .iter()
        .filter_map(|case| {
            let (width, height) = pair(&case["output"]);
            fault(case, &resize(&case_frame(case), width, height).unwrap())
        })
        .collect()
}

#[test]
fn resized_bytes_are_those_of_the_reference() {
    let faults = faults("resizes", resize_bilinear_u8);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn resampled_bytes_are_those_of_pillow() {
    let faults = faults("resamples", resample_bilinear_u8);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(resample_bilinear_u8(&frame("noise", 4, 4, 0), 0, 4).is_err());
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
        let resized = resize_bilinear_u8(&case_frame(case), size, size).unwrap();
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
    let image = frame("noise", 30, 28, 1);
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
