//! Reading a model through a [`FileStore`].
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use layers::{Checkpoint, CheckpointError, FileStore, ModelFiles};

#[derive(Debug)]
struct MapStore(BTreeMap<&'static str, Vec<u8>>);

impl FileStore for MapStore {
    fn name(&self) -> String {
        "a map".to_owned()
    }

    fn len(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(self.0.get(name).map(|bytes| bytes.len() as u64))
    }

    fn read_at(&self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let content = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        let from = offset as usize;
        let part = content.get(from..from + bytes.len());
        bytes.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Two tensors in two files, as an index names them.
fn shard(name: &str, value: f32) -> Vec<u8> {
    let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(value.to_le_bytes());
    bytes
}

fn store(files: &[(&'static str, Vec<u8>)]) -> ModelFiles {
    ModelFiles::from_store(Arc::new(MapStore(files.iter().cloned().collect())))
}

#[test]
fn a_store_reads_as_a_folder_does() {
    let index = br#"{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#.to_vec();
    let mut files_of_store = vec![
        ("config.json", b"{}".to_vec()),
        ("model.safetensors.index.json", index),
        ("one.safetensors", shard("a", 1.5)),
        ("two.safetensors", shard("b", -2.0)),
    ];
    let files = store(&files_of_store);
    assert_eq!(&*files.read("config.json").unwrap(), b"{}");
    assert!(files.find("tokenizer.json").unwrap().is_none());
    let checkpoint = Checkpoint::open(&files).unwrap();
    assert_eq!(checkpoint.parameters(), 2);
    files_of_store.pop();
    assert!(matches!(
        Checkpoint::open(&store(&files_of_store)),
        Err(CheckpointError::MissingShards { missing, of: 2, .. }) if missing == ["two.safetensors"]
    ));
    let single = store(&[("model.safetensors", shard("a", 1.0))]);
    assert_eq!(Checkpoint::open(&single).unwrap().parameters(), 1);
    assert!(matches!(
        Checkpoint::open(&store(&[])),
        Err(CheckpointError::NoWeights { .. })
    ));
}
