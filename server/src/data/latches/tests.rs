//! The table of latches and its folder.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("latches-{name}-{}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[tokio::test]
async fn a_latch_is_there_after_a_restart_and_a_release_too() {
    let folder = Folder::new("restart");
    let latches = Latches::open(Some(&folder.0)).unwrap();
    let change = latches.latch("arm", "pressed");
    latches.on_disk(Some(change)).await.unwrap();
    // Nothing is closed or dropped first: this is a second studio, as after a kill -9.
    let next = Latches::open(Some(&folder.0)).unwrap();
    assert!(next.is_latched("arm") && !next.is_latched("other"));
    assert!(!next.is_latched("../stops/arm") && !next.is_latched("."));
    let change = next.release("arm");
    assert!(!next.is_latched("arm"));
    next.on_disk(Some(change)).await.unwrap();
    assert!(!Latches::open(Some(&folder.0)).unwrap().is_latched("arm"));
}

#[tokio::test]
async fn ten_thousand_other_names_evict_nothing() {
    let latches = Latches::open(None).unwrap();
    let _ = latches.latch("arm", "pressed");
    for number in 0..10_000 {
        let _ = latches.latch(&format!("other-{number}"), "pressed");
    }
    assert!(latches.is_latched("arm") && !latches.is_full());
}

#[tokio::test]
async fn stops_and_releases_in_quick_turns_end_as_the_last_one_says() {
    let folder = Folder::new("turns");
    let latches = Latches::open(Some(&folder.0)).unwrap();
    for _ in 0..50 {
        let _ = latches.latch("arm", "pressed");
        let _ = latches.release("arm");
    }
    latches
        .on_disk(Some(latches.latch("arm", "pressed")))
        .await
        .unwrap();
    assert!(folder.0.join("stops/arm").is_file());
    latches.on_disk(Some(latches.release("arm"))).await.unwrap();
    assert!(!folder.0.join("stops/arm").exists());
}

#[tokio::test]
async fn a_damaged_file_is_a_latch_and_an_unfinished_one_is_none() {
    let folder = Folder::new("damaged");
    fs::create_dir_all(folder.0.join("stops")).unwrap();
    fs::write(folder.0.join("stops/arm"), b"{\"reas").unwrap();
    fs::write(folder.0.join("stops/.other.1"), b"{").unwrap();
    let latches = Latches::open(Some(&folder.0)).unwrap();
    assert!(latches.is_latched("arm") && !latches.is_latched("other"));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said_and_tried_again() {
    let folder = Folder::new("readonly");
    let latches = Latches::open(Some(&folder.0)).unwrap();
    // Works for root too: the folder is gone, and a file stands in its place.
    fs::remove_dir_all(folder.0.join("stops")).unwrap();
    fs::write(folder.0.join("stops"), b"").unwrap();
    let change = latches.latch("arm", "pressed");
    let error = latches.on_disk(Some(change)).await.unwrap_err();
    assert!(error.contains("cannot be written"), "{error}");
    assert!(latches.is_latched("arm"));
    fs::remove_file(folder.0.join("stops")).unwrap();
    fs::create_dir(folder.0.join("stops")).unwrap();
    for _ in 0..50 {
        if folder.0.join("stops/arm").is_file() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(folder.0.join("stops/arm").is_file());
}

#[tokio::test]
async fn without_a_folder_it_is_said_that_nothing_is_on_disk() {
    let latches = Latches::open(None).unwrap();
    let change = latches.latch("arm", "pressed");
    assert!(latches.is_latched("arm"));
    assert!(
        latches
            .on_disk(Some(change))
            .await
            .unwrap_err()
            .contains("without a data folder")
    );
}
