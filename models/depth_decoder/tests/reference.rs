//! Depth codes drawn as PyTorch draws them with the same tiny decoders (`tests/goldens/depth_decoder`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::PathBuf;

use depth_decoder::{DepthDecoder, DepthDecoderError};
use layers::Checkpoint;
use safetensors::SafeTensors;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens/depth_decoder")
        .join(name)
}

/// The shape and bytes of one tensor.
fn tensor(file: &[u8], name: &str) -> (Vec<usize>, Vec<u8>) {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    (tensor.shape().to_vec(), tensor.data().to_vec())
}

fn open(name: &str) -> DepthDecoder {
    let file = path(&format!("{name}.decoder.safetensors"));
    DepthDecoder::open(&file, &layers::device::cpu()).unwrap()
}

#[test]
fn pictures_are_pytorchs() {
    for (name, codes, cell) in [("square", 12, 8), ("wide", 5, 32)] {
        let decoder = open(name);
        assert_eq!((decoder.codes(), decoder.cell_pixels()), (codes, cell));
        let golden = std::fs::read(path(&format!("{name}.golden.safetensors"))).unwrap();
        let (grid, bytes) = tensor(&golden, "codes");
        let (ids, _) = bytes.as_chunks::<4>();
        let ids: Vec<u32> = ids.iter().map(|raw| u32::from_le_bytes(*raw)).collect();
        let picture = decoder.decode(&ids, grid[0], grid[1]).unwrap();
        let (shape, bytes) = tensor(&golden, "picture");
        assert_eq!([picture.height, picture.width], shape[..]);
        let (values, _) = bytes.as_chunks::<4>();
        let largest = picture
            .values
            .iter()
            .fold(0.0_f32, |most, x| most.max(x.abs()));
        let error = picture
            .values
            .iter()
            .zip(values)
            .map(|(found, raw)| (found - f32::from_le_bytes(*raw)).abs())
            .fold(0.0, f32::max);
        println!("{name}: relative error {:.1e}", error / largest);
        assert!(error / largest < 1e-5);
        // A value on the edge between two grey levels may fall on either side.
        let (_, grey) = tensor(&golden, "grey");
        let found = picture.gray();
        assert!(found.iter().zip(&grey).all(|(a, b)| a.abs_diff(*b) <= 1));
        assert!(found.contains(&0) && found.contains(&255));
    }
}

#[test]
fn what_cannot_be_drawn_is_refused_with_its_numbers() {
    let decoder = open("square");
    let error = decoder.decode(&[0; 8], 3, 3).unwrap_err();
    assert!(error.to_string().contains("8 codes"), "{error}");
    let error = decoder.decode(&[0, 12, 0, 0], 2, 2).unwrap_err();
    assert!(
        matches!(
            error,
            DepthDecoderError::BadCode {
                cell: 1,
                code: 12,
                codes: 12
            }
        ),
        "{error}"
    );
    assert!(decoder.decode(&[], 0, 0).is_err());
}

#[test]
fn a_file_of_another_layout_is_refused_with_the_tensor() {
    let whole = std::fs::read(path("square.decoder.safetensors")).unwrap();
    let without = |left_out: &str| {
        let tensors = SafeTensors::deserialize(&whole).unwrap();
        let kept: Vec<_> = tensors
            .iter()
            .filter(|(name, _)| *name != left_out)
            .collect();
        let bytes = safetensors::serialize(kept, None).unwrap();
        let files = [("decoder.safetensors".to_owned(), bytes.into())];
        let checkpoint = Checkpoint::from_memory(files).unwrap();
        DepthDecoder::load(&checkpoint, &layers::device::cpu())
            .unwrap_err()
            .to_string()
    };
    for left_out in [
        "_vq_vae._embedding",
        "decoder.0.weight",
        "decoder.2.net.2.weight",
        "decoder.4.bias",
        "decoder.10.weight",
    ] {
        let error = without(left_out);
        assert!(
            error.contains("decoder.") || error.contains("_vq_vae"),
            "{left_out}: {error}"
        );
    }
    let error = DepthDecoder::open(&path("nothing.safetensors"), &layers::device::cpu());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("nothing.safetensors")
    );
}
