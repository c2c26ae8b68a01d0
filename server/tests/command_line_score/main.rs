//! `score` as people and scripts call it, with the tiny checkpoints of `tests/goldens/qwen3vl`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod data_set;
mod made;

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

#[test]
fn prefixes_of_clips_of_any_length() {
    let folder = frames("prefixes");
    let ask = |count: usize, prefixes: &str| {
        let some = made::Folder::new(&format!("prefixes-{count}-{}", prefixes.len()));
        for index in 0..count {
            let name = format!("{index:03}.png");
            fs::copy(folder.join(&name), some.file(&name)).unwrap();
        }
        let arguments = [
            "--frames",
            some.str(),
            "--fps",
            "10",
            "--pre-resize",
            "64",
            "--prefixes",
            prefixes,
            "--json",
        ];
        let output = score(&checkpoint(), &arguments);
        let found = json(&output);
        // One object and nothing else, with everything a script needs.
        assert_eq!(text(&output.stdout).matches("\n}\n").count(), 1);
        for key in [
            "profile",
            "prefix_lengths",
            "log_probs",
            "false_log_probs",
            "progress",
            "voc",
            "success_score",
            "static_voc",
        ] {
            assert!(found.get(key).is_some(), "{key}");
        }
        let lengths: Vec<u64> = found["prefix_lengths"]
            .as_array()
            .unwrap()
            .iter()
            .map(|length| length.as_u64().unwrap())
            .collect();
        for key in [
            "log_probs",
            "false_log_probs",
            "progress",
            "static_log_probs",
            "shown_frames",
        ] {
            assert_eq!(found[key].as_array().unwrap().len(), lengths.len(), "{key}");
        }
        (lengths, found)
    };
    let (lengths, one) = ask(1, "15");
    assert_eq!(lengths, [1]);
    assert_eq!(
        (numbers(&one["progress"]), &one["voc"]),
        (vec![1.0], &Value::Null)
    );
    // A film of one frame is frozen as it is.
    assert!((numbers(&one["log_probs"])[0] - numbers(&one["static_log_probs"])[0]).abs() < 1e-5);
    assert_eq!(ask(2, "15").0, [2]);
    assert_eq!(ask(2, "all").0, [1, 2]);
    assert_eq!(ask(3, "0").0, [1, 2, 3]);
    assert_eq!(ask(7, "1").0, [1]);
    assert_eq!(ask(7, "7,3,3,5,7").0, [3, 5, 7]);
    assert_eq!(ask(7, "4,").0, [4]);
    assert_eq!(ask(7, "99").0, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ask(23, "15").0.len(), 15);
    // At 10 per second a frame is shown every five: an odd prefix shows an odd number of frames.
    let (lengths, blocks) = ask(23, "blocks");
    assert_eq!(lengths, [6, 16, 23]);
    assert_eq!(blocks["shown_frames"], serde_json::json!([2, 4, 5]));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_video_file_is_scored_at_its_own_rate() {
    let folder = made::Folder::new("video");
    let path = folder.file("episode.mp4");
    made::video(&path, &[0, 1]);
    let ask = |arguments: &[&str]| {
        let common = [
            "--video",
            path.to_str().unwrap(),
            "--pre-resize",
            "64",
            "--prefixes",
            "4",
            "--json",
        ];
        json(&score(&checkpoint(), &[&common[..], arguments].concat()))
    };
    let own = ask(&[]);
    assert_eq!(
        (&own["fps"], &own["frames"]),
        (&serde_json::json!(5.0), &serde_json::json!(15))
    );
    assert_eq!(ask(&["--fps", "5"])["log_probs"], own["log_probs"]);
    // Frames 0, 2, 5, 8, 10, 12: a rate of five and half to even.
    assert_eq!(own["shown_frames"], serde_json::json!([1, 2, 4, 6]));
    assert_eq!(own["prefix_lengths"], serde_json::json!([1, 5, 10, 15]));
}

#[test]
fn each_prefix_is_described_before_it_is_judged() {
    let folder = frames("described");
    let scorer = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/goldens/qwen3vl/untied_odd/checkpoint");
    let ask = |arguments: &[&str]| {
        let common = [
            "--frames",
            folder.to_str().unwrap(),
            "--fps",
            "10",
            "--pre-resize",
            "64",
            "--prefixes",
            "6,16",
            "--json",
        ];
        json(&score(&scorer, &[&common[..], arguments].concat()))
    };
    let described = ask(&["--describe"]);
    let said = described["descriptions"].as_array().unwrap();
    assert_eq!(said.len(), 2);
    assert_eq!(described["description"], said[1]);
    let last = |value: &Value, key: &str| *numbers(&value[key]).last().unwrap();
    let plain = ask(&[]);
    assert!((last(&described, "log_probs") - last(&plain, "log_probs")).abs() > 1e-4);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_baseline_asks_about_shuffled_frames() {
    let folder = frames("baseline");
    let output = score(
        &checkpoint(),
        &[
            "--frames",
            folder.to_str().unwrap(),
            "--fps",
            "10",
            "--method",
            "gvl",
            "--gvl-frames",
            "5",
            "--gvl-tokens",
            "6",
            "--json",
        ],
    );
    // A random model's answer cannot be used, and that is said.
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        answer["error"],
        "the answer holds 0 percentages for 5 frames"
    );
    let mut shuffled = answer["shuffled"].as_array().unwrap().clone();
    assert_ne!(shuffled, *answer["frames"].as_array().unwrap());
    shuffled.sort_by_key(Value::as_u64);
    assert_eq!(shuffled, *answer["frames"].as_array().unwrap());
    assert_eq!(answer["answer_tokens"], 6);
    let both = score(
        &checkpoint(),
        &[
            "--frames",
            folder.to_str().unwrap(),
            "--fps",
            "10",
            "--method",
            "gvl",
            "--describe",
        ],
    );
    assert_eq!(both.status.code(), Some(1));
    assert!(
        text(&both.stderr).contains("--method gvl"),
        "{}",
        text(&both.stderr)
    );
    fs::remove_dir_all(folder).unwrap();
}
