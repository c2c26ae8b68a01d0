//! Goldens on disk and a table of measured errors.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod batches;
pub mod scene;

use std::path::PathBuf;
use std::sync::OnceLock;

use burn_tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

pub const CASES: [&str; 4] = [
    "one_camera",
    "two_cameras",
    "three_cameras_odd_grid",
    "masked_gripper",
];

/// One case of `tests/goldens/molmoact2`, as the reference computed it.
pub struct Golden {
    pub case: String,
    bytes: Vec<u8>,
    pub device: Device,
}

impl Golden {
    pub fn open(case: &str) -> Self {
        let bytes = std::fs::read(folder(case).join("golden.safetensors")).expect("golden");
        Self {
            case: case.to_owned(),
            bytes,
            device: device(),
        }
    }

    pub fn checkpoint(&self) -> PathBuf {
        folder(&self.case).join("checkpoint")
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors().tensor(name).is_ok()
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("safetensors")
    }

    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.tensors().tensor(name).expect(name).shape().to_vec()
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).expect(name);
        assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
        let (chunks, _) = tensor.data().as_chunks::<4>();
        chunks.iter().map(|&raw| f32::from_le_bytes(raw)).collect()
    }

    pub fn ints(&self, name: &str) -> Vec<i32> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).expect(name);
        match tensor.dtype() {
            Dtype::U8 => tensor.data().iter().map(|&x| i32::from(x)).collect(),
            Dtype::I32 => {
                let (chunks, _) = tensor.data().as_chunks::<4>();
                chunks.iter().map(|&raw| i32::from_le_bytes(raw)).collect()
            }
            other => panic!("{name} is {other:?}"),
        }
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.tensors().tensor(name).expect(name).data().to_vec()
    }

    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape: [usize; D] = self.shape(name).try_into().expect(name);
        Tensor::from_data(TensorData::new(self.floats(name), shape), &self.device)
    }

    /// A value from the header of the case: task, tag, flow steps, prompt.
    pub fn meta(&self, key: &str) -> serde_json::Value {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).expect("header");
        let case = metadata.metadata().as_ref().expect("metadata")["case"].clone();
        let case: serde_json::Value = serde_json::from_str(&case).expect("case");
        case[key].clone()
    }
}

/// The CPU, or the preferred GPU when `POLICY_STUDIO_TEST_DEVICE=gpu`.
fn device() -> Device {
    static GPU: OnceLock<Device> = OnceLock::new();
    if std::env::var("POLICY_STUDIO_TEST_DEVICE").as_deref() != Ok("gpu") {
        return layers::device::cpu();
    }
    GPU.get_or_init(|| {
        let gpu = layers::block_on(layers::device::gpu_async()).expect("a GPU");
        println!("on {} ({})", gpu.name, gpu.interface);
        gpu.device
    })
    .clone()
}

fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens/molmoact2")
        .join(case)
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().as_slice::<f32>().expect("f32").to_vec()
}

/// Measured errors, printed as they come and judged at the end, so that one run shows them all.
pub struct Table {
    case: String,
    failed: Vec<String>,
}

impl Table {
    pub fn new(case: &str) -> Self {
        Self {
            case: case.to_owned(),
            failed: Vec::new(),
        }
    }

    /// Largest difference relative to the largest expected magnitude, held to `limit`.
    pub fn relative(&mut self, stage: &str, found: &[f32], expected: &[f32], limit: f64) {
        let largest = expected
            .iter()
            .fold(0.0_f64, |m, x| m.max(f64::from(x.abs())));
        assert!(largest > 0.0, "{stage}: the golden is all zeros");
        self.judge(stage, "rel", error(found, expected) / largest, limit);
    }

    /// Largest difference, held to `limit`.
    pub fn absolute(&mut self, stage: &str, found: &[f32], expected: &[f32], limit: f64) {
        self.judge(stage, "abs", error(found, expected), limit);
    }

    fn judge(&mut self, stage: &str, kind: &str, error: f64, limit: f64) {
        println!("{:24} {stage:28} {kind} {error:.2e}", self.case);
        // Written so that NaN fails too.
        if error.is_nan() || error > limit {
            self.failed
                .push(format!("{stage}: {kind} {error:.2e} > {limit:.0e}"));
        }
    }

    pub fn finish(self) {
        assert!(self.failed.is_empty(), "{}: {:?}", self.case, self.failed);
    }
}

fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len(), "lengths differ");
    found
        .iter()
        .zip(expected)
        .map(|(a, b)| {
            let error = f64::from((a - b).abs());
            if error.is_nan() { f64::INFINITY } else { error }
        })
        .fold(0.0, f64::max)
}
