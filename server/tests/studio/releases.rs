//! Releases that arrive after a later stop, or twice.

use super::support::*;
use protocol::{
    ToRobot, ToViewer,
    viewer::{ReleaseRobot, StopRobot},
};
use server::{Limits, client::ViewerClient};
use std::time::Duration;

/// Presses stop, and returns the number of the stop that this viewer then sees.
async fn press(viewer: &mut ViewerClient, press_id: u64, before: Option<u64>) -> u64 {
    let stop = StopRobot {
        robot_id: "arm".to_owned(),
        press_id,
    };
    viewer.send(&stop.into()).await.unwrap();
    shown(viewer, before).await
}

/// The number of a stop other than `before`.
async fn shown(viewer: &mut ViewerClient, before: Option<u64>) -> u64 {
    let status = wait_status(viewer, |status| {
        status.stop_number.is_some() && status.stop_number != before
    });
    status.await.stop_number.unwrap()
}

async fn release(viewer: &mut ViewerClient, stop_number: Option<u64>, heard_beat: Option<u64>) {
    let release = ReleaseRobot {
        robot_id: "arm".to_owned(),
        heard_beat,
        stop_number,
    };
    viewer.send(&release.into()).await.unwrap();
}

async fn heartbeat(viewer: &mut ViewerClient) -> u64 {
    let beat = viewer.wait_for("a heartbeat", SOON, |message| match message {
        ToViewer::Heartbeat(heartbeat) => Some(heartbeat.beat),
        _ => None,
    });
    beat.await.unwrap()
}

#[tokio::test]
async fn a_release_lifts_no_stop_that_came_after_the_one_it_names() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut one = studio.watcher("arm").await;
    let mut two = studio.watcher("arm").await;
    let first = press(&mut one, 1, None).await;
    // The other viewer presses too, while the release of the first stop is in transit.
    let second = press(&mut two, 2, Some(first)).await;
    assert!(second > first);
    release(&mut one, Some(first), None).await;
    let error = wait_error(&mut one).await;
    assert_eq!((error.code.as_str(), error.fatal), ("stopped_again", false));
    assert!(error.message.contains("stopped again since"), "{error:?}");
    command(&mut two, "arm", "go 5").await;
    assert_eq!(wait_error(&mut two).await.code, "stopped");

    // A viewer that saw the later stop may lift it.
    release(&mut one, Some(second), None).await;
    while !matches!(robot.next().await, ToRobot::Release(_)) {}
    let free = wait_status(&mut two, |status| !status.stop_requested).await;
    assert_eq!(free.stop_number, None);
    // A stop after a release has another number, so the old release does not lift it either.
    let third = press(&mut two, 3, None).await;
    assert!(third > second);
    release(&mut one, Some(second), None).await;
    assert_eq!(wait_error(&mut one).await.code, "stopped_again");
}

#[tokio::test]
async fn a_repeated_press_is_not_a_new_stop() {
    let studio = TestStudio::start().await;
    let _robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    let number = press(&mut viewer, 7, None).await;
    // A page repeats a press whose acknowledgement was lost.
    let again = StopRobot {
        robot_id: "arm".to_owned(),
        press_id: 7,
    };
    viewer.send(&again.into()).await.unwrap();
    release(&mut viewer, Some(number), None).await;
    wait_status(&mut viewer, |status| !status.stop_requested).await;
}

#[tokio::test]
async fn a_repeated_release_does_not_end_a_later_instruction() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut one = studio.watcher("arm").await;
    let mut two = studio.watcher("arm").await;
    let number = press(&mut one, 1, None).await;
    release(&mut one, Some(number), None).await;
    wait_status(&mut one, |status| !status.stop_requested).await;
    command(&mut one, "arm", "go 5").await;
    assert_eq!(robot.chunk().await.actions[0], 5.0);
    release(&mut two, Some(number), None).await;
    // An acknowledgement that arrives after the release.
    command(&mut two, "nobody", "go 1").await;
    assert_eq!(wait_error(&mut two).await.code, "unknown_robot");
    robot.chunks_within(Duration::from_millis(200)).await;
    assert_eq!(robot.chunk().await.actions[0], 5.0);
}

#[tokio::test]
async fn a_release_without_a_number_lifts_a_stop_that_its_sender_can_have_known() {
    let limits = Limits {
        // This test is not about late messages.
        command_within: Duration::from_secs(20),
        ..Limits::default()
    };
    let studio = TestStudio::with(Ok(Box::new(Scripted::new())), limits).await;
    let _robot = Robot::connect(&studio, "arm").await;
    let mut one = studio.watcher("arm").await;
    let mut two = studio.watcher("arm").await;
    let before = heartbeat(&mut one).await;
    let number = press(&mut two, 1, None).await;
    release(&mut one, None, Some(before)).await;
    assert_eq!(wait_error(&mut one).await.code, "stopped_again");
    // A release that arrives after the refusal was sent after the stop.
    let after = heartbeat(&mut one).await;
    release(&mut one, None, Some(after)).await;
    wait_status(&mut two, |status| !status.stop_requested).await;
    // A release with neither number is accepted.
    press(&mut two, 2, Some(number)).await;
    release(&mut one, None, None).await;
    wait_status(&mut two, |status| !status.stop_requested).await;
}
