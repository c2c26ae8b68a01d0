//! Equality, to the byte, with Pillow and torchvision for resizing with a cubic filter (`tests/goldens/vision/bicubic.json`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{case_frame, fault, frame, golden, pair};
use vision::{resample_bicubic_u8, resize_bicubic_u8};

#[test]
fn resized_bytes_are_those_of_pillow_and_of_torchvision() {
    let golden = golden("bicubic.json");
    let cases = golden.as_array().unwrap();
    assert!(cases.len() > 110);
    let faults: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let (width, height) = pair(&case["output"]);
            let how = case["how"].as_str().unwrap();
            let resized = match how {
                "pillow" => resample_bicubic_u8(&case_frame(case), width, height),
                "torchvision" => resize_bicubic_u8(&case_frame(case), width, height),
                other => panic!("{other}"),
            };
            Some(format!("{how}: {}", fault(case, &resized.unwrap())?))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_side_of_zero_is_refused() {
    let frame = frame("noise", 4, 4, 0);
    assert!(resize_bicubic_u8(&frame, 0, 4).is_err());
    assert!(resample_bicubic_u8(&frame, 4, 0).is_err());
}
