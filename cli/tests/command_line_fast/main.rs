//! `policy-studio fast` on the command line, compared with goldens of the reference implementation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod decode;
mod encode;
mod train;

use datasets::npy;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn goldens(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens");
    folder.join(name).to_str().unwrap().to_owned()
}

fn nano() -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/nano/molmoact2");
    folder.to_str().unwrap().to_owned()
}

/// A temporary folder, removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fast-{}-{name}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: &[u8]) -> String {
        fs::write(self.0.join(name), content).unwrap();
        self.file(name)
    }

    fn chunks(&self, name: &str, shape: [usize; 3], values: &[f32]) -> String {
        npy::write(&self.0.join(name), &shape, values).unwrap();
        self.file(name)
    }

    fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn fast(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .arg("fast")
        .args(arguments)
        .output()
        .unwrap()
}

/// Arguments of `fast encode`.
fn encode<'a>(tokenizer: &'a str, actions: &'a str, out: &'a str) -> [&'a str; 7] {
    [
        "encode",
        "--tokenizer",
        tokenizer,
        "--actions",
        actions,
        "--out",
        out,
    ]
}

/// Arguments of `fast decode`.
fn decode<'a>(tokenizer: &'a str, tokens: &'a str, out: &'a str) -> [&'a str; 7] {
    [
        "decode",
        "--tokenizer",
        tokenizer,
        "--tokens",
        tokens,
        "--out",
        out,
    ]
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(arguments: &[&str]) -> Value {
    let output = fast(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Asserts that a command fails with `status` and a message that contains `reason`, without output.
fn refused(arguments: &[&str], status: i32, reason: &str) {
    let output = fast(arguments);
    let stderr = stderr(&output);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{arguments:?}: {stderr}"
    );
    assert!(stderr.contains(reason), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty());
}

fn ids(path: &str) -> Vec<Vec<u32>> {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn block(values: &[u8], start: &Value, count: usize) -> Vec<f32> {
    let start = usize::try_from(start.as_u64().unwrap()).unwrap() * 4;
    let (numbers, _) = values[start..start + count * 4].as_chunks();
    numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

/// Smooth chunks within -1..=1.
fn waves(batch: usize, horizon: usize, dims: usize) -> Vec<f32> {
    let mut values = Vec::new();
    for chunk in 0..batch {
        for step in 0..horizon {
            for dim in 0..dims {
                let phase = (chunk * 7 + dim * 3) as f32;
                let amplitude = 0.2 + 0.1 * (chunk % 8) as f32;
                values.push(amplitude * (phase + step as f32 * 0.3).sin());
            }
        }
    }
    values
}

#[test]
fn every_help_text_has_examples() {
    for command in ["encode", "decode", "train", "inspect"] {
        let output = fast(&[command, "--help"]);
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success());
        assert!(
            help.contains(&format!("policy-studio fast {command}")),
            "{help}"
        );
        assert!(help.contains("Examples:"), "{help}");
    }
    for command in ["encode", "decode"] {
        let output = fast(&[command, "--help"]);
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(help.contains("after a failure there is none"), "{help}");
    }
}
