//! The records on disk.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{
    record::{MAX_FILE_BYTES, RecordFile},
    *,
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("events-{name}-{}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        Self(folder)
    }

    fn open(&self) -> DataFolder {
        DataFolder::open(&self.0).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// The lines of a file once the last one contains `last`.
fn lines_until(path: &Path, last: &str) -> Vec<serde_json::Value> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.ends_with('\n') && text.lines().last().is_some_and(|line| line.contains(last)) {
            let lines = text.lines();
            return lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
        }
        assert!(Instant::now() < until, "no {last} in {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_event_is_a_line_with_viewer_and_action() {
    let folder = Folder::new("line");
    let events = Events::open(Some(&folder.open()), &Health::new()).unwrap();
    events.note("command", "arm", "viewer 1 (page)", "go\n5", "");
    events.note("command", "arm", "viewer 2 (page)", "go", "stopped");
    let lines = lines_until(&folder.file("commands.jsonl"), "stopped");
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["what"], "command");
    assert_eq!(lines[0]["robot_id"], "arm");
    assert_eq!(lines[0]["by"], "viewer 1 (page)");
    assert_eq!(lines[0]["text"], "go\n5");
    assert!(lines[0]["at_unix_millis"].as_u64().unwrap() > 1_600_000_000_000);
    assert!(lines[0].get("refused").is_none());
    assert_eq!(lines[1]["refused"], "stopped");
    events.note("stop", "arm", "viewer 1 (page)", "", "");
    let lines = lines_until(&folder.file("events.jsonl"), "stop");
    assert_eq!((lines.len(), &lines[0]["what"]), (1, &"stop".into()));
}

#[test]
fn sixteen_thousand_commands_displace_nothing() {
    let folder = Folder::new("flood");
    let events = Events::open(Some(&folder.open()), &Health::new()).unwrap();
    events.note("command", "arm", "viewer 1 (page)", "the first", "");
    events.note("stop", "arm", "viewer 1 (page)", "", "");
    let long = "x".repeat(2000);
    for number in 0..16_000 {
        events.note("command", "arm", "viewer 2 (flood)", &long, "");
        if number % 1000 == 0 {
            events.note("release", "arm", "viewer 1 (page)", "", "");
        }
    }
    events.note("stop_all", "arm", "viewer 2 (flood)", "", "");
    events.note("command", "arm", "viewer 1 (page)", "the last", "");
    let stops = lines_until(&folder.file("events.jsonl"), "stop_all");
    let what: Vec<_> = stops
        .iter()
        .map(|line| line["what"].as_str().unwrap())
        .collect();
    assert_eq!(what.len(), 18, "{what:?}");
    assert_eq!(
        (what[0], what[1], what[17]),
        ("stop", "release", "stop_all")
    );
    let commands = lines_until(&folder.file("commands.jsonl"), "the last");
    assert_eq!(commands[0]["text"], "the first");
    assert!(commands.len() < 200, "{}", commands.len());
    let bytes = fs::metadata(folder.file("commands.jsonl")).unwrap().len();
    assert!(bytes < 100 << 10, "{bytes}");
    assert!(!folder.file("commands.1.jsonl").exists());
}

#[test]
fn a_full_file_becomes_the_older_one() {
    let folder = Folder::new("full");
    let mut record = RecordFile {
        data: folder.open(),
        path: folder.file("events.jsonl"),
        file: None,
    };
    File::create(&record.path)
        .unwrap()
        .set_len(MAX_FILE_BYTES)
        .unwrap();
    record.append(b"{}\n").unwrap();
    assert_eq!(fs::read(&record.path).unwrap(), b"{}\n");
    let older = fs::metadata(folder.file("events.1.jsonl")).unwrap();
    assert_eq!(older.len(), MAX_FILE_BYTES);
}

#[test]
fn a_deleted_file_and_a_deleted_folder_begin_anew() {
    let folder = Folder::new("deleted");
    let mut record = RecordFile {
        data: folder.open(),
        path: folder.file("events.jsonl"),
        file: None,
    };
    record.append(b"1\n").unwrap();
    record.append(b"2\n").unwrap();
    assert_eq!(fs::read(&record.path).unwrap(), b"1\n2\n");
    fs::remove_file(&record.path).unwrap();
    record.append(b"3\n").unwrap();
    assert_eq!(fs::read(&record.path).unwrap(), b"3\n");
    fs::remove_dir_all(&folder.0).unwrap();
    record.append(b"4\n").unwrap();
    assert_eq!(fs::read(&record.path).unwrap(), b"4\n");
}

/// A disk that hangs, simulated by a pipe without a reader in place of the record.
#[cfg(unix)]
#[test]
fn a_record_whose_disk_hangs_is_a_part_that_hangs_and_the_other_goes_on() {
    let folder = Folder::new("hangs");
    let data = folder.open();
    let made = std::process::Command::new("mkfifo")
        .arg(folder.file("commands.jsonl"))
        .status();
    assert!(made.unwrap().success());
    let health = Health::new();
    let events = Events::open(Some(&data), &health).unwrap();
    events.note("command", "arm", "viewer 1", "go", "");
    let began = Instant::now();
    while health.problems().is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "no problem is reported"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let problems = health.problems();
    assert!(
        problems[0].starts_with("the record of commands has been writing"),
        "{problems:?}"
    );
    events.note("stop", "arm", "viewer 1", "", "");
    lines_until(&folder.file("events.jsonl"), "stop");
    // Reading the pipe lets the thread end.
    let reading = std::thread::spawn({
        let pipe = folder.file("commands.jsonl");
        move || fs::read(pipe)
    });
    drop(events);
    assert!(!reading.join().unwrap().unwrap().is_empty());
}
