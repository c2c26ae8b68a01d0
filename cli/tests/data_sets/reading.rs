//! `fast train`: reading of incomplete and damaged data sets.

use crate::{
    json,
    set::{
        self, DATA, EPISODES, LENGTHS, POINTER, SIDECAR, Set, own_file, rows, select_rows, with,
        without,
    },
    stderr, studio,
    table::{self, Column},
};
use serde_json::{Value, json};
use std::{fs, process::Output};

/// Runs the training. Returns its output and the tokenizer file.
pub(crate) fn train(set: &Set, more: &[&str]) -> (Output, Option<Vec<u8>>) {
    let out = Set::empty();
    let output = studio()
        .args([
            "fast",
            "train",
            "--horizon",
            "6",
            "--sample-fraction",
            "1",
            "--hold-out",
            "0",
            "--json",
        ])
        .args(more)
        .arg("--dataset")
        .arg(&set.0)
        .arg("--out")
        .arg(out.at("tokenizer"))
        .output()
        .unwrap();
    let tokenizer = fs::read(out.at("tokenizer/tokenizer.json")).ok();
    (output, tokenizer)
}

/// Asserts that training on `set` succeeds with all `messages` and gives the same tokenizer as on `twin`.
pub(crate) fn same_as(twin: &Set, set: &Set, messages: &[&str]) {
    let (expected, actual) = (train(twin, &[]), train(set, &[]));
    assert_eq!(expected.0.status.code(), Some(0), "{}", stderr(&expected.0));
    assert_eq!(actual.0.status.code(), Some(0), "{}", stderr(&actual.0));
    assert!(
        actual.1.is_some() && actual.1 == expected.1,
        "{}",
        stderr(&actual.0)
    );
    for message in messages {
        assert!(
            stderr(&actual.0).contains(message),
            "{message}: {}",
            stderr(&actual.0)
        );
    }
    assert_eq!(
        json(&actual.0)["chunks_trained_on"],
        json(&expected.0)["chunks_trained_on"]
    );
}

