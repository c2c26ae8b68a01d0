//! The data folder of a running studio: disks that hang, files that cannot be written, names, and the folder's lock.

use super::{
    stops::{accepted, config, press, release, resume},
    support::*,
};
use protocol::{
    ToRobot, ToViewer,
    viewer::{Heartbeat, StopAll},
};
use server::{Limits, data::DataFolder};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// A temporary data folder, deleted on drop.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("data-folder-{name}-{}", std::process::id()));
        std::fs::remove_dir_all(&folder).ok();
        Self(folder)
    }

    fn stops(&self) -> PathBuf {
        self.0.join("stops")
    }

    /// A copy, as a `kill -9` at this moment would leave it: the folder itself is in use.
    fn copy(&self, name: &str) -> Self {
        let copy = Self::new(name);
        std::fs::create_dir_all(copy.stops()).unwrap();
        for entry in std::fs::read_dir(self.stops()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.stops().join(entry.file_name())).unwrap();
        }
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// The response of `/healthz` once it has this status.
async fn health(studio: &TestStudio, status: &str) -> String {
    let until = Instant::now() + SOON;
    loop {
        let answer = studio.get("/healthz", "").await;
        if answer.starts_with(&format!("HTTP/1.1 {status}")) {
            return answer;
        }
        assert!(Instant::now() < until, "{answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Time until the robot receives its stop.
async fn stopped(robot: &mut Robot) -> Duration {
    let began = Instant::now();
    while !matches!(robot.next().await, ToRobot::Stop(_)) {}
    began.elapsed()
}

#[tokio::test]
async fn a_latch_is_on_disk_when_the_stop_is_answered() {
    let folder = Folder::new("restart");
    let first = TestStudio::of(config(Limits::default(), Some(&folder.0))).await;
    let _robot = Robot::connect(&first, "arm").await;
    let mut viewer = first.watcher("arm").await;
    assert_eq!(press(&mut viewer, "arm", 1).await.not_on_disk, "");
    // The first studio keeps running, and a second one starts from a copy of the disk.
    let copy = folder.copy("restart-copy");
    let second = TestStudio::of(config(Limits::default(), Some(&copy.0))).await;
    let (message, mut robot) = resume(&second, hello("arm")).await;
    assert!(matches!(message, ToRobot::Stop(_)), "{message:?}");
    let mut viewer = second.watcher("arm").await;
    assert!(wait_status(&mut viewer, |_| true).await.stop_requested);
    command(&mut viewer, "arm", "go 1").await;
    assert_eq!(wait_error(&mut viewer).await.code, "stopped");
    release(&mut viewer, "arm").await;
    wait_status(&mut viewer, |status| !status.stop_requested).await;
    assert!(
        robot
            .chunks_within(Duration::from_millis(300))
            .await
            .is_empty()
    );
    command(&mut viewer, "arm", "go 2").await;
    assert_eq!(robot.chunk().await.actions[0], 2.0);
    let events = std::fs::read_to_string(folder.0.join("events.jsonl")).unwrap();
    assert!(
        events.contains("\"what\":\"stop\"") && events.contains("viewer"),
        "{events}"
    );
}

/// A pipe without a reader replaces the latch file, so writing the latch hangs.
#[cfg(unix)]
#[tokio::test]
async fn a_disk_that_hangs_holds_up_no_robot_and_is_told_to_everybody() {
    let folder = Folder::new("hangs");
    let studio = TestStudio::of(config(Limits::default(), Some(&folder.0))).await;
    let mut first = Robot::connect(&studio, "first").await;
    let pipe = folder.stops().join("first");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let mut viewer = studio.watcher("first").await;
    let began = Instant::now();
    let (answer, took) = tokio::join!(press(&mut viewer, "first", 1), stopped(&mut first));
    assert!(answer.not_on_disk.contains("did not answer"), "{answer:?}");
    assert!(took < Duration::from_millis(500), "{took:?}");
    // While the disk hangs another robot connects and is stopped.
    let dialled = Instant::now();
    let mut second = Robot::connect(&studio, "second").await;
    assert!(dialled.elapsed() < Duration::from_millis(500));
    let (answer, took) = tokio::join!(press(&mut viewer, "second", 2), stopped(&mut second));
    assert!(!answer.not_on_disk.is_empty());
    assert!(took < Duration::from_millis(500), "{took:?}");
    let body = health(&studio, "503").await;
    let problem = "the writer of stops has been writing to the data folder";
    assert!(body.contains(problem), "{body}");
    assert!(began.elapsed() < Duration::from_secs(5), "{began:?}");
    let heard = viewer.wait_for("a problem", SOON, |message| match message {
        ToViewer::Heartbeat(Heartbeat { problems, .. }) => problems.into_iter().next(),
        _ => None,
    });
    assert!(heard.await.unwrap().contains(problem));
    // A reader opens the pipe: the disk is back.
    let read = tokio::task::spawn_blocking(move || std::fs::read(pipe));
    assert!(!read.await.unwrap().unwrap().is_empty());
    health(&studio, "200").await;
    assert_eq!(press(&mut viewer, "second", 3).await.not_on_disk, "");
    assert!(folder.stops().join("second").is_file());
    studio.stop().await;
}

#[tokio::test]
async fn a_latch_that_cannot_be_written_affects_its_robot_only() {
    let folder = Folder::new("unwritable");
    let studio = TestStudio::of(config(Limits::default(), Some(&folder.0))).await;
    let mut bad = Robot::connect(&studio, "bad").await;
    let mut good = Robot::connect(&studio, "good").await;
    // A folder that is not empty cannot be replaced by a file.
    std::fs::create_dir_all(folder.stops().join("bad/full")).unwrap();
    let mut viewer = studio.viewer().await;
    let answer = press(&mut viewer, "bad", 1).await;
    assert!(
        answer
            .not_on_disk
            .starts_with("the data folder cannot be written"),
        "{answer:?}"
    );
    stopped(&mut bad).await;
    assert_eq!(press(&mut viewer, "good", 2).await.not_on_disk, "");
    stopped(&mut good).await;
    viewer.send(&StopAll { press_id: 3 }.into()).await.unwrap();
    let answer = accepted(&mut viewer).await;
    assert_eq!(answer.robots.len(), 2);
    assert!(answer.not_on_disk.starts_with("bad: "), "{answer:?}");
    assert!(!answer.not_on_disk.contains("good"), "{answer:?}");
    std::fs::remove_dir_all(folder.stops().join("bad")).unwrap();
    let until = Instant::now() + SOON;
    while !press(&mut viewer, "bad", 4).await.not_on_disk.is_empty() {
        assert!(Instant::now() < until, "it is not tried again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_deleted_folder_of_stops_is_made_again() {
    let folder = Folder::new("deleted");
    let studio = TestStudio::of(config(Limits::default(), Some(&folder.0))).await;
    let _robots = [
        Robot::connect(&studio, "one").await,
        Robot::connect(&studio, "two").await,
    ];
    let mut viewer = studio.viewer().await;
    assert_eq!(press(&mut viewer, "one", 1).await.not_on_disk, "");
    std::fs::remove_dir_all(folder.stops()).unwrap();
    assert_eq!(press(&mut viewer, "two", 2).await.not_on_disk, "");
    assert!(folder.stops().join("two").is_file());
    assert_eq!(press(&mut viewer, "one", 3).await.not_on_disk, "");
    assert!(folder.stops().join("one").is_file());
}

#[tokio::test]
async fn robots_whose_names_an_id_cannot_hold_are_two_robots_with_two_stops() {
    let folder = Folder::new("names");
    // As left by an earlier version, in which both robots had this id.
    std::fs::create_dir_all(folder.stops()).unwrap();
    std::fs::write(folder.stops().join("arm--"), b"{}").unwrap();
    let studio = TestStudio::of(config(Limits::default(), Some(&folder.0))).await;
    let mut robots = Vec::new();
    for name in ["Arm ä", "Arm ö"] {
        let (message, mut robot) = resume(&studio, hello(name)).await;
        assert!(matches!(message, ToRobot::Stop(_)), "{name}: {message:?}");
        let ToRobot::Welcome(welcome) = robot.next().await else {
            panic!("the welcome comes next");
        };
        robot.robot_id = welcome.robot_id;
        robots.push(robot);
    }
    let ids = [&robots[0].robot_id, &robots[1].robot_id];
    assert_ne!(ids[0], ids[1]);
    let mut viewer = studio.watcher(ids[0]).await;
    release(&mut viewer, ids[0]).await;
    wait_status(&mut viewer, |status| !status.stop_requested).await;
    let mut other = studio.watcher(ids[1]).await;
    assert!(wait_status(&mut other, |_| true).await.stop_requested);
    // The next run, after the first one has released the folder.
    let marker = folder.stops().join(format!("{}.released", ids[0]));
    let until = Instant::now() + SOON;
    while !marker.is_file() {
        assert!(Instant::now() < until, "no {}", marker.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop((viewer, other, robots));
    studio.stop().await;
    let studio = TestStudio::of(config(Limits::default(), Some(&folder.0))).await;
    let (message, _robot) = resume(&studio, hello("Arm ä")).await;
    assert!(matches!(message, ToRobot::Welcome(_)), "{message:?}");
    let (message, _robot) = resume(&studio, hello("Arm ö")).await;
    assert!(matches!(message, ToRobot::Stop(_)), "{message:?}");
}

#[tokio::test]
async fn a_second_studio_on_the_folder_is_refused_until_the_first_has_ended() {
    let folder = Folder::new("owner");
    let studio = TestStudio::of(config(Limits::default(), Some(&folder.0))).await;
    let refused = DataFolder::open(&folder.0).unwrap_err().to_string();
    assert!(refused.contains("in use by another studio"), "{refused}");
    assert!(refused.contains("--data DIR"), "{refused}");
    studio.stop().await;
    DataFolder::open(&folder.0).unwrap();
}
