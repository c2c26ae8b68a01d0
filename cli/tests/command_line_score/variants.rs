//! Prefixes of any kind, videos, descriptions and the baseline.

use super::{checkpoint, frames, json, made, numbers, score, text};
use serde_json::Value;
use std::{fs, path::PathBuf};

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
