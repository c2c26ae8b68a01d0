//! The goldens' frames, and what they keep of resized ones (`tests/goldens/vision/frames.py`).
#![allow(dead_code, unreachable_pub, reason = "not every test uses all of it")]

use std::path::PathBuf;

use serde_json::Value;
use vision::RgbImage;

pub fn golden_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens/vision")
        .join(name)
}

pub fn golden(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden_path(name)).unwrap()).unwrap()
}

pub fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

pub fn pair(value: &Value) -> (usize, usize) {
    (number(&value[0]), number(&value[1]))
}

/// The frame of this name, size and seed.
pub fn frame(kind: &str, width: usize, height: usize, seed: u64) -> RgbImage {
    let bytes = 0..(width * height * 3) as u64;
    let wide = width as u64;
    let bytes = match kind {
        "noise" => bytes
            .map(|at| {
                let mut value = (at * 2_654_435_761 + seed) & 0xFFFF_FFFF;
                value ^= value >> 15;
                value = (value * 2_246_822_519) & 0xFFFF_FFFF;
                (value >> 24) as u8
            })
            .collect(),
        "edges" => bytes
            .map(|at| ((at / 3 / 3 + seed) % 2 * 255) as u8)
            .collect(),
        "slopes" => bytes
            .map(|at| {
                let (x, y, channel) = (at / 3 % wide, at / 3 / wide, at % 3);
                ((3 * x + 5 * y + 85 * channel + 31 * seed) / 4 % 256) as u8
            })
            .collect(),
        other => panic!("{other}"),
    };
    RgbImage::new(width, height, bytes).unwrap()
}

/// The frame that a case begins with.
pub fn case_frame(case: &Value) -> RgbImage {
    let (width, height) = pair(&case["input"]);
    let kind = case["frame"].as_str().unwrap_or("noise");
    frame(kind, width, height, case["seed"].as_u64().unwrap())
}

pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> String {
    let step = |value: u64, byte: u8| (value ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step);
    format!("{hash:016x}")
}

/// Differences of a resized frame, if any: the rows whose sums are not the reference's, and how many bytes
/// must differ for that at least.
pub fn fault(case: &Value, resized: &RgbImage) -> Option<String> {
    let (width, height) = pair(&case["output"]);
    let about = format!("{} {} to {}", case["frame"], case["input"], case["output"]);
    if (resized.width(), resized.height()) != (width, height) {
        return Some(format!("{about}: the result is {resized:?}"));
    }
    if fnv1a(resized.data().iter().copied()) == case["fnv1a"].as_str().unwrap() {
        return None;
    }
    let sums = case["rows"].as_str().unwrap().as_bytes();
    let (mut rows, mut levels) = (Vec::new(), 0);
    for (row, (line, sum)) in resized
        .data()
        .chunks_exact(width * 3)
        .zip(sums.chunks_exact(4))
        .enumerate()
    {
        let wanted = u16::from_str_radix(str::from_utf8(sum).unwrap(), 16).unwrap();
        let found = line
            .iter()
            .fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        let off = found.wrapping_sub(wanted).cast_signed();
        if off != 0 {
            rows.push(row);
            levels += i64::from(off).abs();
        }
    }
    let first: Vec<u8> = serde_json::from_value(case["first"].clone()).unwrap();
    let start = &resized.data()[..first.len()];
    let start = if start == first {
        String::new()
    } else {
        format!("; it begins {start:?} for {first:?}")
    };
    Some(format!(
        "{about}: at least {levels} levels of {} bytes differ, in rows {rows:?}{start}",
        resized.data().len()
    ))
}
