//! Robot units to action tokens in the reference's order: normalize with q01, q99 and mask, clip,
//! encode (`tests/goldens/openfast/vlm.py`, made by LeRobot's own processor steps).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::PathBuf;

use molmoact2::norm_stats::{FeatureStats, NormMode, Normalizer};
use openfast::{FastTokenizer, Shape};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Goldens {
    embodiments: Vec<Embodiment>,
}

#[derive(Debug, Deserialize)]
struct Embodiment {
    tag: String,
    tokenizer: String,
    horizon: usize,
    dims: usize,
    stats: FeatureStats,
    /// Offsets in `values.f32` of the actions in robot units and of the normalized ones.
    raw: usize,
    normalised: usize,
    ids: Vec<u32>,
}

#[test]
fn normalized_then_encoded_gives_the_tokens_of_the_reference() {
    let goldens = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/openfast");
    let values: Vec<f32> = std::fs::read(goldens.join("values.f32"))
        .unwrap()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let json = std::fs::read(goldens.join("vlm.json")).unwrap();
    let Goldens { embodiments } = serde_json::from_slice(&json).unwrap();
    assert_eq!(embodiments.len(), 12);
    let mut clipped = 0;
    for case in embodiments {
        let name = format!("{} {}", case.tag, case.tokenizer);
        let shape = Shape {
            horizon: case.horizon,
            dims: case.dims,
        };
        let count = case.horizon * case.dims;
        let normalizer = Normalizer::new(case.stats, NormMode::Q01Q99, &case.tag).unwrap();
        let chunk = normalizer.normalize(&values[case.raw..case.raw + count]);
        let want = &values[case.normalised..case.normalised + count];
        for (index, (got, want)) in chunk.iter().zip(want).enumerate() {
            assert_eq!(got.to_bits(), want.to_bits(), "{name}: value {index}");
        }
        clipped += chunk.iter().filter(|value| value.abs() == 1.0).count();
        let tokenizer = FastTokenizer::from_dir(&goldens.join(&case.tokenizer)).unwrap();
        assert_eq!(
            tokenizer.encode(&chunk, shape).unwrap().ids,
            case.ids,
            "{name}"
        );
    }
    assert!(
        clipped > 50,
        "the quantiles leave values outside, {clipped} here"
    );
}
