//! Viewers get messages without delaying robots or other viewers.

use super::support::*;
use futures_util::SinkExt as _;
use protocol::{
    ToViewer, ViewEncoding,
    viewer::{ViewerHello, Watch},
};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_viewer_is_welcomed_with_the_policy_and_the_robots() {
    let studio = TestStudio::start().await;
    let _robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.viewer().await;
    let ToViewer::Welcome(welcome) = viewer.next().await.unwrap() else {
        panic!("the first message is the welcome");
    };
    assert_eq!(welcome.policy.name, "scripted");
    let ToViewer::Robots(list) = viewer.next().await.unwrap() else {
        panic!("the second message is the robot list");
    };
    assert_eq!(list.robots[0].robot_id, "arm");
    assert!(list.robots[0].connected && list.robots[0].left_unix_secs.is_none());
}

#[tokio::test]
async fn views_arrive_as_jpeg_and_at_most_thirteen_a_second() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    wait_status(&mut viewer, |_| true).await;
    let counting = tokio::spawn(async move {
        let mut frames = 0;
        let until = tokio::time::Instant::now() + Duration::from_secs(1);
        while let Ok(Ok(message)) = tokio::time::timeout_at(until, viewer.next()).await {
            if let ToViewer::Frame(frame) = message {
                assert_eq!(frame.view.encoding, ViewEncoding::Jpeg);
                assert_eq!(&frame.view.data[..2], [0xff, 0xd8]);
                frames += 1;
            }
        }
        frames
    });
    for _ in 0..100 {
        robot.observe().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let frames = counting.await.unwrap();
    assert!((4..=13).contains(&frames), "{frames} frames in a second");
}

#[tokio::test]
async fn an_unknown_robot_is_refused_with_the_known_ones() {
    let studio = TestStudio::start().await;
    let _robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("leg").await;
    let error = wait_error(&mut viewer).await;
    assert_eq!(error.code, "unknown_robot");
    assert!(error.message.contains("arm"), "{error:?}");
}

#[tokio::test]
async fn a_repeated_hello_changes_the_example_instructions() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    let before = wait_details(&mut viewer, |_| true).await;
    assert_eq!(before.example_instructions, ["go 5"]);
    let mut again = hello("arm");
    again.example_instructions = vec!["go 7".to_owned()];
    robot.send(again).await;
    wait_details(&mut viewer, |details| {
        details.example_instructions == ["go 7"]
    })
    .await;
}

/// A viewer that subscribes and never reads.
pub async fn stalled_viewer(studio: &TestStudio) -> Socket {
    let mut socket = dial(studio, "/ws/viewer").await;
    for frame in [
        protocol::encode(&ViewerHello {
            client: "stalled".to_owned(),
        }),
        protocol::encode(&Watch {
            robot_id: "arm".to_owned(),
        }),
    ] {
        socket
            .send(Message::Binary(frame.unwrap().into()))
            .await
            .unwrap();
    }
    socket
}

#[tokio::test]
async fn a_stalled_viewer_slows_neither_the_robot_nor_another_viewer() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let stalled = stalled_viewer(&studio).await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 5").await;
    robot.chunk().await;
    // Much more than the stalled viewer's queue and socket buffers hold.
    let mut large = observation(1);
    large.views[0].width = 640;
    large.views[0].height = 480;
    large.views[0].data = (0..640 * 480 * 3_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let started = std::time::Instant::now();
    for sequence in 2..42 {
        // The next request to the policy is not due at once.
        tokio::time::sleep(Duration::from_millis(50)).await;
        large.sequence = sequence + robot.sequence;
        robot.send(large.clone()).await;
        while !matches!(robot.next().await, protocol::ToRobot::Chunk(_)) {}
    }
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    viewer
        .wait_for("a fresh image", SOON, |message| match message {
            ToViewer::Frame(frame) if frame.sequence >= large.sequence - 2 => Some(()),
            _ => None,
        })
        .await
        .unwrap();
    drop(stalled);
}

#[tokio::test]
async fn a_killed_viewer_is_removed() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 5").await;
    robot.chunk().await;
    drop(viewer);
    for _ in 0..20 {
        robot.chunk().await;
        if studio
            .get("/metrics", "")
            .await
            .contains("policy_studio_viewers 0")
        {
            return;
        }
    }
    panic!("the viewer is still counted");
}
