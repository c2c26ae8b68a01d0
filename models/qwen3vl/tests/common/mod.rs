//! Goldens on disk, and the prompt that they were computed for.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::path::PathBuf;

use burn_tensor::{Device, Tensor};
use qwen3vl::layout::{after_block, block_seconds};
use qwen3vl::{
    Block, FrameSize, LoadOptions, ModelFiles, OddFrames, Precision, Qwen3Vl, Segment, TextLayout,
    VisionTokens,
};
use safetensors::{Dtype, SafeTensors};
use vision::RgbImage;

pub const CASES: [&str; 6] = [
    "tied",
    "tied_again",
    "untied_odd",
    "one_kv_head",
    "wide_heads",
    "shrunk",
];

pub const BEFORE: &str =
    "The above video shows a robot manipulation trajectory that completes the following task: ";
pub const AFTER: &str = " Decide whether the above statement is True or not. The answer is:";

/// One case of `tests/goldens/qwen3vl`, as the reference computed it.
pub struct Golden {
    pub case: String,
    bytes: Vec<u8>,
    meta: serde_json::Value,
}

impl Golden {
    pub fn open(case: &str) -> Self {
        let bytes = std::fs::read(folder(case).join("golden.safetensors")).expect("golden");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("header");
        let meta = header.metadata().as_ref().expect("metadata")["case"].clone();
        Self {
            case: case.to_owned(),
            bytes,
            meta: serde_json::from_str(&meta).expect("case"),
        }
    }

    pub fn files(&self) -> ModelFiles {
        ModelFiles::open_dir(&folder(&self.case).join("checkpoint")).expect("folder")
    }

    pub fn load(&self, precision: Precision) -> Qwen3Vl {
        let options = LoadOptions {
            precision,
            ..LoadOptions::default()
        };
        Qwen3Vl::load(&self.files(), &device(), &options).expect("model")
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.bytes).expect("safetensors");
        let tensor = tensors.tensor(name).expect(name);
        assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
        let (chunks, _) = tensor.data().as_chunks::<4>();
        chunks.iter().map(|&raw| f32::from_le_bytes(raw)).collect()
    }

    pub fn ints(&self, name: &str) -> Vec<u32> {
        let tensors = SafeTensors::deserialize(&self.bytes).expect("safetensors");
        let tensor = tensors.tensor(name).expect(name);
        assert_eq!(tensor.dtype(), Dtype::I32, "{name}");
        let (chunks, _) = tensor.data().as_chunks::<4>();
        chunks.iter().map(|&raw| u32::from_le_bytes(raw)).collect()
    }

    pub fn number(&self, key: &str) -> usize {
        usize::try_from(self.meta[key].as_u64().expect(key)).unwrap()
    }

    pub fn text(&self, key: &str) -> &str {
        self.meta[key].as_str().expect(key)
    }

    pub fn rate(&self) -> f64 {
        self.meta["rate"].as_f64().unwrap()
    }

    pub fn numbers(&self) -> Vec<usize> {
        serde_json::from_value(self.meta["numbers"].clone()).unwrap()
    }

    pub fn grid(&self) -> [usize; 3] {
        serde_json::from_value(self.meta["grid"].clone()).unwrap()
    }

    pub fn frames(&self) -> Vec<RgbImage> {
        let (width, height) = (self.number("width"), self.number("height"));
        let seed = self.number("seed") as u64 * 100;
        (0..self.number("frames") as u64)
            .map(|index| frame(width, height, seed + index))
            .collect()
    }

    pub fn blocks(&self, model: &Qwen3Vl) -> Vec<Block> {
        model
            .video()
            .video(&self.frames(), OddFrames::HalfToEven)
            .unwrap()
    }

    pub fn size(&self) -> FrameSize {
        FrameSize {
            width: self.number("width"),
            height: self.number("height"),
        }
    }

    /// The prompt up to the question: ids before each block, and what follows it.
    pub fn script(&self, model: &Qwen3Vl) -> Script {
        let numbers = self.numbers();
        let before = numbers
            .chunks(2)
            .enumerate()
            .map(|(index, pair)| {
                let pair = [pair[0], *pair.last().unwrap()];
                let opening = if index == 0 {
                    TextLayout::Plain.header()
                } else {
                    String::new()
                };
                let seconds = block_seconds(pair, self.rate()).unwrap();
                model.before_block(&opening, seconds).unwrap()
            })
            .collect();
        let question = format!("{BEFORE}{}{AFTER}", self.text("task"));
        Script {
            before,
            after: model.tokenizer().encode(after_block()).unwrap(),
            question: model.tokenizer().encode(&question).unwrap(),
        }
    }
}

pub struct Script {
    pub before: Vec<Vec<u32>>,
    pub after: Vec<u32>,
    pub question: Vec<u32>,
}

impl Script {
    /// Three segments per block.
    pub fn video<'a>(&'a self, tokens: &'a VisionTokens) -> Vec<Segment<'a>> {
        self.before
            .iter()
            .enumerate()
            .flat_map(|(block, before)| {
                [
                    Segment::Text(before),
                    Segment::VisionBlock { tokens, block },
                    Segment::Text(&self.after),
                ]
            })
            .collect()
    }
}

/// The frame of `generate.py`.
pub fn frame(width: usize, height: usize, seed: u64) -> RgbImage {
    let mut bytes = Vec::with_capacity(width * height * 3);
    for y in 0..height as u64 {
        for x in 0..width as u64 {
            for c in 0..3_u64 {
                let at = (y * width as u64 + x) * 3 + c;
                let mut noise = (at * 2_654_435_761 + seed) & 0xFFFF_FFFF;
                noise ^= noise >> 15;
                noise = (noise * 2_246_822_519) & 0xFFFF_FFFF;
                let wave = (x * (c + 2) + y * (3 - c) + seed * 29) % 192;
                bytes.push(u8::try_from(wave + (noise >> 26)).unwrap());
            }
        }
    }
    RgbImage::new(width, height, bytes).unwrap()
}

pub fn device() -> Device {
    layers::device::cpu()
}

pub fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens/qwen3vl")
        .join(case)
}

pub fn values(tensor: &Tensor<2>) -> Vec<f32> {
    let data = tensor.clone().into_data();
    data.as_slice::<f32>().expect("f32").to_vec()
}

pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> String {
    let step = |value: u64, byte: u8| (value ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!(
        "{:016x}",
        bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
    )
}

/// Largest difference, and the largest expected magnitude.
pub fn error(found: &[f32], expected: &[f32]) -> (f64, f64) {
    assert_eq!(found.len(), expected.len(), "lengths differ");
    let gap = found
        .iter()
        .zip(expected)
        .map(|(a, b)| {
            let gap = f64::from((a - b).abs());
            if gap.is_nan() { f64::INFINITY } else { gap }
        })
        .fold(0.0, f64::max);
    let largest = expected
        .iter()
        .fold(0.0_f64, |most, x| most.max(f64::from(x.abs())));
    (gap, largest)
}
