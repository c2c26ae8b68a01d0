//! Damaged or unusual checkpoint folders: pointers instead of files, partial downloads, an index of other files, JSON in
//! Python's dialect, and files that expand when loaded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod data_folder;
mod options;
mod unfolding;
mod unneeded;
mod weights;

use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering},
};

const LFS: &str =
    "version https://git-lfs.github.com/spec/v1\noid sha256:abababab\nsize 4932307584\n";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A temporary folder, deleted on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("folders-{}-{number}-{name}", std::process::id()));
        std::fs::remove_dir_all(&path).ok();
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A copy of a nano model: `molmoact2` or `qwen3vl`.
    fn nano(model: &str) -> Self {
        let folder = Self::new(model);
        copy(&root().join("models/nano").join(model), &folder.0);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Replaces `from`, which must occur, with `to` in a text file.
    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = String::from_utf8(self.read(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        self.write(name, text.replacen(from, to, 1));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn studio(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Both streams of a run that must have ended with 1.
fn refused(output: &Output) -> String {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn pictures() -> Folder {
    let folder = Folder::new("pictures");
    for number in 0..6_u8 {
        let image = image::RgbImage::from_fn(96, 96, |x, _| {
            image::Rgb([if x < u32::from(number) * 16 { 230 } else { 30 }, 40, 60])
        });
        image
            .save(folder.path(&format!("{number:02}.png")))
            .unwrap();
    }
    folder
}

/// Scores a few images with the scorer in `folder`.
fn score(folder: &Path, frames: &Folder) -> Output {
    studio(&[
        "score",
        "--json",
        "--fps",
        "10",
        "--instruction",
        "open the drawer",
        "--scorer",
        folder.to_str().unwrap(),
        "--frames",
        frames.0.to_str().unwrap(),
    ])
}

fn act(policy: &Path, frames: &Folder, more: &[&str]) -> Output {
    let image = frames.path("00.png");
    let image = image.to_str().unwrap();
    let mut arguments = vec![
        "act",
        "--device",
        "cpu",
        "--json",
        "--task",
        "push the red cube",
    ];
    arguments.extend([
        "--state",
        "0 -40 60 50 0 30",
        "--image",
        image,
        "--image",
        image,
    ]);
    arguments.extend(["--policy", policy.to_str().unwrap()]);
    arguments.extend(more);
    studio(&arguments)
}

#[test]
fn a_pointer_of_git_lfs_is_reported_by_every_reader_of_a_checkpoint() {
    let frames = pictures();
    let check = |output: &str, name: &str| {
        let file = name.rsplit('/').next().unwrap();
        assert!(output.contains(file), "{name}: {output}");
        assert!(
            output.contains("Git LFS") && output.contains("git lfs pull"),
            "{name}: {output}"
        );
    };
    for name in [
        "config.json",
        "tokenizer.json",
        "video_preprocessor_config.json",
        "model.safetensors",
    ] {
        let folder = Folder::nano("qwen3vl");
        folder.write(name, LFS);
        check(&refused(&score(&folder.0, &frames)), name);
    }
    // Beside one whole file an index is not needed.
    let folder = Folder::nano("qwen3vl");
    folder.write("model.safetensors.index.json", LFS);
    let output = score(&folder.0, &frames);
    assert!(output.status.success());
    check(
        &String::from_utf8_lossy(&output.stderr),
        "model.safetensors.index.json",
    );
    for name in [
        "config.json",
        "tokenizer.json",
        "norm_stats.json",
        "processor_config.json",
        "tokenizer_config.json",
        "model.safetensors",
        "openfast/tokenizer.json",
        "openfast/processor_config.json",
    ] {
        let folder = Folder::nano("molmoact2");
        folder.write(name, LFS);
        check(
            &refused(&studio(&["inspect", folder.0.to_str().unwrap()])),
            name,
        );
        check(&refused(&act(&folder.0, &frames, &[])), name);
    }
    let folder = Folder::nano("molmoact2");
    let fast = folder.path("openfast");
    for name in ["tokenizer.json", "processor_config.json"] {
        let whole = std::fs::read(fast.join(name)).unwrap();
        std::fs::write(fast.join(name), LFS).unwrap();
        check(
            &refused(&studio(&[
                "fast",
                "inspect",
                "--tokenizer",
                fast.to_str().unwrap(),
            ])),
            name,
        );
        std::fs::write(fast.join(name), whole).unwrap();
    }
    let pointer = folder.path("pointer.npy");
    folder.write("pointer.npy", LFS);
    let pointer = pointer.to_str().unwrap();
    let out = folder.path("out.json");
    let output = refused(&studio(&[
        "fast",
        "encode",
        "--tokenizer",
        fast.to_str().unwrap(),
        "--actions",
        pointer,
        "--out",
        out.to_str().unwrap(),
    ]));
    check(&output, "pointer.npy");
    for option in ["--noise", "--image", "--calibration"] {
        check(
            &refused(&act(&folder.0, &frames, &[option, pointer])),
            "pointer.npy",
        );
    }
}

#[test]
fn other_replacements_of_a_file_are_reported_with_the_cause() {
    let frames = pictures();
    for (name, bytes, reason) in [
        (
            "config.json",
            b"<!DOCTYPE html><html>Sign in</html>".to_vec(),
            "web page",
        ),
        ("tokenizer.json", Vec::new(), "0 bytes"),
        ("tokenizer.json", b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), "gzip"),
        (
            "model.safetensors",
            b"PK\x03\x04rest of an archive".to_vec(),
            "zip",
        ),
        ("model.safetensors", vec![0; 4096], "zeros"),
        ("model.safetensors", Vec::new(), "0 bytes"),
        (
            "model.safetensors",
            b"Entry not found".to_vec(),
            "web server",
        ),
        (
            "model.safetensors",
            b"/annex/objects/SHA256E-s9--ab\n".to_vec(),
            "git annex get",
        ),
    ] {
        let folder = Folder::nano("qwen3vl");
        folder.write(name, bytes);
        let output = refused(&score(&folder.0, &frames));
        assert!(
            output.contains(name) && output.contains(reason),
            "{reason}: {output}"
        );
    }
    let folder = Folder::nano("qwen3vl");
    std::fs::remove_file(folder.path("model.safetensors")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../../blobs/abab", folder.path("model.safetensors")).unwrap();
        let output = refused(&score(&folder.0, &frames));
        assert!(
            output.contains("blobs/abab") && output.contains("not there"),
            "{output}"
        );
    }
}

#[test]
fn numbers_that_are_not_finite_affect_only_their_users() {
    let frames = pictures();
    let twin = json(&act(&root().join("models/nano/molmoact2"), &frames, &[]));
    let folder = Folder::nano("molmoact2");
    folder.replace(
        "config.json",
        "{",
        "{\"initializer_range\": NaN, \"transformers_version\": null,",
    );
    folder.replace("tokenizer_config.json", "512", "Infinity");
    folder.replace(
        "generation_config.json",
        "{",
        "{\"temperature\": -Infinity,",
    );
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend(folder.read("processor_config.json"));
    folder.write("processor_config.json", marked);
    let mut stats: Value = serde_json::from_slice(&folder.read("norm_stats.json")).unwrap();
    let action = &mut stats["metadata_by_tag"]["policy_studio_sim"]["action_stats"];
    action["q10"][0] = "MARK".into();
    action["std"][1] = Value::Null;
    let text = stats.to_string().replace("\"MARK\"", "NaN");
    // The same key twice: the last one counts.
    folder.write(
        "norm_stats.json",
        text.replacen('{', "{\"norm_mode\": \"min_max\",", 1),
    );
    let found = json(&act(&folder.0, &frames, &[]));
    assert_eq!(found["actions"], twin["actions"]);

    stats["metadata_by_tag"]["policy_studio_sim"]["action_stats"]["q99"][2] = "MARK".into();
    folder.write(
        "norm_stats.json",
        stats.to_string().replace("\"MARK\"", "NaN"),
    );
    let output = refused(&act(&folder.0, &frames, &[]));
    for reason in ["norm_stats.json", "action_stats.q99", "NaN", "dimension 2"] {
        assert!(output.contains(reason), "{reason}: {output}");
    }
    // The statistics of another robot are complete.
    let whole: Value = serde_json::from_slice(
        &std::fs::read(root().join("models/nano/molmoact2/norm_stats.json")).unwrap(),
    )
    .unwrap();
    stats["metadata_by_tag"]["other"] = whole["metadata_by_tag"]["policy_studio_sim"].clone();
    folder.write(
        "norm_stats.json",
        stats.to_string().replace("\"MARK\"", "NaN"),
    );
    let found = json(&act(&folder.0, &frames, &["--tag", "other"]));
    assert_eq!(found["actions"], twin["actions"]);
    let output = refused(&act(&folder.0, &frames, &["--tag", "policy_studio_sim"]));
    assert!(output.contains("NaN") && output.contains("q99"), "{output}");

    let folder = Folder::nano("qwen3vl");
    folder.replace(
        "config.json",
        "\"rms_norm_eps\": 1e-06",
        "\"rms_norm_eps\": NaN",
    );
    let output = refused(&score(&folder.0, &frames));
    assert!(
        output.contains("NaN") && output.contains("rms_norm_eps"),
        "{output}"
    );
}