/// Asserts that training on `set` fails with each of `messages` exactly once.
pub(crate) fn refused(set: &Set, messages: &[&str]) {
    let (output, tokenizer) = train(set, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(tokenizer.is_none());
    for message in messages {
        assert_eq!(
            stderr(&output).matches(message).count(),
            1,
            "{message}: {}",
            stderr(&output)
        );
    }
}

/// A data set of only these episodes.
pub(crate) fn only(episodes: &[usize]) -> Set {
    let set = Set::v3();
    set.rows(DATA, &rows(episodes));
    set
}

#[test]
fn leftover_files_are_not_data() {
    let (twin, set) = (Set::v3(), Set::v3());
    for name in [DATA, EPISODES, "meta/info.json", "meta/tasks.parquet"] {
        let (folder, file) = name.rsplit_once('/').unwrap();
        set.write(&format!("{folder}/._{file}"), SIDECAR);
    }
    for name in [
        "data/chunk-000/.ipynb_checkpoints/file-000-checkpoint.parquet",
        "data/__MACOSX/chunk-000/._file-000.parquet",
        "data/chunk-000/file-000 (1).parquet",
        "data/chunk-000/file-000_backup.parquet",
        "data/chunk-000/~file-000.parquet",
        "data/.cache/huggingface/file-000.parquet",
    ] {
        set.copy(DATA, name);
    }
    for name in [
        "Thumbs.db",
        "desktop.ini",
        ".DS_Store",
        "file-000.parquet~",
        "file-000.parquet.incomplete",
    ] {
        set.write(&format!("data/chunk-000/{name}"), "not a table");
    }
    same_as(
        &twin,
        &set,
        &["file-000 (1).parquet and 1 more is not named"],
    );
}

#[test]
fn an_unfinished_conversion_is_read_in_one_layout() {
    let (twin, set) = (Set::v3(), Set::v3());
    for episode in 0..LENGTHS.len() {
        set.rows(&own_file(episode), &rows(&[episode]));
    }
    same_as(&twin, &set, &[]);
    // Files of a layout other than that of info.json are used if there are no others.
    let old = Set::v21();
    fs::remove_dir_all(old.at("data")).unwrap();
    old.rows(DATA, &rows(&[0, 1, 2]));
    same_as(&twin, &old, &[]);
}

#[test]
fn unfinished_files_are_reported_and_left_out() {
    let twin = only(&[0, 1]);
    for (content, cause) in [
        (None, "its end (the parquet footer) is missing"),
        (Some(Vec::new()), "has 0 bytes: it was never finished"),
        (Some(vec![0; 4096]), "nothing but zeros"),
        (
            Some(b"<!DOCTYPE html><html>Access denied</html>".to_vec()),
            "is a web page",
        ),
    ] {
        let set = only(&[0, 1]);
        let last = "data/chunk-000/file-001.parquet";
        set.rows(last, &rows(&[2]));
        match content {
            None => set.cut(last),
            Some(content) => set.write(last, content),
        }
        same_as(&twin, &set, &["file-001.parquet", cause]);
    }
    // One damaged file of a layout with a file per episode.
    let set = Set::v21();
    let mut damaged = fs::read(set.at(&own_file(2))).unwrap();
    let end = damaged.len() - 40;
    damaged[end..end + 20].fill(0xFF);
    set.write(&own_file(2), damaged);
    same_as(&twin, &set, &["episode_000002.parquet"]);
    // No intact file is left.
    let set = only(&[0]);
    set.cut(DATA);
    refused(&set, &["file-000.parquet was never finished"]);
}

#[test]
fn a_clone_without_its_lfs_files_is_refused() {
    let set = Set::v21();
    set.write(&own_file(1), POINTER);
    refused(
        &set,
        &[
            "episode_000001.parquet is a Git LFS pointer",
            "`git lfs pull`",
        ],
    );
    let set = Set::v3();
    set.write("meta/info.json", POINTER);
    refused(&set, &["info.json is a Git LFS pointer", "`git lfs pull`"]);
}

#[cfg(unix)]
#[test]
fn broken_links_are_reported() {
    let link = |set: &Set, name: &str, target: &str| {
        fs::remove_file(set.at(name)).ok();
        std::os::unix::fs::symlink(target, set.at(name)).unwrap();
    };
    let set = Set::v3();
    link(&set, "meta/info.json", "../../../blobs/abab");
    refused(&set, &["info.json is a link to ../../../blobs/abab"]);
    let set = only(&[0, 1]);
    let last = "data/chunk-000/file-001.parquet";
    link(&set, last, "../../.git/annex/objects/zz/SHA256E-s1--a");
    same_as(
        &only(&[0, 1]),
        &set,
        &["file-001.parquet is kept by git-annex", "git annex get"],
    );
}

#[test]
fn incomplete_episodes_are_left_out_with_the_reason() {
    let twin = only(&[0, 2]);
    let all = rows(&[0, 1, 2]);
    let count: usize = LENGTHS.iter().sum();
    let selected =
        |keep: &dyn Fn(usize) -> bool| (0..count).filter(|row| keep(*row)).collect::<Vec<_>>();
    /// Rows of a column of lists.
    type Lists = Vec<Option<Vec<f32>>>;
    let spoiled = |spoil: &dyn Fn(&mut Lists)| {
        let mut actions: Vec<_> = [0, 1, 2]
            .into_iter()
            .flat_map(|episode| {
                (0..LENGTHS[episode]).map(move |frame| Some(set::action(episode, frame)))
            })
            .collect();
        spoil(&mut actions);
        with(all.clone(), "action", Column::Vectors(actions))
    };
    // Episode 1 begins in row 12.
    for (columns, cause) in [
        (
            select_rows(&all, &selected(&|row| !(14..18).contains(&row))),
            "frames 2 to 5 are missing",
        ),
        (
            select_rows(&all, &selected(&|row| row != 12)),
            "frame 0 is missing",
        ),
        (spoiled(&|actions| actions[15] = None), "row 15 is empty"),
        (
            spoiled(&|actions| actions[15] = Some(vec![1.0])),
            "row 15 has 1 values",
        ),
        (
            spoiled(&|actions| actions[15] = Some(vec![0.0, f32::NAN, 0.0])),
            "frame 3: dimension 1 of \"action\"",
        ),
    ] {
        let set = only(&[0, 1, 2]);
        set.rows(DATA, &columns);
        same_as(&twin, &set, &["note: episode 1 is left out: ", cause]);
    }
    // Identical duplicates are used once.
    let order: Vec<usize> = (0..count).chain(12..26).collect();
    let set = only(&[0, 1, 2]);
    set.rows(DATA, &select_rows(&all, &order));
    same_as(
        &only(&[0, 1, 2]),
        &set,
        &["episode 1: 14 of its rows are duplicates"],
    );
}

#[test]
fn unused_columns_and_metadata_may_be_malformed() {
    let dims = ["--dims", "0:1,2:3"];
    let set = only(&[0, 1, 2]);
    let (_, expected) = train(&set, &dims);
    let mut actions = Vec::new();
    for (episode, length) in LENGTHS.iter().enumerate() {
        for frame in 0..*length {
            let mut action = set::action(episode, frame);
            action[1] = f32::NAN;
            actions.push(Some(action));
        }
    }
    let odd = with(rows(&[0, 1, 2]), "action", Column::Vectors(actions));
    let odd = with(odd, "observation.state", Column::Texts(vec![None; 42]));
    set.rows(DATA, &without(without(odd, "task_index"), "index"));
    set.write("meta/tasks.parquet", "not a table");
    set.write(
        "meta/stats.json",
        "{\"observation.images.top\": {\"mean\": [[[NaN]]], \"std\": [[[-Infinity]]]}}",
    );
    let mut info: Value =
        serde_json::from_slice(&fs::read(set.at("meta/info.json")).unwrap()).unwrap();
    info["features"]["odd"] = Value::Null;
    info["features"]["odder"] = json!({"dtype": 7, "shape": "wide", "names": 3.5});
    info["total_tasks"] = json!("?");
    info["splits"] = Value::Null;
    let text =
        format!("\u{feff}{}", info.to_string().replace("\"?\"", "NaN")).replace(',', ",\r\n");
    set.write("meta/info.json", text);
    let (output, tokenizer) = train(&set, &dims);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        tokenizer.is_some() && tokenizer == expected,
        "{}",
        stderr(&output)
    );
}

