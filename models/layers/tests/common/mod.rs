//! Folders of small safetensors files.
#![allow(
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "shared by tests"
)]

use std::path::PathBuf;

use layers::{Checkpoint, CheckpointError};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A folder of its own per test, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("layers-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).unwrap();
    }

    pub fn open(&self) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open_dir(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A safetensors file of the given tensors: name, type, shape, bytes.
pub fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (
            *name,
            TensorView::new(*dtype, shape.to_vec(), bytes).unwrap(),
        )
    });
    safetensors::serialize(views, None).unwrap()
}

pub fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Two shards and their index.
pub fn sharded(folder: &Folder) {
    let index = r#"{"metadata":{}, "weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#;
    folder.write("model.safetensors.index.json", index.as_bytes());
    folder.write(
        "one.safetensors",
        &file(&[("a", Dtype::F32, &[2], f32s(&[1.0, 2.0]))]),
    );
    folder.write(
        "two.safetensors",
        &file(&[("b", Dtype::F32, &[1, 2], f32s(&[3.0, 4.0]))]),
    );
}
