//! Location and contents of the goldens.
#![allow(dead_code, unused_imports, unreachable_pub)]

mod made;

use std::path::PathBuf;
use std::sync::OnceLock;

use openfast::{FastTokenizer, Shape};
use serde::Deserialize;

/// The folder that `generate.py` writes.
pub fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/openfast")
}

pub use made::{made, sweep_chunk};

/// Every tokenizer of the goldens, in the order of `facts.json`.
pub const NAMES: [&str; 12] = [
    "nano",
    "fine",
    "holes",
    "one",
    "four",
    "fraction",
    "twenty_five",
    "hundred",
    "fast_plus",
    "lerobot",
    "lerobot_subfolder",
    "molmoact2",
];

/// A tokenizer of the goldens by name, loaded once.
pub fn named(name: &str) -> &'static FastTokenizer {
    static LOADED: [OnceLock<FastTokenizer>; 12] = [const { OnceLock::new() }; 12];
    let index = NAMES.iter().position(|&known| known == name).unwrap();
    LOADED[index].get_or_init(|| tokenizer(name))
}

/// One of the tokenizers fitted by the reference.
pub fn tokenizer(name: &str) -> FastTokenizer {
    FastTokenizer::from_dir(&goldens().join(name)).unwrap()
}

#[derive(Debug, Deserialize)]
pub struct Cases {
    pub encode: Vec<Case>,
    pub stream: Vec<Case>,
    pub refused_batch: Vec<RefusedBatch>,
    pub sweep: Vec<Sweep>,
}

/// A batch of five 5x3 chunks that the reference refused because of one of them.
#[derive(Debug, Deserialize)]
pub struct RefusedBatch {
    pub index: usize,
    /// Begin of the batch in `values.f32`.
    pub input: usize,
}

/// One thing that the reference did.
#[derive(Debug, Deserialize)]
pub struct Case {
    pub tokenizer: String,
    pub kind: String,
    pub horizon: usize,
    pub dims: usize,
    /// Begin of the input in `values.f32`.
    pub input: Option<usize>,
    #[serde(default)]
    pub ids: Vec<u32>,
    /// The exception, where it raised one.
    pub error: Option<String>,
    /// True if it decoded to its silent zeros.
    #[serde(default)]
    pub fell_back: bool,
    /// Begin of the decoded chunk in `values.f32`.
    pub decoded: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub struct Sweep {
    pub tokenizer: String,
    pub horizon: usize,
    pub dims: usize,
    pub chunks: u64,
}

impl Case {
    pub fn shape(&self) -> Shape {
        Shape {
            horizon: self.horizon,
            dims: self.dims,
        }
    }

    pub fn block<'a>(&self, start: Option<usize>, values: &'a [f32]) -> &'a [f32] {
        let start = start.unwrap();
        &values[start..start + self.horizon * self.dims]
    }

    pub fn name(&self) -> String {
        format!("{} {} {}", self.tokenizer, self.kind, self.shape())
    }
}

pub fn cases() -> (Cases, Vec<f32>) {
    (read("cases.json"), values())
}

/// One of the generator's JSON files.
pub fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let json = std::fs::read(goldens().join(name)).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// All of `values.f32`.
pub fn values() -> Vec<f32> {
    let bytes = std::fs::read(goldens().join("values.f32")).unwrap();
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// The largest difference, relative to the value where that is above 1.
pub fn difference(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().all(|value| value.is_finite()));
    got.iter()
        .zip(want)
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs() / f64::from(b).abs().max(1.0))
        .fold(0.0, f64::max)
}

/// Coefficient `k` of dimension `d` in float64, straight from the definition.
pub fn coefficient(chunk: &[f32], shape: Shape, k: usize, d: usize) -> f64 {
    let weight = if k == 0 { 1.0 } else { 2.0 } / shape.horizon as f64;
    let sum: f64 = (0..shape.horizon)
        .map(|t| {
            let turn = std::f64::consts::PI * ((2 * t + 1) * k) as f64;
            f64::from(chunk[t * shape.dims + d]) * (turn / (2 * shape.horizon) as f64).cos()
        })
        .sum();
    sum * weight.sqrt()
}

/// Error bound of float32 in a scaled coefficient of dimension `d`: eight units in the last
/// place of the sum of magnitudes that it adds up.
pub fn float32_error(chunk: &[f32], shape: Shape, d: usize, scale: f64) -> f64 {
    let magnitude: f64 = (0..shape.horizon)
        .map(|t| f64::from(chunk[t * shape.dims + d]).abs())
        .sum();
    magnitude * (2.0 / shape.horizon as f64).sqrt() * scale * 8.0 * f64::from(f32::EPSILON)
}

/// True if some coefficient of the chunk lies so near a tie that float32 cannot decide it.
pub fn undecidable(chunk: &[f32], shape: Shape, scale: f64) -> bool {
    (0..shape.dims).any(|d| {
        let error = float32_error(chunk, shape, d, scale);
        (0..shape.horizon).any(|k| {
            let scaled = coefficient(chunk, shape, k, d) * scale;
            (scaled - scaled.floor() - 0.5).abs() <= error
        })
    })
}

/// 32-bit FNV-1a of the ids as little-endian `u32`.
pub fn fnv1a(ids: &[u32]) -> u32 {
    ids.iter()
        .flat_map(|id| id.to_le_bytes())
        .fold(0x811C_9DC5, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
}
