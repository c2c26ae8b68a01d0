//! `score --dataset`: unused parts, rows against metadata, and written results.

use crate::{
    json,
    set::{
        DATA, EPISODES, LENGTHS, POINTER, SIDECAR, Set, TOP, episodes, own_file, rows, select_rows,
        task, with, without,
    },
    stderr, studio,
    table::Column,
};
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::RowAccessor as _,
};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Output,
};

pub(crate) fn score(set: &Set, out: &Path, more: &[&str]) -> Output {
    let scorer =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/qwen3vl/tied/checkpoint");
    studio()
        .args([
            "score",
            "--device",
            "cpu",
            "--pre-resize",
            "64",
            "--prefixes",
            "2",
            "--json",
        ])
        .arg("--scorer")
        .arg(scorer)
        .arg("--dataset")
        .arg(&set.0)
        .arg("--out")
        .arg(out)
        .args(more)
        .output()
        .unwrap()
}

/// Scores of the episodes: episode index, instruction and rewards.
pub(crate) fn curves(out: &Path) -> Vec<(Value, Value, Value)> {
    let text = fs::read_to_string(out.join("predictions.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|mut line: Value| {
            (
                line["episode_index"].take(),
                line["instruction"].take(),
                line["prefix_rewards"].take(),
            )
        })
        .collect()
}

/// Scores of an intact data set.
pub(crate) fn expected(more: &[&str]) -> Vec<(Value, Value, Value)> {
    let (set, out) = (Set::v3(), Set::empty());
    let output = score(&set, &out.0, more);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    curves(&out.0)
}

fn indices(path: &Path) -> Vec<i64> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().get_long(0).unwrap()).collect()
}

