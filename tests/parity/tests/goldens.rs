//! Every golden case on the CPU; and that a wrong number is noticed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use layers::Device;
use parity::{CASES, Findings, GoldenFiles, Measure, compare};

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../goldens")
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

fn print(case: &str, findings: &Findings) {
    for finding in &findings.all {
        let measure = format!("{:?}", finding.measure).to_lowercase();
        let error = finding.error.unwrap_or(f64::NAN);
        println!("{case:32} {:36} {measure:9} {error:.1e}", finding.stage);
    }
}

#[test]
fn every_case_equals_the_reference() {
    let mut failed = Vec::new();
    for case in CASES {
        let files = GoldenFiles::read(&goldens(), case).unwrap();
        let findings = layers::block_on(compare(case, &files, &device())).unwrap();
        print(case, &findings);
        failed.extend(
            findings
                .failed()
                .into_iter()
                .map(|f| format!("{case}: {f:?}")),
        );
        // A case that compares next to nothing would pass as easily. The smallest scorer has two layers of each kind.
        let least = if case.starts_with("qwen3vl/") { 13 } else { 15 };
        assert!(
            findings.all.len() >= least,
            "{case}: {}",
            findings.all.len()
        );
        for measure in [Measure::Relative, Measure::Exact] {
            assert!(findings.all.iter().any(|f| f.measure == measure), "{case}");
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_folder_of_goldens_is_a_case() {
    let mut found = Vec::new();
    for family in ["molmoact2", "molmo2", "qwen3vl"] {
        for entry in std::fs::read_dir(goldens().join(family)).unwrap() {
            let path = entry.unwrap().path();
            // LeRobot's folders have the layout as their subject and hold a `policy`; a checkpoint that was built by hand
            // to say one thing has no numbers to compare.
            if path.join("checkpoint").is_dir() && path.join("golden.safetensors").is_file() {
                found.push(format!(
                    "{family}/{}",
                    path.file_name().unwrap().to_str().unwrap()
                ));
            }
        }
    }
    found.sort();
    let mut cases = CASES.map(str::to_owned).to_vec();
    cases.sort();
    assert_eq!(found, cases);
}

/// Damages one value of one golden at a time, by more than its tolerance.
#[test]
fn a_wrong_number_is_a_finding() {
    for (case, names) in [
        (
            "molmoact2/one_camera",
            &[
                "input_ids",
                "patches_requantised",
                "vit_features",
                "keys.1",
                "logits",
                "velocity",
                "chunk_normalised",
                "actions",
            ][..],
        ),
        (
            "molmoact2/think_shared",
            &["full.cell_logits", "moved.depth_codes", "full.gates"],
        ),
        ("molmo2/uneven", &["1.projected", "0.logits"]),
        (
            "qwen3vl/tied_again",
            &[
                "ids",
                "vision_block.1",
                "deepstack.0",
                "layer.2",
                "log_probs",
            ],
        ),
    ] {
        let golden = format!("{case}/golden.safetensors");
        for name in names {
            let mut files = GoldenFiles::read(&goldens(), case).unwrap();
            let at = place(files.get(&golden).unwrap(), name);
            // The largest value stays so, and one float changes by a tenth of it.
            let bytes = files.get_mut(&golden).unwrap();
            damage(&mut bytes[at.0..at.1], at.2);
            let findings = layers::block_on(compare(case, &files, &device()));
            let noticed = match &findings {
                Ok(findings) => !findings.failed().is_empty(),
                Err(_) => true,
            };
            assert!(noticed, "{case}: {name} was changed and nobody noticed");
        }
    }
}

/// Bytes of an array within a safetensors file, and whether it holds floats.
fn place(file: &[u8], name: &str) -> (usize, usize, bool) {
    let (length, header) = file.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
    let header: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&header[..length]).unwrap();
    let about = &header[name];
    let offset =
        |index: usize| 8 + length + about["data_offsets"][index].as_u64().unwrap() as usize;
    (offset(0), offset(1), about["dtype"] == "F32")
}

fn damage(bytes: &mut [u8], floats: bool) {
    let (values, _) = bytes.as_chunks_mut::<4>();
    if !floats {
        values[0][0] ^= 1;
        return;
    }
    let largest = values
        .iter()
        .map(|raw| f32::from_le_bytes(*raw).abs())
        .fold(0.0, f32::max);
    let middle = values.len() / 2;
    let value = f32::from_le_bytes(values[middle]);
    values[middle] = (value + largest * 1e-3).to_le_bytes();
}
