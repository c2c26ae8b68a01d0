//! Paths as systems allow them: bytes that are no text, pipes and devices, folders that may not be read.
#![cfg(unix)]

use crate::{
    reading::{refused, same_as, train},
    scoring::score,
    set::{Set, rows},
    studio, words,
};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A name that is no UTF-8.
fn odd() -> &'static OsStr {
    OsStr::from_bytes(b"caf\xe9")
}

#[test]
fn a_path_need_not_be_text() {
    let set = Set::v3();
    let folder = Set::empty();
    let there = folder.0.join(odd());
    // Some file systems take no such name.
    if fs::rename(&set.0, &there).is_err() {
        return;
    }
    let twin = Set::v3();
    let (expected, tokenizer) = train(&twin, &[]);
    assert!(expected.status.success(), "{}", words(&expected));
    let out = folder.0.join(OsStr::from_bytes(b"out\xff"));
    let output = studio()
        .args(["fast", "train", "--horizon", "6", "--sample-fraction", "1"])
        .args(["--hold-out", "0", "--json", "--dataset"])
        .arg(&there)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert_eq!(fs::read(out.join("tokenizer.json")).ok(), tokenizer);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let named = report["origin"]["dataset"].as_str().unwrap();
    assert!(named.ends_with("caf\u{fffd}"), "{named}");
    assert!(report["out"].as_str().unwrap().ends_with("out\u{fffd}"));
    let moved = Set(there);
    let output = score(&moved, &folder.0.join(OsStr::from_bytes(b"s\xfe")), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
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
fn pipes_and_devices_are_no_files() {
    // A pipe beside the files costs itself; a pipe in the place of what is needed is named.
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
            let said = format!("{name} is {kind}, not a file");
            assert_eq!(output.status.code(), Some(1), "{}", words(&output));
            assert!(words(&output).contains(&said), "{}", words(&output));
        }
        fs::remove_file(path).unwrap();
    }
}

/// Runs `command` as somebody who may not read everything; none where that cannot be had.
fn as_nobody(mut command: Command) -> Option<Output> {
    let probe = Set::empty();
    fs::set_permissions(&probe.0, fs::Permissions::from_mode(0)).unwrap();
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
fn a_folder_that_may_not_be_read_costs_itself_and_is_not_missing() {
    let out = Set::empty();
    fs::set_permissions(&out.0, fs::Permissions::from_mode(0o777)).unwrap();
    let mode = |path: PathBuf, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let set = Set::v21();
    let far = "data/chunk-001/episode_000007.parquet";
    set.rows(far, &rows(&[1]));
    mode(set.at("data/chunk-001"), 0);
    let Some(output) = as_nobody(fast(&set, &out.at("some"))) else {
        return mode(set.at("data/chunk-001"), 0o755);
    };
    mode(set.at("data/chunk-001"), 0o755);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(
        words(&output)
            .contains("chunk-001: Permission denied (os error 13) (its files are not read)"),
        "{}",
        words(&output)
    );
    for folder in ["meta", "data"] {
        let set = Set::v3();
        mode(set.at(folder), 0);
        let output = as_nobody(fast(&set, &out.at(folder))).unwrap();
        mode(set.at(folder), 0o755);
        assert_eq!(output.status.code(), Some(1), "{}", words(&output));
        let said = words(&output);
        assert!(
            said.contains("Permission denied") && !said.contains("is no LeRobot data set"),
            "{said}"
        );
    }
    // Without rows, the metadata are believed, which is said.
    let set = Set::v21();
    fs::remove_dir_all(set.at("data")).unwrap();
    let output = score(&set, &out.at("scores"), &["--episodes", "0"]);
    assert!(
        words(&output).contains("the metadata are believed"),
        "{}",
        words(&output)
    );
}
