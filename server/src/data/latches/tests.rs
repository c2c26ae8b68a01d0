//! The table of latches and its folder.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use std::{
    fs,
    path::{Path, PathBuf},
};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("latches-{name}-{}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn stops(&self) -> PathBuf {
        self.0.join("stops")
    }

    /// The latches of the next run after a `kill -9` now; a copy of the folder, because the first run still owns it.
    fn restarted(&self) -> Latches {
        let copy = Self(self.0.with_extension("copy"));
        fs::remove_dir_all(&copy.0).ok();
        fs::create_dir_all(copy.stops()).unwrap();
        for entry in fs::read_dir(self.stops()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.stops().join(entry.file_name())).unwrap();
        }
        open(&copy.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn open(folder: &Path) -> Latches {
    let data = DataFolder::open(folder).unwrap();
    Latches::open(Some(&data), &Health::new()).unwrap()
}

async fn not_on_disk(latches: &Latches, robot_ids: &[&str]) -> String {
    let robot_ids: Vec<String> = robot_ids.iter().map(|id| (*id).to_owned()).collect();
    latches.not_on_disk(&robot_ids).await
}

/// Waits for a file to come or to go.
async fn wait_file(path: &Path, is_there: bool) {
    for _ in 0..100 {
        if path.is_file() == is_there {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(path.is_file(), is_there, "{}", path.display());
}

#[tokio::test]
async fn a_latch_is_there_after_a_restart_and_a_release_too() {
    let folder = Folder::new("restart");
    let latches = open(&folder.0);
    latches.latch("arm", "pressed");
    assert_eq!(not_on_disk(&latches, &["arm"]).await, "");
    let next = folder.restarted();
    assert!(next.is_latched("arm") && !next.is_latched("other"));
    drop(next);
    latches.release("arm");
    assert!(!latches.is_latched("arm"));
    wait_file(&folder.stops().join("arm"), false).await;
    assert!(!folder.restarted().is_latched("arm"));
}

#[tokio::test]
async fn a_dial_in_never_waits_for_the_disk() {
    let folder = Folder::new("memory");
    fs::create_dir_all(folder.stops()).unwrap();
    fs::write(folder.stops().join("arm"), b"{}").unwrap();
    let latches = open(&folder.0);
    // Lookups do not depend on the disk.
    fs::remove_dir_all(folder.stops()).unwrap();
    assert!(latches.is_latched("arm"));
    fs::create_dir_all(folder.stops()).unwrap();
    fs::write(folder.stops().join("other"), b"{}").unwrap();
    assert!(!latches.is_latched("other"));
}

#[tokio::test]
async fn ten_thousand_other_names_evict_nothing() {
    let latches = Latches::open(None, &Health::new()).unwrap();
    latches.latch("arm", "pressed");
    for number in 0..10_000 {
        latches.latch(&format!("other-{number}"), "pressed");
    }
    assert!(latches.is_latched("arm") && latches.full().is_none());
}

#[tokio::test]
async fn the_studio_starts_with_more_latches_than_expected() {
    let folder = Folder::new("many");
    fs::create_dir_all(folder.stops()).unwrap();
    for number in 0..65_600 {
        fs::write(folder.stops().join(format!("r{number}")), b"").unwrap();
    }
    let latches = open(&folder.0);
    assert!(latches.is_latched("r0") && latches.is_latched("r65599"));
    assert!(!latches.is_latched("r65600"));
    assert_eq!(latches.full(), None);
}

#[tokio::test]
async fn fast_stops_and_releases_end_with_the_last_one() {
    let folder = Folder::new("turns");
    let latches = open(&folder.0);
    for _ in 0..50 {
        latches.latch("arm", "pressed");
        latches.release("arm");
    }
    latches.latch("arm", "pressed");
    assert_eq!(not_on_disk(&latches, &["arm"]).await, "");
    assert!(folder.stops().join("arm").is_file());
    latches.release("arm");
    wait_file(&folder.stops().join("arm"), false).await;
}

#[tokio::test]
async fn a_damaged_file_is_a_latch_and_an_unfinished_one_is_none() {
    let folder = Folder::new("damaged");
    fs::create_dir_all(folder.stops()).unwrap();
    fs::write(folder.stops().join("arm"), b"{\"reas").unwrap();
    fs::write(folder.stops().join(".other.1"), b"{").unwrap();
    let latches = open(&folder.0);
    assert!(latches.is_latched("arm") && !latches.is_latched("other"));
}

#[tokio::test]
async fn a_latch_that_cannot_be_written_delays_no_other() {
    let folder = Folder::new("one");
    let latches = open(&folder.0);
    // Nothing can be written over a folder that is not empty; works for root too.
    fs::create_dir_all(folder.stops().join("bad/full")).unwrap();
    latches.latch("bad", "pressed");
    let alone = not_on_disk(&latches, &["bad"]).await;
    assert!(
        alone.starts_with("the data folder cannot be written"),
        "{alone}"
    );
    for _ in 0..3 {
        latches.latch("good", "pressed");
        assert_eq!(not_on_disk(&latches, &["good"]).await, "");
        latches.release("good");
    }
    latches.latch("good", "pressed");
    let both = not_on_disk(&latches, &["bad", "good"]).await;
    assert!(both.starts_with("bad: the data folder"), "{both}");
    assert!(latches.is_latched("bad"));
    fs::remove_dir_all(folder.stops().join("bad")).unwrap();
    wait_file(&folder.stops().join("bad"), true).await;
    assert_eq!(not_on_disk(&latches, &["bad", "good"]).await, "");
}

#[tokio::test]
async fn a_deleted_folder_is_made_again_with_every_latch_in_it() {
    let folder = Folder::new("deleted");
    let latches = open(&folder.0);
    latches.latch("one", "pressed");
    assert_eq!(not_on_disk(&latches, &["one"]).await, "");
    fs::remove_dir_all(folder.stops()).unwrap();
    latches.latch("two", "pressed");
    assert_eq!(not_on_disk(&latches, &["two"]).await, "");
    wait_file(&folder.stops().join("one"), true).await;
    // Also without a write.
    fs::remove_dir_all(folder.stops()).unwrap();
    wait_file(&folder.stops().join("one"), true).await;
    wait_file(&folder.stops().join("two"), true).await;
    // Also the whole data folder.
    fs::remove_dir_all(&folder.0).unwrap();
    latches.latch("three", "pressed");
    assert_eq!(not_on_disk(&latches, &["three"]).await, "");
    for robot_id in ["one", "two", "three"] {
        wait_file(&folder.stops().join(robot_id), true).await;
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_reported_and_written_later() {
    let folder = Folder::new("readonly");
    let latches = open(&folder.0);
    // Works for root too: the folder is gone, and a file stands in its place.
    fs::remove_dir_all(folder.stops()).unwrap();
    fs::write(folder.stops(), b"").unwrap();
    latches.latch("arm", "pressed");
    let error = not_on_disk(&latches, &["arm"]).await;
    assert!(error.contains("cannot be written"), "{error}");
    assert!(latches.is_latched("arm"));
    fs::remove_file(folder.stops()).unwrap();
    wait_file(&folder.stops().join("arm"), true).await;
}

#[tokio::test]
async fn a_studio_without_a_folder_reports_that_nothing_is_on_disk() {
    let latches = Latches::open(None, &Health::new()).unwrap();
    latches.latch("arm", "pressed");
    assert!(latches.is_latched("arm"));
    let error = not_on_disk(&latches, &["arm"]).await;
    assert!(error.contains("without a data folder"), "{error}");
}

/// A disk that hangs, simulated by a pipe without a reader in place of the latch.
#[cfg(unix)]
#[tokio::test]
async fn a_disk_that_hangs_is_a_part_that_hangs() {
    let folder = Folder::new("hangs");
    let data = DataFolder::open(&folder.0).unwrap();
    let health = Health::new();
    let latches = Latches::open(Some(&data), &health).unwrap();
    let pipe = folder.stops().join("arm");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    latches.latch("arm", "pressed");
    let began = std::time::Instant::now();
    let error = not_on_disk(&latches, &["arm"]).await;
    assert!(error.contains("did not answer within"), "{error}");
    assert!(latches.is_latched("arm") && !latches.is_latched("other"));
    while health.problems().is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "no problem is reported"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let problems = health.problems();
    assert!(
        problems[0].starts_with("the writer of stops"),
        "{problems:?}"
    );
    // Reading the pipe lets the writer continue.
    let read = tokio::task::spawn_blocking(move || fs::read(pipe));
    read.await.unwrap().unwrap();
    for _ in 0..100 {
        if health.problems().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(health.problems().is_empty());
    assert_eq!(not_on_disk(&latches, &["arm"]).await, "");
}
