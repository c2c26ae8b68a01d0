//! The readers of a golden checkpoint's small files, without the network.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::path::PathBuf;

use molmoact2::config::Config;
use molmoact2::images::ImagePreprocessor;
use molmoact2::norm_stats::NormStats;
use molmoact2::processor_config::ProcessorConfig;
use molmoact2::prompt::PromptWriter;
use safetensors::SafeTensors;
use serde_json::Value;
use vision::RgbImage;

pub const CASES: [&str; 4] = [
    "one_camera",
    "two_cameras",
    "three_cameras_odd_grid",
    "masked_gripper",
];

/// `tests/goldens/molmoact2/{name}`.
pub fn golden_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens/molmoact2")
        .join(name)
}

pub fn read(name: &str) -> Vec<u8> {
    let path = golden_path(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn rows(name: &str) -> Vec<Value> {
    serde_json::from_slice(&read(name)).unwrap()
}

pub fn from_json<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// The small files of a case.
pub struct Inputs {
    pub case: &'static str,
    pub config: Config,
    pub images: ImagePreprocessor,
    pub prompts: PromptWriter,
    pub stats: NormStats,
    golden: Vec<u8>,
}

impl Inputs {
    pub fn open(case: &'static str) -> Self {
        let file = |name: &str| read(&format!("{case}/checkpoint/{name}"));
        let config = Config::parse(&file("config.json")).unwrap();
        let processor = ProcessorConfig::parse(&file("processor_config.json"), &config).unwrap();
        let images = ImagePreprocessor::new(&processor, &config).unwrap();
        let prompts = PromptWriter::new(
            &file("tokenizer.json"),
            Some(&file("tokenizer_config.json")),
            &config,
            &images,
        )
        .unwrap();
        Self {
            case,
            prompts,
            images,
            stats: NormStats::parse(&file("norm_stats.json")).unwrap(),
            golden: read(&format!("{case}/golden.safetensors")),
            config,
        }
    }

    fn with<T>(&self, name: &str, read: impl Fn(&[u8], &[usize]) -> T) -> T {
        let tensors = SafeTensors::deserialize(&self.golden).unwrap();
        let tensor = tensors
            .tensor(name)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        read(tensor.data(), tensor.shape())
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.with(name, |data, _| {
            let (values, rest) = data.as_chunks::<4>();
            assert!(rest.is_empty());
            values.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
        })
    }

    pub fn ints(&self, name: &str) -> Vec<i32> {
        self.with(name, |data, _| {
            let (values, rest) = data.as_chunks::<4>();
            assert!(rest.is_empty());
            values.iter().map(|raw| i32::from_le_bytes(*raw)).collect()
        })
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.with(name, |data, _| data.to_vec())
    }

    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.with(name, |_, shape| shape.to_vec())
    }

    pub fn about(&self, key: &str) -> String {
        let (_, metadata) = SafeTensors::read_metadata(&self.golden).unwrap();
        let case = metadata.metadata().clone().unwrap()["case"].clone();
        let case: Value = serde_json::from_str(&case).unwrap();
        case[key].as_str().unwrap().to_owned()
    }

    pub fn frames(&self) -> Vec<RgbImage> {
        let count = self.shape("image_grids")[0];
        let frame = |index: usize| {
            let name = format!("image.{index}");
            let shape = self.shape(&name);
            RgbImage::new(shape[1], shape[0], self.bytes(&name)).unwrap()
        };
        (0..count).map(frame).collect()
    }
}
