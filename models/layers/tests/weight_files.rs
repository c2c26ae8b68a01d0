//! Which files of a folder are its weights, and files that cannot be looked at.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::borrow::Cow;

use common::{Folder, f32s, file, sharded};
use layers::{Checkpoint, CheckpointError};
use safetensors::Dtype;

/// As in the reference, one whole file counts more than an index.
#[test]
fn a_whole_file_is_read_whatever_the_index_beside_it_is() {
    let folder = Folder::new("beside");
    let index = "model.safetensors.index.json";
    let whole = file(&[("a", Dtype::F32, &[2], f32s(&[5.0, 6.0]))]);
    folder.write("model.safetensors", &whole);
    let alone = folder.open().unwrap();
    assert_eq!((alone.note(), alone.is_indexed()), (None, false));
    for (broken, words) in [
        (&b""[..], "0 bytes"),
        (b"{\"weight_map\": {\"a\"", "never finished"),
        (
            b"version https://git-lfs.github.com/spec/v1\nsize 9\n",
            "Git LFS",
        ),
        (b"{\"weight_map\": {}}", "lists no tensors"),
        (b"{\"weight_map\": {\"a\": \"../a\"}}", "plain file name"),
        (
            b"{\"weight_map\": {\"b\": \"gone.safetensors\"}}",
            "not there",
        ),
        (b"[1e999]", "invalid"),
    ] {
        folder.write(index, broken);
        let checkpoint = folder.open().unwrap();
        assert_eq!(
            checkpoint.read_f32("a", &[2]).unwrap(),
            [5.0, 6.0],
            "{words}"
        );
        let note = checkpoint.note().unwrap();
        assert!(
            note.contains(index) && note.contains(words) && note.contains("model.safetensors"),
            "{words}: {note}"
        );
        let in_memory = Checkpoint::from_memory([
            ("model.safetensors".to_owned(), Cow::Owned(whole.clone())),
            (index.to_owned(), Cow::Borrowed(broken)),
        ]);
        // What lists another file is a contradiction among files that somebody chose.
        if words != "not there" {
            assert_eq!(in_memory.unwrap().names().collect::<Vec<_>>(), ["a"]);
        }
    }
    // The index of this very file has nothing to add.
    folder.write(index, br#"{"weight_map": {"a": "model.safetensors"}}"#);
    assert_eq!(folder.open().unwrap().note(), None);
    // Shards that are all there, beside the whole file ...
    sharded(&folder);
    let checkpoint = folder.open().unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a"]);
    assert_eq!(checkpoint.read_f32("a", &[2]).unwrap(), [5.0, 6.0]);
    assert!(checkpoint.note().unwrap().contains("other files"));
    // ... and beside one that was never finished.
    folder.write("model.safetensors", &whole[..whole.len() - 3]);
    let checkpoint = folder.open().unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"]);
    assert!(checkpoint.is_indexed() && checkpoint.note().unwrap().contains("interrupted"));
    // Neither is whole: the file is named.
    folder.write(index, b"{");
    let error = folder.open().unwrap_err().to_string();
    assert!(
        error.contains("model.safetensors") && error.contains("interrupted"),
        "{error}"
    );
}

/// A user who may read everything is denied nothing, so another fault of looking a file up stands for it.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_looked_at_is_not_called_missing() {
    let folder = Folder::new("denied");
    let around = |name: &str| {
        let link = folder.0.join(name);
        std::fs::remove_file(&link).ok();
        std::os::unix::fs::symlink(&link, &link).unwrap();
    };
    around("model.safetensors");
    let error = folder.open().unwrap_err();
    assert!(matches!(error, CheckpointError::Read(_)), "{error}");
    assert!(error.to_string().contains("model.safetensors"), "{error}");
    around("config.json");
    let files = layers::ModelFiles::open_dir(&folder.0).unwrap();
    let error = files.find("config.json").unwrap_err().to_string();
    assert!(
        error.contains("cannot read") && error.contains("config.json"),
        "{error}"
    );
    assert!(files.find("tokenizer.json").unwrap().is_none());
    let error = layers::ModelFiles::open_dir(&folder.0.join("config.json")).unwrap_err();
    assert!(matches!(error, layers::FileError::Read(_)), "{error}");
    let error = layers::ModelFiles::open_dir(&folder.0.join("none")).unwrap_err();
    assert!(
        matches!(error, layers::FileError::Missing { .. }),
        "{error}"
    );
}
