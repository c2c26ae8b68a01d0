//! Results of an earlier run, and success labels of episodes.

use crate::{
    json,
    scoring::{curves, score},
    set::{DATA, POINTER, Set, rows, with},
    stderr,
    table::Column,
};
use serde_json::json;
use std::fs;

#[test]
fn unreadable_labels_are_ignored() {
    let (set, out) = (Set::v3(), Set::empty());
    set.info(
        "v3.0",
        &[("next.success", json!({"dtype": "bool", "shape": [1]}))],
    );
    // One file has labels with one missing; the other has no such column.
    set.rows(DATA, &rows(&[2]));
    let success = (0..26).map(|row| (row != 3).then_some(i64::from(row == 11)));
    let first = with(
        rows(&[0, 1]),
        "next.success",
        Column::I64(success.collect()),
    );
    set.rows("data/chunk-000/file-001.parquet", &first);
    let output = score(&set, &out.0, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let metrics = &json(&output)["metrics"];
    assert_eq!(
        (&metrics["successes"], &metrics["failures"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn a_damaged_result_is_scored_again_and_a_damaged_setting_is_an_error() {
    let (set, out) = (Set::v3(), Set::empty());
    let first = score(&set, &out.0, &[]);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let expected = curves(&out.0);
    for (name, content) in [
        ("episodes/episode_000001.json", Some("")),
        (
            "episodes/episode_000001.json",
            Some("{\"episode_index\": 1,"),
        ),
        ("episodes/episode_000001.json", None),
    ] {
        match content {
            Some(content) => out.write(name, content),
            None => fs::remove_file(out.at(name)).unwrap(),
        }
        let again = score(&set, &out.0, &[]);
        assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
        let message = "episode 1 counts as not scored";
        assert!(
            stderr(&again).contains(message) && stderr(&again).contains("episode_000001.json"),
            "{}",
            stderr(&again)
        );
        let summary = json(&again);
        assert_eq!(
            (&summary["scored"], &summary["skipped"]),
            (&json!(1), &json!(2))
        );
        let mut found = curves(&out.0);
        found.sort_by_key(|(episode, ..)| episode.as_u64());
        assert_eq!(found, expected, "{content:?}");
    }
    out.write("setting.json", "{\"dataset\": ");
    let refused = score(&set, &out.0, &[]);
    assert_eq!(refused.status.code(), Some(1));
    for message in ["setting.json", "never finished", "--out"] {
        assert!(stderr(&refused).contains(message), "{}", stderr(&refused));
    }
}

#[test]
fn bad_label_files_are_refused_with_the_cause() {
    let (set, out) = (Set::v3(), Set::empty());
    let labels = out.at("labels.csv");
    for (content, message) in [
        (POINTER.as_bytes().to_vec(), "Git LFS"),
        (b"\xff\xfe0\0,\x001\0".to_vec(), "not UTF-8"),
        (vec![b'\n'; 17 << 20], "at most 16777216"),
        (b"0,maybe".to_vec(), "line 1"),
    ] {
        fs::write(&labels, content).unwrap();
        let output = score(
            &set,
            &out.at("out"),
            &["--labels", labels.to_str().unwrap()],
        );
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        for message in [message, "labels.csv"] {
            assert!(
                stderr(&output).contains(message),
                "{message}: {}",
                stderr(&output)
            );
        }
    }
}
