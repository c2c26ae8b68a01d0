//! Reading checkpoints: what is read, and what each kind of damage is called.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::borrow::Cow;
use std::path::Path;

use common::{Folder, f32s, file, sharded};
use layers::{Checkpoint, CheckpointError, Weights};
use safetensors::Dtype;

#[test]
fn the_three_float_types_are_read_as_f32() {
    let half: Vec<u8> = [1.5_f32, -2.0]
        .iter()
        .flat_map(|&x| half::f16::from_f32(x).to_le_bytes())
        .collect();
    let brain: Vec<u8> = [0.15625_f32, 3.0e18]
        .iter()
        .flat_map(|&x| half::bf16::from_f32(x).to_le_bytes())
        .collect();
    let bytes = file(&[
        ("full", Dtype::F32, &[2], f32s(&[0.1, -7.0])),
        ("half", Dtype::F16, &[2], half),
        ("brain", Dtype::BF16, &[2], brain),
        ("count", Dtype::I64, &[1], vec![0; 8]),
    ]);
    let name = "model.safetensors".to_owned();
    let checkpoint = Checkpoint::from_memory([(name, Cow::Owned(bytes))]).unwrap();
    assert_eq!(checkpoint.read_f32("full", &[2]).unwrap(), [0.1, -7.0]);
    assert_eq!(checkpoint.read_f32("half", &[2]).unwrap(), [1.5, -2.0]);
    assert_eq!(
        checkpoint.read_f32("brain", &[2]).unwrap(),
        [0.15625, half::bf16::from_f32(3.0e18).to_f32()]
    );
    assert_eq!(checkpoint.parameters(), 7);
    assert_eq!(checkpoint.dtype(), "BF16+F16+F32+I64");
    let error = checkpoint.read_f32("count", &[1]).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::Type { name, found, .. } if name == "count" && found == "I64")
    );
}

#[test]
fn shards_are_one_table_and_a_missing_shard_is_named() {
    let folder = Folder::new("shards");
    sharded(&folder);
    let checkpoint = folder.open().unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(checkpoint.read_f32("b", &[1, 2]).unwrap(), [3.0, 4.0]);
    std::fs::remove_file(folder.0.join("two.safetensors")).unwrap();
    let error = folder.open().unwrap_err();
    assert!(
        matches!(&error, CheckpointError::MissingShards { missing, of: 2, .. } if missing == &["two.safetensors"]),
        "{error}"
    );
}

#[test]
fn a_wrong_shape_a_missing_and_a_left_over_tensor_are_named() {
    let folder = Folder::new("shapes");
    sharded(&folder);
    let checkpoint = folder.open().unwrap();
    let error = checkpoint.read_f32("b", &[2, 1]).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "tensor b in {} has shape [1, 2] where the configuration asks for [2, 1]",
            folder.0.join("two.safetensors").display()
        )
    );
    let error = checkpoint.read_f32("c", &[5]).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::Missing { name, expected, .. } if name == "c" && expected == &[5])
    );

    let device = layers::device::cpu();
    let weights = Weights::new(&checkpoint, "", &device);
    weights.values("a", &[2]).unwrap();
    let error = weights.finish(|_| false).unwrap_err();
    assert!(matches!(&error, CheckpointError::LeftOver { names, .. } if names == &["b"]));
    let weights = Weights::new(&checkpoint, "", &device);
    weights.values("a", &[2]).unwrap();
    weights.finish(|name| name == "b").unwrap();
}

