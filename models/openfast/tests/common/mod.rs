//! Where the goldens are and what is in them.
#![allow(dead_code, unreachable_pub)]

use std::path::PathBuf;

use openfast::{FastTokenizer, Shape};
use serde::Deserialize;

/// The folder that `generate.py` writes.
pub fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/openfast")
}

/// One of the tokenizers fitted by the reference.
pub fn tokenizer(name: &str) -> FastTokenizer {
    FastTokenizer::from_dir(&goldens().join(name)).unwrap()
}

#[derive(Debug, Deserialize)]
pub struct Cases {
    pub encode: Vec<Case>,
    pub stream: Vec<Case>,
    pub sweep: Vec<Sweep>,
}

/// One thing that the reference did.
#[derive(Debug, Deserialize)]
pub struct Case {
    pub tokenizer: String,
    pub kind: String,
    pub horizon: usize,
    pub dims: usize,
    /// Where the input starts in `values.f32`.
    pub input: Option<usize>,
    #[serde(default)]
    pub ids: Vec<u32>,
    /// The exception, where it raised one.
    pub error: Option<String>,
    /// Whether it decoded to its silent zeros.
    #[serde(default)]
    pub fell_back: bool,
    /// Where the decoded chunk starts in `values.f32`.
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
    let json = std::fs::read(goldens().join("cases.json")).unwrap();
    let bytes = std::fs::read(goldens().join("values.f32")).unwrap();
    let values = bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    (serde_json::from_slice(&json).unwrap(), values)
}

/// `mix` of `generate.py`.
fn mix(index: u64) -> u64 {
    let z = index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `sweep_chunk` of `generate.py`: a clamped walk in steps of 2^-20, the same bits on both sides.
pub fn sweep_chunk(chunk: u64, shape: Shape) -> Vec<f32> {
    const ONE: i64 = 1 << 20;
    let Shape { horizon, dims } = shape;
    let mut out = vec![0.0; horizon * dims];
    for dim in 0..dims {
        let first = (chunk * dims as u64 + dim as u64) * horizon as u64;
        let mut at = 0;
        for time in 0..horizon {
            let bits = mix(first + time as u64);
            at = match time {
                0 => (bits % (2 * ONE as u64)) as i64 - ONE,
                _ => (at + (bits % (1 << 18)) as i64 - (1 << 17)).clamp(-ONE, ONE),
            };
            out[time * dims + dim] = at as f32 / ONE as f32;
        }
    }
    out
}

/// 32-bit FNV-1a of the ids as little-endian `u32`.
pub fn fnv1a(ids: &[u32]) -> u32 {
    ids.iter()
        .flat_map(|id| id.to_le_bytes())
        .fold(0x811C_9DC5, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
}
