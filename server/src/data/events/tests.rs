//! The record on disk.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use std::time::Duration;

#[test]
fn an_event_is_a_line_with_who_and_what() {
    let folder = std::env::temp_dir().join(format!("events-{}", std::process::id()));
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).unwrap();
    let events = Events::open(Some(&folder)).unwrap();
    events.note("command", "arm", "viewer 1 (page)", "go\n5", "");
    events.note("command", "arm", "viewer 2 (page)", "go", "stopped");
    let path = folder.join("events.jsonl");
    let mut lines = Vec::new();
    for _ in 0..100 {
        let text = fs::read_to_string(&path).unwrap_or_default();
        lines = text.lines().map(str::to_owned).collect();
        if lines.len() == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(first["what"], "command");
    assert_eq!(first["by"], "viewer 1 (page)");
    assert_eq!(first["text"], "go\n5");
    assert!(first["at_unix_millis"].as_u64().unwrap() > 1_600_000_000_000);
    let second: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!(second["refused"], "stopped");
    fs::remove_dir_all(&folder).ok();
}

#[test]
fn a_full_file_becomes_the_older_one() {
    let folder = std::env::temp_dir().join(format!("events-full-{}", std::process::id()));
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("events.jsonl");
    File::create(&path)
        .unwrap()
        .set_len(MAX_FILE_BYTES)
        .unwrap();
    append(&path, &mut None, b"{}\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"{}\n");
    assert_eq!(
        fs::metadata(folder.join("events.1.jsonl")).unwrap().len(),
        MAX_FILE_BYTES
    );
    fs::remove_dir_all(&folder).ok();
}
