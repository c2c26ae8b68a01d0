//! Unusual paths: names that are not UTF-8, pipes and devices, folders without read permission.
#![cfg(unix)]

use crate::{
    reading::{refused, same_as, train},
    scoring::score,
    set::{Set, rows},
    stderr, studio,
};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A file name that is not UTF-8.
fn non_utf8_name() -> &'static OsStr {
    OsStr::from_bytes(b"caf\xe9")
}

#[test]
fn paths_that_are_not_utf8_are_accepted() {
    let set = Set::v3();
    let folder = Set::empty();
    let there = folder.0.join(non_utf8_name());
    // Some file systems refuse such names.
    if fs::rename(&set.0, &there).is_err() {
        return;
    }
    let twin = Set::v3();
    let (expected, tokenizer) = train(&twin, &[]);
    assert!(expected.status.success(), "{}", stderr(&expected));
    let out = folder.0.join(OsStr::from_bytes(b"out\xff"));
    let output = studio()
        .args(["fast", "train", "--horizon", "6", "--sample-fraction", "1"])
        .args(["--hold-out", "0", "--json", "--dataset"])
        .arg(&there)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(fs::read(out.join("tokenizer.json")).ok(), tokenizer);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let named = report["origin"]["dataset"].as_str().unwrap();
    assert!(named.ends_with("caf\u{fffd}"), "{named}");
    assert!(report["out"].as_str().unwrap().ends_with("out\u{fffd}"));
    let moved = Set(there);
    let output = score(&moved, &folder.0.join(OsStr::from_bytes(b"s\xfe")), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["out"].as_str().unwrap().ends_with("s\u{fffd}"));
}

fn pipe(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::remove_file(path).ok();
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[test]
fn pipes_and_devices_are_refused() {
    // A pipe beside the data files is skipped; a pipe in place of a required file is an error.
    let (twin, set) = (Set::v3(), Set::v3());
    pipe(&set.at("data/chunk-000/file-001.parquet"));
    same_as(&twin, &set, &["file-001.parquet is a pipe, not a file"]);
    pipe(&set.at("meta/info.json"));
    refused(&set, &["info.json is a pipe, not a file"]);
    let frames = Set::empty();
    for (name, kind) in [("a.png", "a pipe"), ("b.png", "a device")] {
        let path = frames.at(name);
        if kind == "a pipe" {
            pipe(&path);
        } else {
            std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        }
        let scorer = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/goldens/qwen3vl/tied/checkpoint");
        for (option, path) in [("--frames", &frames.0), ("--video", &path)] {
            let output = studio()
                .args([
                    "score",
                    "--device",
                    "cpu",
                    "--instruction",
                    "open",
                    "--fps",
                    "4",
                ])
                .arg("--scorer")
                .arg(&scorer)
                .arg(option)
                .arg(path)
                .output()
                .unwrap();
            let expected = format!("{name} is {kind}, not a file");
            assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
            assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
        }
        fs::remove_file(path).unwrap();
    }
}

/// Runs `command` as a user without permission to read everything; `None` if that is not possible.
fn run_unprivileged(mut command: Command) -> Option<Output> {
    let probe = Set::empty();
    fs::set_permissions(&probe.0, fs::Permissions::from_mode(0o000)).unwrap();
    let is_barred = fs::read_dir(&probe.0).is_err();
    fs::set_permissions(&probe.0, fs::Permissions::from_mode(0o700)).unwrap();
    if !is_barred {
        command.uid(65_534).gid(65_534);
    }
    command.output().ok()
}

fn fast(set: &Set, out: &Path) -> Command {
    let mut command = studio();
    command
        .args(["fast", "train", "--horizon", "6", "--hold-out", "0"])
        .arg("--dataset")
        .arg(&set.0)
        .arg("--out")
        .arg(out);
    command
}

#[test]
fn an_unreadable_folder_is_skipped_alone_and_not_reported_as_missing() {
    let out = Set::empty();
    fs::set_permissions(&out.0, fs::Permissions::from_mode(0o777)).unwrap();
    let mode = |path: PathBuf, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let set = Set::v21();
    let far = "data/chunk-001/episode_000007.parquet";
    set.rows(far, &rows(&[1]));
    mode(set.at("data/chunk-001"), 0);
    let Some(output) = run_unprivileged(fast(&set, &out.at("some"))) else {
        return mode(set.at("data/chunk-001"), 0o755);
    };
    mode(set.at("data/chunk-001"), 0o755);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output)
            .contains("chunk-001: Permission denied (os error 13) (its files are not read)"),
        "{}",
        stderr(&output)
    );
    for folder in ["meta", "data"] {
        let set = Set::v3();
        mode(set.at(folder), 0);
        let output = run_unprivileged(fast(&set, &out.at(folder))).unwrap();
        mode(set.at(folder), 0o755);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let message = stderr(&output);
        assert!(
            message.contains("Permission denied") && !message.contains("is no LeRobot data set"),
            "{message}"
        );
    }
    // Without rows, the metadata are used, which is reported.
    let set = Set::v21();
    fs::remove_dir_all(set.at("data")).unwrap();
    let output = score(&set, &out.at("scores"), &["--episodes", "0"]);
    assert!(
        stderr(&output).contains("the metadata are believed"),
        "{}",
        stderr(&output)
    );
}
