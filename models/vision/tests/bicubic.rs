//! Equality, to the byte, with Pillow and torchvision for resizing with a cubic filter (`tests/goldens/vision/bicubic.json`).
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;

use serde_json::Value;
use vision::{RgbImage, resample_bicubic_u8, resize_bicubic_u8};

/// The frames that `generate_bicubic.py` defines by the same formulas.
fn frame(kind: &str, width: usize, height: usize, seed: u64) -> RgbImage {
    let noise = |at: u64| {
        let mut value = (at * 2_654_435_761 + seed) & 0xFFFF_FFFF;
        value ^= value >> 15;
        value = (value * 2_246_822_519) & 0xFFFF_FFFF;
        u8::try_from(value >> 24).unwrap()
    };
    let bars = |at: u64| u8::try_from((at / 3 / 3 + seed) % 2 * 255).unwrap();
    let bytes = 0..(width * height * 3) as u64;
    let bytes = match kind {
        "noise" => bytes.map(noise).collect(),
        "edges" => bytes.map(bars).collect(),
        other => panic!("{other}"),
    };
    RgbImage::new(width, height, bytes).unwrap()
}

fn fnv1a(bytes: &[u8]) -> String {
    let step = |value: u64, byte: &u8| (value ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

fn pair(value: &Value) -> (usize, usize) {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn resized_bytes_are_those_of_pillow_and_of_torchvision() {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/vision/bicubic.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(cases.len() > 70);
    let mut different = Vec::new();
    for case in cases {
        let (width, height) = pair(&case["input"]);
        let kind = case["frame"].as_str().unwrap();
        let frame = frame(kind, width, height, case["seed"].as_u64().unwrap());
        let (width, height) = pair(&case["output"]);
        let how = case["how"].as_str().unwrap();
        let resized = match how {
            "pillow" => resample_bicubic_u8(&frame, width, height),
            "torchvision" => resize_bicubic_u8(&frame, width, height),
            other => panic!("{other}"),
        };
        let resized = resized.unwrap();
        let first: Vec<u8> = serde_json::from_value(case["first"].clone()).unwrap();
        if fnv1a(resized.data()) != case["fnv1a"].as_str().unwrap() {
            let found = resized.data().get(..first.len()).unwrap();
            different.push(format!(
                "{how} {kind} {} to {}: {found:?} for {first:?}",
                case["input"], case["output"]
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_side_of_zero_is_refused() {
    let frame = frame("noise", 4, 4, 0);
    assert!(resize_bicubic_u8(&frame, 0, 4).is_err());
    assert!(resample_bicubic_u8(&frame, 4, 0).is_err());
}
