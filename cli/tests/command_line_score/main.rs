//! `score` as people and scripts call it, with the tiny checkpoints of `tests/goldens/qwen3vl`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod clocks;
mod data_set;
#[cfg(unix)]
mod decoder;
#[cfg(unix)]
mod doctor;
mod filmed;
mod made;
mod stills;
mod variants;
mod video_files;
mod videos;

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn checkpoint() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/qwen3vl/tied/checkpoint")
}

/// A folder of 23 images, named so that their order is that of their names.
fn frames(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("score-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for index in 0..23_u32 {
        let image = image::RgbImage::from_fn(80, 60, |x, y| {
            image::Rgb([
                (x * 3 + 9 * index) as u8,
                (y * 4) as u8,
                (x * y + index) as u8,
            ])
        });
        image.save(folder.join(format!("{index:03}.png"))).unwrap();
    }
    fs::write(folder.join("notes.txt"), "not an image").unwrap();
    folder
}

fn score(scorer: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .args([
            "score",
            "--device",
            "cpu",
            "--instruction",
            "open the drawer",
        ])
        .arg("--scorer")
        .arg(scorer)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect()
}

#[test]
fn one_reading_gives_what_reading_every_prefix_gives() {
    let folder = frames("forms");
    let folder_name = folder.to_str().unwrap();
    let ask = |form: &str| {
        let common = [
            "--frames",
            folder_name,
            "--fps",
            "10",
            "--prefixes",
            "1,7,12,23",
            "--json",
        ];
        json(&score(
            &checkpoint(),
            &[&common[..], &["--pre-resize", "64", "--form", form]].concat(),
        ))
    };
    let naive = ask("naive");
    assert_eq!(naive["profile"], "aligned");
    assert_eq!(naive["prefix_lengths"], serde_json::json!([1, 7, 12, 23]));
    assert_eq!(naive["shown_frames"], serde_json::json!([1, 2, 3, 5]));
    assert_eq!(naive["text_layout"], "transformers-4.57");
    assert_eq!(naive["pre_resize"], 64);
    for key in [
        "progress",
        "false_log_probs",
        "log_probs",
        "static_log_probs",
    ] {
        assert_eq!(numbers(&naive[key]).len(), 4, "{key}");
    }
    assert!(naive.get("voc").is_some() && naive.get("static_voc").is_some());
    let last = &numbers(&naive["log_probs"])[1..];
    let mean = last.iter().sum::<f64>() / 3.0;
    assert!((naive["success_score"].as_f64().unwrap() - mean).abs() < 1e-9);
    assert_eq!(
        naive["controls"][0]["instruction"],
        "Do not open the drawer"
    );
    for form in ["streaming", "packed"] {
        let shared = ask(form);
        for key in ["log_probs", "false_log_probs", "static_log_probs"] {
            for (left, right) in numbers(&naive[key]).iter().zip(numbers(&shared[key])) {
                assert!(
                    (left - right).abs() <= 1e-5,
                    "{form} {key}: {left} and {right}"
                );
            }
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_cannot_be_scored_is_refused_with_its_reason() {
    let folder = frames("refused");
    let folder_name = folder.to_str().unwrap();
    let empty = std::env::temp_dir().join(format!("score-{}-empty", std::process::id()));
    fs::create_dir_all(&empty).unwrap();
    for (arguments, status, reason) in [
        (
            vec!["--frames", folder_name, "--fps", "10", "--prefixes", "24"],
            0,
            "",
        ),
        (
            vec!["--frames", folder_name, "--fps", "10", "--prefixes", "1,24"],
            1,
            "the clip has 23",
        ),
        (
            vec!["--frames", folder_name, "--fps", "10", "--prefixes", "0,5"],
            1,
            "from 1 to 23",
        ),
        (
            vec!["--frames", folder_name, "--fps", "10", "--prefixes", ","],
            2,
            "list of prefix lengths is empty",
        ),
        (
            vec!["--frames", folder_name, "--fps", "10", "--prefixes", "3,x"],
            2,
            "not a choice of prefixes",
        ),
        (
            vec!["--frames", folder_name, "--video", "a.mp4", "--fps", "10"],
            2,
            "cannot be used with",
        ),
        (
            vec!["--frames", folder_name, "--fps", "0"],
            1,
            "not a frame rate",
        ),
        (vec!["--frames", folder_name], 2, "--fps"),
        (vec!["--fps", "10"], 2, "--video"),
        (
            vec![
                "--frames",
                folder_name,
                "--fps",
                "10",
                "--profile",
                "newest",
            ],
            2,
            "aligned, legacy, lerobot",
        ),
        (
            vec!["--frames", empty.to_str().unwrap(), "--fps", "10"],
            1,
            "no PNG or JPEG images",
        ),
        (
            vec!["--video", "nowhere.mp4", "--fps", "10"],
            1,
            "nowhere.mp4",
        ),
    ] {
        let output = score(
            &checkpoint(),
            &[&["--pre-resize", "64"], &arguments[..]].concat(),
        );
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stderr).contains(reason),
            "{}",
            text(&output.stderr)
        );
    }
    let missing = score(&empty, &["--frames", folder_name, "--fps", "10"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        text(&missing.stderr).contains("config.json"),
        "{}",
        text(&missing.stderr)
    );
    fs::remove_dir_all(folder).unwrap();
    fs::remove_dir_all(empty).unwrap();
}

#[test]
fn a_missing_decoder_is_named_with_the_way_to_install_it() {
    let file = std::env::temp_dir().join(format!("score-{}.mp4", std::process::id()));
    fs::write(&file, "a video").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .args([
            "score",
            "--device",
            "cpu",
            "--instruction",
            "open",
            "--fps",
            "10",
            "--scorer",
        ])
        .arg(checkpoint())
        .arg("--video")
        .arg(&file)
        .env("PATH", "")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("ffmpeg is not installed"),
        "{}",
        text(&output.stderr)
    );
    fs::remove_file(file).unwrap();
}
