//! The chunks that are measured.

use std::path::{Path, PathBuf};

use openfast::{FastTokenizer, Shape};

/// The shapes of an arm of six joints, an arm with a gripper, two arms, and the widest tensor.
pub(crate) const SHAPES: [Shape; 5] = [
    Shape {
        horizon: 16,
        dims: 6,
    },
    Shape {
        horizon: 30,
        dims: 7,
    },
    Shape {
        horizon: 30,
        dims: 14,
    },
    Shape {
        horizon: 50,
        dims: 14,
    },
    Shape {
        horizon: 50,
        dims: 32,
    },
];

/// 2048 ids, fitted by the reference at scale 10; zero is a character of two bytes.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/openfast/fast_plus")
}

pub(crate) fn tokenizer() -> FastTokenizer {
    FastTokenizer::from_dir(&folder()).unwrap()
}

/// Chunks of one shape, and their encodings.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) shape: Shape,
    /// `[chunks, horizon, dims]`
    pub(crate) values: Vec<f32>,
    pub(crate) streams: Vec<Vec<u32>>,
}

impl Sample {
    /// Chunks that the vocabulary can express: the reference prints a stack trace for others, which
    /// would be measured too.
    pub(crate) fn new(tokenizer: &FastTokenizer, shape: Shape, chunks: usize) -> Self {
        let mut random = Random(1);
        let mut sample = Self {
            shape,
            values: Vec::new(),
            streams: Vec::new(),
        };
        while sample.streams.len() < chunks {
            let chunk = movement(&mut random, shape);
            let encoded = tokenizer.encode(&chunk, shape).unwrap();
            if encoded.lost.is_empty() {
                sample.values.extend(chunk);
                sample.streams.push(encoded.ids);
            }
        }
        sample
    }

    pub(crate) fn first(&self, chunks: usize) -> &[f32] {
        &self.values[..chunks * self.shape.values().unwrap()]
    }

    pub(crate) fn tokens(&self) -> f64 {
        let tokens: usize = self.streams.iter().map(Vec::len).sum();
        tokens as f64 / self.streams.len() as f64
    }
}

/// Every joint moves from one place to another, smoothly and with a tremor; one in eight rests.
fn movement(random: &mut Random, shape: Shape) -> Vec<f32> {
    let Shape { horizon, dims } = shape;
    let mut chunk = vec![0.0; horizon * dims];
    for dim in 0..dims {
        let from = random.between(-0.9, 0.9);
        let to = random.between(-0.9, 0.9);
        let rests = random.between(0.0, 8.0) < 1.0;
        let mut tremor = 0.0;
        for step in 0..horizon {
            let time = step as f64 / horizon as f64;
            let way = time * time * time * (10.0 - 15.0 * time + 6.0 * time * time);
            tremor = 0.8 * tremor + random.between(-0.03, 0.03);
            let value = if rests {
                from
            } else {
                from + (to - from) * way + tremor
            };
            chunk[step * dims + dim] = value.clamp(-1.0, 1.0) as f32;
        }
    }
    chunk
}

/// splitmix64: the same chunks on every machine.
struct Random(u64);

impl Random {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        low + (high - low) * ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