#[test]
fn a_prefix_is_put_before_every_name_and_joined_layers_stand_side_by_side() {
    let bytes = file(&[
        (
            "policy.q.weight",
            Dtype::F32,
            &[2, 3],
            f32s(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        ),
        ("policy.q.bias", Dtype::F32, &[2], f32s(&[10.0, 20.0])),
        (
            "policy.k.weight",
            Dtype::F32,
            &[1, 3],
            f32s(&[7.0, 8.0, 9.0]),
        ),
        ("policy.k.bias", Dtype::F32, &[1], f32s(&[30.0])),
    ]);
    let checkpoint =
        Checkpoint::from_memory([("model.safetensors".to_owned(), Cow::Owned(bytes))]).unwrap();
    let device = layers::device::cpu();
    let weights = Weights::new(&checkpoint, "policy.", &device);
    let joined = weights
        .fused_linear(&[("q", 2, 0.5), ("k", 1, 1.0)], 3, true)
        .unwrap();
    weights.finish(|_| false).unwrap();
    let x = burn_tensor::Tensor::<2>::from_floats([[1.0, 10.0, 100.0]], &device);
    let y = joined.forward(x).into_data();
    // 0.5 (321 + 10), 0.5 (654 + 20), 987 + 30
    assert_eq!(y.as_slice::<f32>().unwrap(), [165.5, 337.0, 1017.0]);
}

#[test]
fn damage_is_an_error_that_names_the_file() {
    let whole = file(&[("a", Dtype::F32, &[4], f32s(&[1.0; 4]))]);
    let mut huge = whole.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut garbled = whole.clone();
    garbled[8] = b'x';
    // A header whose tensor is larger than its bytes.
    let lying = String::from_utf8_lossy(&whole).contains("[4]");
    assert!(lying);
    let text = whole.iter().map(|&byte| byte as char).collect::<String>();
    let at = text.find("[4]").unwrap();
    let mut large = whole.clone();
    large[at + 1] = b'9';
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("cut in the length", whole[..5].to_vec()),
        ("cut in the header", whole[..20].to_vec()),
        ("cut in the data", whole[..whole.len() - 3].to_vec()),
        ("endless header", huge),
        ("not json", garbled),
        ("shape against bytes", large),
    ] {
        let folder = Folder::new("damage");
        folder.write("model.safetensors", &bytes);
        let error = folder.open().unwrap_err();
        assert!(
            matches!(&error, CheckpointError::BadFile { file, .. } if file.ends_with("model.safetensors")),
            "{what}: {error}"
        );
        let memory = Checkpoint::from_memory([("model.safetensors".to_owned(), Cow::Owned(bytes))]);
        assert!(
            matches!(memory, Err(CheckpointError::BadFile { .. })),
            "{what}"
        );
    }
}