#[test]
fn numbers_of_every_type_are_read() {
    let twin = only(&[0, 1, 2]);
    let all = rows(&[0, 1, 2]);
    let doubles: Vec<_> = (0..3)
        .flat_map(|episode| {
            (0..LENGTHS[episode]).map(move |frame| {
                let action = set::action(episode, frame);
                Some(action.into_iter().map(f64::from).collect())
            })
        })
        .collect();
    let mut other = with(all.clone(), "action", Column::Doubles(doubles));
    let narrow = (0..3).flat_map(|episode| vec![Some(episode); LENGTHS[episode as usize]]);
    other = with(other, "episode_index", Column::I32(narrow.collect()));
    let as_float =
        (0..3).flat_map(|episode: usize| (0..LENGTHS[episode]).map(|frame| Some(frame as f64)));
    other = with(other, "frame_index", Column::F64(as_float.collect()));
    other.reverse();
    let set = only(&[0]);
    set.rows(DATA, &other);
    same_as(&twin, &set, &[]);
    // Without frame_index, the order follows from the indices in the whole data set.
    let set = only(&[0]);
    let backwards: Vec<usize> = (0..42).rev().collect();
    set.rows(DATA, &select_rows(&without(all, "frame_index"), &backwards));
    same_as(&twin, &set, &[]);
}

#[test]
fn every_cause_is_reported_once() {
    let set = Set::empty();
    refused(&set, &["is no LeRobot data set"]);
    set.write("meta/info.json", "{\"codebase_version\": \"v2.1\"");
    refused(&set, &["info.json was never finished"]);
    set.write("meta/info.json", "[]");
    refused(&set, &["is not a JSON object"]);
    set.write("meta/info.json", "{\"codebase_version\": \"v2.1\"}");
    refused(&set, &["No such file or directory"]);
    set.write("data/chunk-000/notes.txt", "");
    refused(&set, &["there is no .parquet file"]);
    set.rows(&own_file(0), &without(rows(&[0]), "action"));
    refused(&set, &["has no column \"action\""]);
    table::write(&set.at(&own_file(0)), &without(rows(&[0]), "episode_index"));
    refused(&set, &["has no column \"episode_index\""]);
}
