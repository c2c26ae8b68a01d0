//! A robot whose units differ from the policy's data is warned and not driven.

use super::support::*;
use futures_util::SinkExt as _;
use protocol::{FromRobot, ToRobot, robot::RobotHello};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

async fn connect(studio: &TestStudio, hello: RobotHello) -> Robot {
    let mut robot = Robot {
        socket: dial(studio, "/ws/robot").await,
        robot_id: "arm".to_owned(),
        sequence: 0,
    };
    let frame = FromRobot::from(hello).encode().unwrap();
    robot
        .socket
        .send(Message::Binary(frame.into()))
        .await
        .unwrap();
    robot
}

async fn next_error(robot: &mut Robot) -> protocol::ErrorMessage {
    loop {
        if let ToRobot::Error(error) = robot.next().await {
            return error;
        }
    }
}

#[tokio::test]
async fn a_robot_in_radians_is_refused_before_it_moves() {
    let studio = TestStudio::start().await;
    let mut hello = hello("arm");
    for joint in &mut hello.joints {
        joint.unit = "rad".to_owned();
        (joint.min, joint.max) = (-1.9, 1.9);
    }
    let mut robot = connect(&studio, hello.clone()).await;
    let error = next_error(&mut robot).await;
    assert_eq!(
        (error.code.as_str(), error.fatal),
        ("units_mismatch", false)
    );
    assert!(
        error.message.contains("-1.9 to 1.9 rad") && error.message.contains("-100 to 100"),
        "{error:?}"
    );
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 64").await;
    let refused = wait_error(&mut viewer).await;
    assert_eq!(refused.code, "units_mismatch");
    assert!(refused.message.contains("is not driven"), "{refused:?}");
    assert!(
        robot
            .chunks_within(Duration::from_millis(400))
            .await
            .is_empty()
    );
    let mut other = studio.watcher("arm").await;
    let warned = wait_details(&mut other, |_| true).await.warnings;
    assert!(warned[0].contains("units differ"), "{warned:?}");
    // An empty instruction for an idle robot is not an error.
    command(&mut viewer, "arm", "").await;
    // With correct units the robot is driven.
    drop(robot);
    wait_status(&mut viewer, |status| !status.connected).await;
    hello.joints = super::support::hello("arm").joints;
    let mut robot = connect(&studio, hello).await;
    wait_status(&mut viewer, |status| status.connected).await;
    command(&mut viewer, "arm", "go 5").await;
    wait_status(&mut viewer, |status| status.instruction == "go 5").await;
    assert_eq!(robot.chunk().await.actions[0], 5.0);
    wait_details(&mut other, |details| details.warnings.is_empty()).await;
}

#[tokio::test]
async fn an_unknown_unit_is_reported_to_the_robot_and_its_viewers() {
    let studio = TestStudio::start().await;
    let mut hello = hello("arm");
    hello.joints[1].unit = "turns".to_owned();
    let mut robot = connect(&studio, hello).await;
    let error = next_error(&mut robot).await;
    assert_eq!((error.code.as_str(), error.fatal), ("units_unknown", false));
    let mut viewer = studio.watcher("arm").await;
    let warnings = wait_details(&mut viewer, |_| true).await.warnings;
    assert_eq!(warnings, [error.message]);
    assert!(
        warnings[0].contains("\"b\" has the unit \"turns\"") && warnings[0].contains("deg, rad"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn joints_in_another_order_are_refused() {
    let studio = TestStudio::start().await;
    let mut hello = hello("arm");
    hello.joints.reverse();
    let mut robot = connect(&studio, hello).await;
    let error = next_error(&mut robot).await;
    assert_eq!(error.code, "joint_order");
    assert!(
        error.message.contains("(b, a)") && error.message.contains("(a, b)"),
        "{error:?}"
    );
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 64").await;
    assert_eq!(wait_error(&mut viewer).await.code, "joint_order");
}