#[test]
fn tasks_have_a_second_source_and_are_not_needed_with_an_instruction() {
    let out = Set::empty();
    let expected_curves = expected(&[]);
    let instructions: Vec<&str> = expected_curves
        .iter()
        .map(|(_, task, _)| task.as_str().unwrap())
        .collect();
    assert_eq!(instructions, [task(0), task(1), task(2)]);
    // v3.0 without the column; v2.1 without the tasks of its lines, and with a table of the other layout.
    let shared = Set::v3();
    shared.rows(EPISODES, &without(episodes(), "tasks"));
    let own = Set::v21();
    let lines: Vec<Value> = (0..3)
        .map(|episode| json!({"episode_index": episode, "length": LENGTHS[episode]}))
        .collect();
    own.lines("meta/episodes.jsonl", &lines);
    let odd = Set::v21();
    odd.lines("meta/episodes.jsonl", &lines);
    fs::remove_file(odd.at("meta/tasks.jsonl")).unwrap();
    odd.tasks();
    for (name, set) in [("shared", &shared), ("own", &own), ("odd", &odd)] {
        let output = score(set, &out.at(name), &[]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        assert_eq!(curves(&out.at(name)), expected_curves, "{name}");
    }
    // Without any task, --instruction is required and sufficient.
    let uninstructed = Set::v3();
    uninstructed.rows(EPISODES, &without(episodes(), "tasks"));
    fs::remove_file(uninstructed.at("meta/tasks.parquet")).unwrap();
    let instruction = ["--instruction", "open the drawer"];
    let output = score(&uninstructed, &out.at("instructed"), &instruction);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let rewards = |curves: Vec<(Value, Value, Value)>| -> Vec<Value> {
        curves.into_iter().map(|(_, _, rewards)| rewards).collect()
    };
    assert_eq!(
        rewards(curves(&out.at("instructed"))),
        rewards(expected(&instruction))
    );
    let output = score(&uninstructed, &out.at("uninstructed"), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("say it with --instruction"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn written_indices_are_those_of_the_rows() {
    let exports = ["--export", "rabc", "--chunk", "2"];
    let wrong = with(episodes(), "dataset_from_index", Column::whole([0, 0, 3]));
    let wrong = with(wrong, "dataset_to_index", Column::whole([7, 7, 1]));
    let set = Set::v3();
    set.rows(EPISODES, &wrong);
    let out = Set::empty();
    let output = score(&set, &out.0, &exports);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let message = "episode 1: its rows have the numbers (index) from 12 on, by the metadata they would begin at 0";
    assert!(stderr(&output).contains(message), "{}", stderr(&output));
    let whole: Vec<i64> = (0..42).collect();
    for name in [
        "rabc_weights.parquet",
        "topreward_progress.parquet",
        "sarm_progress.parquet",
    ] {
        assert_eq!(indices(&out.at(name)), whole, "{name}");
    }
    // Results of an earlier run with indices from the metadata are corrected.
    let file = out.at("episodes/episode_000002.json");
    let text = fs::read_to_string(&file)
        .unwrap()
        .replace("\"first_index\": 26", "\"first_index\": 3");
    fs::write(&file, text).unwrap();
    let again = score(&set, &out.0, &exports);
    assert_eq!(json(&again)["skipped"], 3);
    assert_eq!(indices(&out.at("rabc_weights.parquet")), whole);
    // Descending indices: 100, 98, 96, ...
    let downwards: Vec<i64> = (0..42).map(|row| 100 - 2 * row).collect();
    set.rows(
        DATA,
        &with(rows(&[0, 1, 2]), "index", Column::whole(downwards.clone())),
    );
    score(&set, &out.0, &exports);
    assert_eq!(indices(&out.at("rabc_weights.parquet")), downwards);
    assert_eq!(indices(&out.at("topreward_progress.parquet")), downwards);
}

#[test]
fn rows_are_found_despite_wrong_metadata() {
    let expected = expected(&[]);
    let set = Set::v3();
    // Two files, and metadata that name the wrong one, a missing one, and none.
    set.rows(DATA, &rows(&[2]));
    set.rows("data/chunk-001/file-004.parquet", &rows(&[1, 0]));
    let numbers = Column::I64(vec![Some(0), Some(9), None]);
    set.rows(EPISODES, &with(episodes(), "data/file_index", numbers));
    let out = Set::empty();
    let output = score(&set, &out.0, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(curves(&out.0), expected);
    assert_eq!(
        indices(&out.at("topreward_progress.parquet")),
        (0..42).collect::<Vec<i64>>()
    );
}

#[test]
fn an_episode_that_contradicts_its_metadata_is_refused_with_both() {
    let out = Set::empty();
    let expected = expected(&[]);
    for (name, set) in [("shared", Set::v3()), ("own", Set::v21())] {
        let row = |row: &usize| *row != 15;
        let all = rows(&[0, 1, 2]);
        if name == "shared" {
            set.rows(
                DATA,
                &select_rows(&all, &(0..42).filter(row).collect::<Vec<_>>()),
            );
        } else {
            let own = rows(&[1]);
            set.rows(
                &own_file(1),
                &select_rows(&own, &(0..14).filter(|row| *row != 3).collect::<Vec<_>>()),
            );
        }
        let output = score(&set, &out.at(name), &[]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let message = "has 13 rows of it (frame 3 is missing), the metadata say 14";
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
        assert_eq!(
            stderr(&output).matches("episode 1: ").count(),
            1,
            "{}",
            stderr(&output)
        );
        assert!(
            !json(&output)["failed"][0]["error"]
                .as_str()
                .unwrap()
                .contains("episode 1:")
        );
        assert_eq!(
            curves(&out.at(name)),
            [expected[0].clone(), expected[2].clone()]
        );
    }
}

#[test]
fn unfinished_files_are_skipped_alone() {
    let (set, out) = (Set::v3(), Set::empty());
    let expected = expected(&[]);
    for name in [EPISODES, DATA, "meta/info.json"] {
        let (folder, file) = name.rsplit_once('/').unwrap();
        set.write(&format!("{folder}/._{file}"), SIDECAR);
    }
    for (name, cause) in [
        ("cut", "was never finished"),
        ("empty", "has 0 bytes: it was never finished"),
    ] {
        for file in [EPISODES, DATA] {
            let last = file.replace("file-000", "file-001");
            set.copy(file, &last);
            if name == "cut" {
                set.cut(&last);
            } else {
                set.write(&last, "");
            }
        }
        let output = score(&set, &out.at(name), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(
            stderr(&output).contains(cause)
                && stderr(&output).contains("meta/episodes/chunk-000/file-001.parquet")
        );
        assert_eq!(curves(&out.at(name)), expected);
    }
    // A truncated last line and an invalid line: two episodes are lost, which is a failure.
    let own = Set::v21();
    let text = fs::read_to_string(own.at("meta/episodes.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    own.write(
        "meta/episodes.jsonl",
        format!("{}\r\n{{oops}}\r\n{}", lines[0], &lines[2][..20]),
    );
    let output = score(&own, &out.at("lines"), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    for message in [
        "line 2",
        "the last line (3) was never finished",
        "announces 3 episodes, 1 are listed",
    ] {
        assert!(
            stderr(&output).contains(message),
            "{message}: {}",
            stderr(&output)
        );
    }
    assert_eq!(curves(&out.at("lines")), expected[..1]);
    let output = score(&own, &out.at("one"), &["--episodes", "0"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    // The list of the other layout if that of the own layout is missing; the rows if there is no list.
    for other in [true, false] {
        let set = Set::v3();
        fs::remove_dir_all(set.at("meta/episodes")).unwrap();
        if other {
            set.copy("meta/info.json", "meta/kept.json");
            let whole = Set::v21();
            set.write(
                "meta/episodes.jsonl",
                fs::read(whole.at("meta/episodes.jsonl")).unwrap(),
            );
        }
        let out = out.at(if other { "other" } else { "none" });
        let output = score(&set, &out, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(curves(&out), expected, "{other}");
    }
}

#[test]
fn a_clone_without_its_lfs_files_is_reported() {
    let out = Set::empty();
    let set = Set::v21();
    set.write(&own_file(1), POINTER);
    let output = score(&set, &out.0, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("episode_000001.parquet is a Git LFS pointer"),
        "{}",
        stderr(&output)
    );
    let set = Set::v3();
    set.write(EPISODES, POINTER);
    let output = score(&set, &out.0, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("file-000.parquet is a Git LFS pointer"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn metadata_of_unused_cameras_may_be_malformed() {
    let out = Set::empty();
    let expected = expected(&[]);
    let wrist = "observation.images.wrist";
    let color = json!({"dtype": "video", "shape": [24, 32, 3], "names": null});
    let column = |what: &str| format!("videos/{wrist}/{what}");
    let mut off = with(
        episodes(),
        &column("chunk_index"),
        Column::I64(vec![Some(0), None, Some(0)]),
    );
    off = with(
        off,
        &column("file_index"),
        Column::Texts(vec![Some("x".to_owned()), None, None]),
    );
    for (name, columns) in [("off", off), ("announced", episodes())] {
        let set = Set::v3();
        set.info("v3.0", &[(wrist, color.clone())]);
        set.rows(EPISODES, &columns);
        let output = score(&set, &out.at(name), &["--camera", "top"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        assert_eq!(curves(&out.at(name)), expected, "{name}");
        let output = score(&set, &out.at("asked"), &["--camera", "wrist"]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let message = format!("the metadata have no video of {wrist}");
        assert!(stderr(&output).contains(&message), "{}", stderr(&output));
        fs::remove_dir_all(out.at("asked")).unwrap();
    }
}

#[test]
fn depth_cameras_cannot_be_scored() {
    let out = Set::empty();
    let expected = expected(&[]);
    let range = "observation.images.range";
    for (number, about) in [
        json!({"dtype": "video", "shape": [24, 32, 1], "info": {"video.is_depth_map": true}}),
        json!({"dtype": "image", "shape": [24, 32, 3], "info": {"is_depth_map": true}}),
        json!({"dtype": "image", "shape": [1, 24, 32], "names": ["channel", "height", "width"]}),
    ]
    .into_iter()
    .enumerate()
    {
        let set = Set::v3();
        set.info("v3.0", &[(range, about)]);
        let out = out.at(&number.to_string());
        let output = score(&set, &out, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(curves(&out), expected);
        if number < 2 {
            let output = score(&set, &out, &["--camera", "range"]);
            assert_eq!(output.status.code(), Some(1));
            assert!(
                stderr(&output).contains("\"range\" is a depth camera"),
                "{}",
                stderr(&output)
            );
        }
    }
    // With two color cameras one must be chosen, and the message names the option.
    let set = Set::v3();
    set.info(
        "v3.0",
        &[(range, json!({"dtype": "image", "shape": [24, 32, 3]}))],
    );
    let output = score(&set, &out.at("choice"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("one must be named with --camera"),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains(TOP));
}
