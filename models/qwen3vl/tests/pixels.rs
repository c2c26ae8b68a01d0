//! Frames of real cameras against transformers' processors (`tests/goldens/qwen3vl/pixels.json`): their sizes, and
//! their pixels to the bit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{Golden, frame};
use qwen3vl::{Block, FrameSize, OddFrames, Precision, smart_resize};
use serde::Deserialize;
use vision::RgbImage;

#[derive(Deserialize)]
struct Pixels {
    videos: Vec<Case>,
    stills: Vec<Case>,
    sizes: Vec<Sizes>,
}

#[derive(Deserialize)]
struct Case {
    version: String,
    #[serde(default)]
    frames: u64,
    input: [usize; 2],
    seed: u64,
    grid: [usize; 3],
    pixels: String,
    parts: Vec<u64>,
}

#[derive(Deserialize)]
struct Sizes {
    version: String,
    counts: Vec<usize>,
    sides: Vec<usize>,
    words: String,
    some: Vec<[usize; 2]>,
}

fn golden() -> Pixels {
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens/qwen3vl/pixels.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Counting of an odd number of frames by a version of transformers.
fn odd(version: &str) -> OddFrames {
    if version.starts_with("4.") {
        OddFrames::HalfToEven
    } else {
        OddFrames::Padded
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

/// Differences of the blocks of a case, if any: the parts whose sums of bytes are not the reference's.
fn fault(case: &Case, blocks: &[Block]) -> Option<String> {
    let about = format!("{} {:?}", case.version, case.input);
    let grid = blocks.first().map(|block| block.grid).unwrap();
    let grid = [blocks.len(), grid.rows, grid.columns];
    if grid != case.grid {
        return Some(format!("{about}: a grid of {grid:?} for {:?}", case.grid));
    }
    let values: Vec<f32> = blocks
        .iter()
        .flat_map(|block| block.patches.iter().copied())
        .collect();
    if words(values.iter().map(|value| value.to_bits())) == case.pixels {
        return None;
    }
    let level = |value: &f32| ((f64::from(*value) + 1.0) * 127.5).round() as u64;
    let off: Vec<(usize, i64)> = values
        .chunks(values.len() / case.parts.len())
        .map(|part| part.iter().map(level).sum::<u64>())
        .zip(&case.parts)
        .enumerate()
        .filter(|(_, (found, wanted))| found != *wanted)
        .map(|(index, (found, wanted))| (index, found.cast_signed() - wanted.cast_signed()))
        .collect();
    Some(format!(
        "{about}: the levels of these parts of {} are off by so many: {off:?}",
        case.parts.len()
    ))
}

#[test]
fn frames_of_cameras_become_the_pixels_of_the_reference() {
    let golden = golden();
    let model = Golden::open("tied").load(Precision::F32);
    let mut faults = Vec::new();
    assert!(golden.videos.len() > 10 && golden.stills.len() > 8);
    for case in &golden.videos {
        let [width, height] = case.input;
        let frames: Vec<RgbImage> = (0..case.frames)
            .map(|number| frame(width, height, case.seed + number))
            .collect();
        let blocks = model.video().video(&frames, odd(&case.version)).unwrap();
        faults.extend(fault(case, &blocks));
    }
    for case in &golden.stills {
        let [width, height] = case.input;
        let image = frame(width, height, case.seed);
        let block = model.images().unwrap().image(&image).unwrap();
        faults.extend(fault(case, &[block]));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn frames_of_any_size_get_the_size_that_the_reference_gives_them() {
    let model = Golden::open("tied").load(Precision::F32);
    let budget = model.video().budget();
    for case in golden().sizes {
        let size = |frames: usize, width: usize, height: usize| {
            let own = FrameSize { width, height };
            match smart_resize(frames, own, 32, budget, odd(&case.version)) {
                Ok(found) => [found.height, found.width],
                Err(_) => [0, 0],
            }
        };
        let sides = &case.sides;
        let found: Vec<[usize; 2]> = case
            .counts
            .iter()
            .flat_map(|count| sides.iter().map(move |width| (*count, *width)))
            .flat_map(|(count, width)| sides.iter().map(move |height| size(count, width, *height)))
            .collect();
        let some: Vec<[usize; 2]> = found.iter().step_by(997).copied().collect();
        assert_eq!(some, case.some, "{}", case.version);
        let hash = words(found.iter().flatten().map(|side| *side as u32));
        assert_eq!(hash, case.words, "{}", case.version);
    }
}