#[test]
fn an_index_cannot_point_out_of_its_folder() {
    let folder = Folder::new("outside");
    for shard in ["../model.safetensors", "/etc/passwd", "a\\\\b"] {
        let index = format!(r#"{{"weight_map":{{"a":"{shard}"}}}}"#);
        folder.write("model.safetensors.index.json", index.as_bytes());
        assert!(
            matches!(folder.open(), Err(CheckpointError::BadFile { .. })),
            "{shard}"
        );
    }
}

#[test]
fn a_folder_without_weights_and_a_name_in_two_shards_are_refused() {
    assert!(matches!(
        Checkpoint::open_dir(Path::new("/nonexistent")),
        Err(CheckpointError::NoWeights { .. })
    ));
    let shard = || Cow::Owned(file(&[("a", Dtype::F32, &[1], f32s(&[0.0]))]));
    let shards = ["one.safetensors", "two.safetensors"].map(|name| (name.to_owned(), shard()));
    let error = Checkpoint::from_memory(shards).unwrap_err();
    assert!(matches!(&error, CheckpointError::Duplicate { name, .. } if name == "a"));
}

#[test]
fn an_index_and_its_shards_must_agree_both_ways() {
    let folder = Folder::new("index");
    sharded(&folder);
    for (map, named) in [
        (
            r#"{"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"}"#,
            "tensor c is listed",
        ),
        (
            r#"{"a":"one.safetensors","z":"two.safetensors"}"#,
            "tensor b lies in",
        ),
        (
            r#"{"a":"two.safetensors","b":"two.safetensors","c":"one.safetensors"}"#,
            "tensor a is listed",
        ),
    ] {
        let index = format!(r#"{{"weight_map":{map}}}"#);
        folder.write("model.safetensors.index.json", index.as_bytes());
        let error = folder.open().unwrap_err();
        assert!(matches!(error, CheckpointError::Index { .. }), "{error}");
        let error = error.to_string();
        assert!(
            error.contains(named) && error.contains("index.json"),
            "{error}"
        );
    }
}

/// A file with this header and so many bytes behind it.
fn with_header(header: &str, bytes: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(vec![0; bytes]);
    file
}

#[test]
fn a_header_that_does_not_account_for_every_byte_once_is_refused() {
    let one = r#""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    for (header, bytes, named) in [
        (format!("{{{one},{one}}}"), 8, "begin after byte 8"),
        (
            format!(r#"{{{one},"a":{{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}}}"#),
            12,
            "lists tensor a twice",
        ),
        (format!("{{{one}}}"), 9, "its tensors end at byte"),
        (format!("{{{one}}}"), 7, "its tensors end at byte"),
        (
            format!(r#"{{{one},"b":{{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}}}"#),
            8,
            "tensor b",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#
                .to_owned(),
            8,
            "tensor a",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#.to_owned(),
            8,
            "tensor a",
        ),
        (
            r#"{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#.to_owned(),
            8,
            "F31",
        ),
        ("[]".to_owned(), 0, "header cannot be read"),
    ] {
        let file = with_header(&header, bytes);
        let error = Checkpoint::from_memory([("model.safetensors".to_owned(), Cow::Owned(file))])
            .unwrap_err();
        assert!(matches!(&error, CheckpointError::BadFile { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn infinity_is_damage_and_a_large_weight_too_much_for_f16() {
    let bytes = file(&[
        ("big.weight", Dtype::F32, &[1, 2], f32s(&[1.0, 7e4])),
        (
            "bad.weight",
            Dtype::F32,
            &[1, 2],
            f32s(&[1.0, f32::INFINITY]),
        ),
        // The highest bit of the exponent of 0.01, turned over.
        (
            "flipped.weight",
            Dtype::F32,
            &[1, 2],
            f32s(&[1.0, f32::from_bits(0.01_f32.to_bits() ^ 1 << 30)]),
        ),
    ]);
    let checkpoint =
        Checkpoint::from_memory([("model.safetensors".to_owned(), Cow::Owned(bytes))]).unwrap();
    let device = layers::device::cpu();
    let weights = Weights::new(&checkpoint, "", &device);
    let error = weights.linear("bad", 2, 1, false).unwrap_err();
    assert!(matches!(&error, CheckpointError::NotFinite { name, .. } if name == "bad.weight"));
    let error = weights.linear("flipped", 2, 1, false).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::Implausible { name, value, .. }
            if name == "flipped.weight" && *value > 1e36),
        "{error}"
    );
    weights.linear("big", 2, 1, false).unwrap();
    let half = weights.in_precision(layers::Precision::F16).unwrap();
    let error = half.linear("big", 2, 1, false).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::OutOfRange { name, .. } if name == "big.weight"),
        "{error}"
    );
    weights
        .in_precision(layers::Precision::Bf16)
        .unwrap()
        .linear("big", 2, 1, false)
        .unwrap();
}

/// Tensors taken by one reader count as taken for its copies in other precisions, and the bytes kept add up.
#[test]
fn precisions_share_one_list_of_what_was_taken() {
    let bytes = file(&[
        ("a.weight", Dtype::F32, &[2, 3], f32s(&[1.0; 6])),
        ("table", Dtype::BF16, &[4, 3], vec![0; 24]),
    ]);
    let checkpoint =
        Checkpoint::from_memory([("model.safetensors".to_owned(), Cow::Owned(bytes))]).unwrap();
    let device = layers::device::cpu();
    let exact = Weights::new(&checkpoint, "", &device);
    let small = exact.in_precision(layers::Precision::Int8).unwrap();
    exact.linear("a", 3, 2, false).unwrap();
    let table = small.embedding(&[("table", 4)], 3).unwrap();
    assert_eq!(table.len(), 4);
    assert_eq!(exact.kept(), 24 + 4 * (3 + 4));
    small.finish(|_| false).unwrap();
}
