//! Viewers that press stop continuously: their stops hold, and others are served meanwhile.

use super::{
    data_folder::Folder,
    flood::{Flood, framed},
    stops::{accepted, config, press, release},
    support::*,
};
use futures_util::SinkExt as _;
use protocol::{
    FromViewer, ToRobot, ToViewer,
    viewer::{ReleaseRobot, StopAll, StopRobot, ViewerHello},
};
use server::{Limits, client::ViewerClient};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio_tungstenite::tungstenite::Message;

/// A viewer that sends these messages repeatedly.
async fn flood(studio: &TestStudio, messages: impl Iterator<Item = FromViewer>) -> Flood {
    let mut socket = dial(studio, "/ws/viewer").await;
    let hello = ViewerHello {
        client: "flood".to_owned(),
    };
    let frame = protocol::encode(&hello).unwrap();
    socket.send(Message::Binary(frame.into())).await.unwrap();
    let frames = messages.map(|message| framed(&message.encode().unwrap()));
    let frames: Vec<_> = frames.collect();
    Flood::start(socket, frames.concat())
}

fn stop(robot_id: &str, press_id: u64) -> FromViewer {
    let robot_id = robot_id.to_owned();
    StopRobot { robot_id, press_id }.into()
}

fn release_now(robot_id: &str) -> FromViewer {
    ReleaseRobot {
        robot_id: robot_id.to_owned(),
        heard_beat: None,
        stop_number: None,
    }
    .into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_acknowledged_while_other_viewers_press_continuously() {
    let folder = Folder::new("flood");
    let studio = TestStudio::of(config(Limits::default(), Some(&folder.0))).await;
    let mut others = Vec::new();
    for number in 0..48 {
        others.push(Robot::connect(&studio, &format!("other{number}")).await);
    }
    let mut arm = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.viewer().await;
    let presses =
        |from: u64| (from..from + 1000).map(|press_id| FromViewer::from(StopAll { press_id }));
    let floods = [
        flood(&studio, presses(1_000_000)).await,
        flood(&studio, presses(2_000_000)).await,
        // Real work at the permitted rate of releases: a latch is written and removed.
        flood(
            &studio,
            (3_000_000..3_001_000).flat_map(|id| [stop("other0", id), release_now("other0")]),
        )
        .await,
    ];
    let began_at = Instant::now();
    let mut took = Vec::new();
    while began_at.elapsed() < Duration::from_secs(5) {
        release(&mut viewer, "arm").await;
        let pressed_at = Instant::now();
        let press_id = 1 + took.len() as u64;
        let answer = press(&mut viewer, "arm", press_id).await;
        assert_eq!(answer.press_id, press_id);
        assert_eq!(answer.robots[0].robot_id, "arm");
        took.push(pressed_at.elapsed());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let stopped = async { while !matches!(arm.next().await, ToRobot::Stop(_)) {} };
    stopped.await;
    took.sort_unstable();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    let rates = floods.each_ref().map(Flood::rate);
    eprintln!("answered after {median:?}, at worst {worst:?}; floods of {rates:.2?} MiB/s");
    // The acknowledgement waits for the disk for up to 0.8 s; a disk that the flood slows down is not under test.
    assert!(median < Duration::from_millis(900), "{took:?}");
    assert!(worst < Duration::from_millis(1500), "{took:?}");
    assert!(took.len() >= 4, "{took:?}");
    drop(floods);
}

#[tokio::test]
async fn presses_beyond_the_quota_are_acknowledged_with_the_newest() {
    const PRESSES: u64 = 2000;
    let studio = TestStudio::start().await;
    let _robots = [
        Robot::connect(&studio, "one").await,
        Robot::connect(&studio, "two").await,
    ];
    let mut viewer = studio.viewer().await;
    for press_id in 1..=PRESSES {
        viewer.send(&StopAll { press_id }.into()).await.unwrap();
    }
    viewer.send(&stop("one", 7777)).await.unwrap();
    let mut answered = BTreeSet::new();
    while !(answered.contains(&PRESSES) && answered.contains(&7777)) {
        let answer = accepted(&mut viewer).await;
        let robots = if answer.press_id == 7777 { 1 } else { 2 };
        assert_eq!(answer.robots.len(), robots, "{answer:?}");
        assert!(answered.insert(answer.press_id), "answered once");
    }
    // Ten in a burst and five per second, with room for a slow machine.
    assert!(answered.len() < 60, "{answered:?}");
}

/// The codes of the errors before the acknowledgement of a stop.
async fn errors_until_accepted(viewer: &mut ViewerClient, press_id: u64) -> Vec<String> {
    let mut codes = Vec::new();
    let end = viewer.wait_for("the answer to a stop", SOON, |message| match message {
        ToViewer::Error(error) => {
            codes.push(error.code);
            None
        }
        ToViewer::StopAccepted(accepted) if accepted.press_id == press_id => Some(()),
        _ => None,
    });
    end.await.unwrap();
    codes
}

#[tokio::test]
async fn a_stop_beyond_the_quota_holds_before_it_is_acknowledged() {
    let studio = TestStudio::start().await;
    let _one = Robot::connect(&studio, "one").await;
    let mut two = Robot::connect(&studio, "two").await;
    let mut viewer = studio.viewer().await;
    for press_id in 1..=50 {
        viewer.send(&stop("one", press_id)).await.unwrap();
    }
    viewer.send(&stop("two", 51)).await.unwrap();
    command(&mut viewer, "two", "go 5").await;
    let errors = errors_until_accepted(&mut viewer, 51).await;
    assert_eq!(errors, ["stopped"]);
    while !matches!(two.next().await, ToRobot::Stop(_)) {}
}

#[tokio::test]
async fn a_viewer_that_releases_continuously_gets_an_error_and_can_still_stop() {
    let studio = TestStudio::start().await;
    let _arm = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.viewer().await;
    for _ in 0..200 {
        viewer.send(&release_now("arm")).await.unwrap();
    }
    viewer.send(&stop("arm", 9)).await.unwrap();
    let errors = errors_until_accepted(&mut viewer, 9).await;
    // The oldest errors are dropped when very many wait.
    assert!(errors.len() > 30, "{errors:?}");
    assert!(errors.iter().all(|code| code == "too_many_releases"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    release(&mut viewer, "arm").await;
    let watch = protocol::viewer::Watch {
        robot_id: "arm".to_owned(),
    };
    viewer.send(&watch.into()).await.unwrap();
    wait_status(&mut viewer, |status| !status.stop_requested).await;
}
