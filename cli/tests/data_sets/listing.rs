//! Lists of episodes as various tools write them.

use crate::{
    json,
    scoring::{curves, expected, score},
    set::{EPISODES, Set, episodes, task, with, without},
    stderr,
    table::Column,
};
use serde_json::{Value, json};
use std::fs;

#[test]
fn lists_of_episodes_from_other_tools_are_read() {
    let expected_curves = expected(&[]);
    let out = Set::empty();
    let lengths = [json!(12.0), json!("14"), json!(" 16.0 ")];
    let line = |episode: usize, length: &Value| json!({"episode_index": episode, "tasks": [task(episode)], "length": length});
    let loose = Set::v21();
    let lines: Vec<Value> = (0..3)
        .map(|episode| line(episode, &lengths[episode]))
        .collect();
    loose.lines("meta/episodes.jsonl", &lines);
    let output = score(&loose, &out.at("loose"), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(curves(&out.at("loose")), expected_curves);
    // Unused keys may have any depth and any value.
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let text: Vec<String> = lines
        .iter()
        .map(|line| {
            format!(
                "{{\"odd\": {deep}, \"far\": 1e999, {}\n",
                &line.to_string()[1..]
            )
        })
        .collect();
    loose.write("meta/episodes.jsonl", text.concat());
    let output = score(&loose, &out.at("odd"), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(curves(&out.at("odd")), expected_curves);
    // A line with an invalid length is skipped alone.
    let half = Set::v21();
    half.lines(
        "meta/episodes.jsonl",
        &[
            line(0, &lengths[0]),
            line(1, &json!(14.5)),
            line(2, &lengths[2]),
        ],
    );
    let output = score(&half, &out.at("half"), &[]);
    assert!(
        stderr(&output)
            .contains("episodes.jsonl, line 2: length: invalid value: floating point `14.5`"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        curves(&out.at("half")),
        [expected_curves[0].clone(), expected_curves[2].clone()]
    );
    // UTF-16 is reported once, and the episodes are read from the rows.
    let utf16 = Set::v21();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let units = [0xfeff].into_iter().chain(text.encode_utf16());
    let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
    utf16.write("meta/episodes.jsonl", bytes);
    let output = score(
        &utf16,
        &out.at("utf16"),
        &["--instruction", "open the drawer"],
    );
    assert_eq!(
        stderr(&output).matches("episodes.jsonl").count(),
        1,
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("it is UTF-16 text; JSON is UTF-8"),
        "{}",
        stderr(&output)
    );
    assert_eq!(curves(&out.at("utf16")).len(), 3);
}

#[test]
fn a_row_without_a_length_is_skipped_alone() {
    let set = Set::v3();
    let lengths = Column::I64(vec![Some(12), None, Some(16)]);
    set.rows(EPISODES, &with(episodes(), "length", lengths));
    let out = Set::empty();
    let output = score(&set, &out.0, &[]);
    // Three are announced, two are listed.
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("row 1 has no episode_index or no length; it is skipped"),
        "{}",
        stderr(&output)
    );
    let whole = expected(&[]);
    assert_eq!(curves(&out.0), [whole[0].clone(), whole[2].clone()]);
}

#[test]
fn the_baseline_reports_episodes_that_it_cannot_score() {
    let set = Set::v3();
    let lengths = Column::whole([12, 0, 9_000_000_000_000]);
    set.rows(EPISODES, &with(episodes(), "length", lengths));
    let out = Set::empty();
    let options = ["--method", "gvl", "--gvl-frames", "2", "--gvl-tokens", "2"];
    let output = score(&set, &out.0, &options);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let summary = json(&output);
    assert_eq!(summary["num_examples"], 1, "{summary}");
    let failed: Vec<&Value> = summary["failed"].as_array().unwrap().iter().collect();
    assert_eq!(failed[0]["episode_index"], 1);
    assert!(
        failed[0]["error"].as_str().unwrap().contains("no frames"),
        "{summary}"
    );
    assert!(
        failed[1]["error"]
            .as_str()
            .unwrap()
            .contains("9000000000000 frames"),
        "{summary}"
    );
    // An episode without an instruction is reported too.
    let uninstructed = Set::v3();
    uninstructed.rows(EPISODES, &without(episodes(), "tasks"));
    fs::remove_file(uninstructed.at("meta/tasks.parquet")).unwrap();
    let output = score(&uninstructed, &out.at("uninstructed"), &options);
    let summary = json(&output);
    assert_eq!(summary["failed"].as_array().unwrap().len(), 3, "{summary}");
    assert!(
        summary["failed"][0]["error"]
            .as_str()
            .unwrap()
            .contains("--instruction"),
        "{summary}"
    );
}
