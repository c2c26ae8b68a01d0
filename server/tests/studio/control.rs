//! Commands, chunks, stops and successes.

use super::support::*;
use protocol::{
    FromViewer, TaskState, ToRobot, ToViewer,
    viewer::{ReleaseRobot, StopRobot, TokensOrigin},
};
use std::time::Duration;

fn stop(robot_id: &str) -> FromViewer {
    StopRobot {
        robot_id: robot_id.to_owned(),
        press_id: 0,
    }
    .into()
}

fn release(robot_id: &str) -> FromViewer {
    ReleaseRobot {
        robot_id: robot_id.to_owned(),
        heard_beat: None,
        stop_number: None,
    }
    .into()
}

#[tokio::test]
async fn a_robot_gets_chunks_only_while_it_has_an_instruction() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    assert!(
        robot
            .chunks_within(Duration::from_millis(200))
            .await
            .is_empty()
    );
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 5").await;
    let chunk = robot.chunk().await;
    assert_eq!((chunk.rows, chunk.dims), (10, 2));
    assert_eq!(chunk.starts_at_micros, chunk.observation_sequence * 1000);
    assert_eq!(chunk.valid_until_micros - chunk.starts_at_micros, 333_333);
    command(&mut viewer, "arm", "").await;
    wait_status(&mut viewer, |status| status.instruction.is_empty()).await;
    robot.chunks_within(Duration::from_millis(100)).await;
    assert!(
        robot
            .chunks_within(Duration::from_millis(200))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn two_robots_follow_their_own_commands() {
    let studio = TestStudio::start().await;
    let mut one = Robot::connect(&studio, "arm").await;
    let mut two = Robot::connect(&studio, "arm-2").await;
    assert_eq!(
        (one.robot_id.as_str(), two.robot_id.as_str()),
        ("arm", "arm-2")
    );
    let mut viewer = studio.viewer().await;
    command(&mut viewer, "arm", "go 1").await;
    command(&mut viewer, "arm-2", "go 2").await;
    for _ in 0..3 {
        assert_eq!(one.chunk().await.actions[0], 1.0);
        assert_eq!(two.chunk().await.actions[0], 2.0);
    }
}

#[tokio::test]
async fn a_new_instruction_reaches_the_robot_before_its_chunks() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 1").await;
    assert_eq!(robot.chunk().await.actions[0], 1.0);
    command(&mut viewer, "arm", "  go 2 ").await;
    let text = loop {
        if let ToRobot::Instruction(instruction) = robot.next().await {
            break instruction.text;
        }
    };
    assert_eq!(text, "go 2");
    assert_eq!(robot.chunk().await.actions[0], 2.0);
}

#[tokio::test]
async fn every_chunk_has_a_trace() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 5").await;
    wait_status(&mut viewer, |status| status.instruction == "go 5").await;
    let chunk = robot.chunk().await;
    let (mut trace, mut millis) = (None, None);
    let (trace, millis) = viewer
        .wait_for("a trace and a status", SOON, |message| {
            match message {
                ToViewer::Trace(first) if trace.is_none() => trace = Some(first),
                ToViewer::Status(status) => millis = status.command_to_chunk_millis.or(millis),
                _ => {}
            }
            trace.clone().zip(millis)
        })
        .await
        .unwrap();
    assert_eq!(trace.chunk_id, chunk.chunk_id);
    assert_eq!(trace.actions, chunk.actions);
    assert_eq!(trace.prompt, "<|im_start|> go 5");
    assert_eq!(trace.tokens_origin, TokensOrigin::Encoded);
    assert_eq!(trace.stages[0].name, "flow");
    assert!(trace.latency_micros > 0);
    assert!(millis > 0.0);
}

#[tokio::test]
async fn a_stop_reaches_the_robot_at_once_and_latches_until_released() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 5").await;
    robot.chunk().await;
    viewer.send(&stop("arm")).await.unwrap();
    while !matches!(robot.next().await, ToRobot::Stop(_)) {}
    assert!(
        robot
            .chunks_within(Duration::from_millis(300))
            .await
            .is_empty()
    );
    let status = wait_status(&mut viewer, |status| status.stop_requested).await;
    assert!(!status.stopped, "the robot has not confirmed yet");
    // An instruction does not lift a stop, and is not kept for after it.
    command(&mut viewer, "arm", "go 6").await;
    assert_eq!(wait_error(&mut viewer).await.code, "stopped");
    viewer.send(&release("arm")).await.unwrap();
    while !matches!(robot.next().await, ToRobot::Release(_)) {}
    assert!(
        robot
            .chunks_within(Duration::from_millis(300))
            .await
            .is_empty(),
        "a release moves nothing"
    );
    command(&mut viewer, "arm", "go 7").await;
    assert_eq!(robot.chunk().await.actions[0], 7.0);
    let metrics = studio.get("/metrics", "").await;
    assert!(
        metrics.contains("policy_studio_stop_dispatch_seconds_count 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_stop_during_inference_keeps_its_chunk_from_the_robot() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "be slow").await;
    wait_status(&mut viewer, |status| status.instruction == "be slow").await;
    robot.observe().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    viewer.send(&stop("arm")).await.unwrap();
    while !matches!(robot.next().await, ToRobot::Stop(_)) {}
    // The task has ended, and this is the last message.
    while let Some(message) = robot.try_next(Duration::from_millis(600)).await {
        assert!(matches!(message, ToRobot::Instruction(_)), "{message:?}");
    }
}

#[tokio::test]
async fn a_latched_stop_survives_a_reconnect_and_an_instruction_does_not() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 5").await;
    robot.chunk().await;
    viewer.send(&stop("arm")).await.unwrap();
    wait_status(&mut viewer, |status| status.stop_requested).await;
    drop(robot);
    wait_status(&mut viewer, |status| !status.connected).await;
    let mut again = Robot::connect(&studio, "arm").await;
    assert_eq!(again.robot_id, "arm");
    let status = wait_status(&mut viewer, |status| status.connected).await;
    assert!(status.stop_requested && status.instruction.is_empty());
    viewer.send(&release("arm")).await.unwrap();
    while !matches!(again.next().await, ToRobot::Release(_)) {}
    assert!(
        again
            .chunks_within(Duration::from_millis(300))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn chunks_end_a_second_after_the_robot_reported_success() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 5").await;
    robot.chunk().await;
    robot.send(report("go 5", TaskState::Succeeded)).await;
    wait_status(&mut viewer, |status| status.task == TaskState::Succeeded).await;
    assert!(
        !robot
            .chunks_within(Duration::from_millis(500))
            .await
            .is_empty()
    );
    tokio::time::sleep(Duration::from_millis(700)).await;
    robot.chunks_within(Duration::from_millis(100)).await;
    assert!(
        robot
            .chunks_within(Duration::from_millis(300))
            .await
            .is_empty()
    );
    // The next instruction is executed.
    command(&mut viewer, "arm", "go 6").await;
    assert_eq!(robot.chunk().await.actions[0], 6.0);
}

#[tokio::test]
async fn a_failing_or_crashing_policy_is_reported_and_used_again() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    for (instruction, reason) in [
        ("please break", "told to break"),
        ("please crash", "told to crash"),
        ("please nan", "not a finite number"),
    ] {
        command(&mut viewer, "arm", instruction).await;
        wait_status(&mut viewer, |status| status.instruction == instruction).await;
        robot.observe().await;
        let error = wait_error(&mut viewer).await;
        assert!(error.message.contains(reason), "{error:?}");
    }
    command(&mut viewer, "arm", "go 3").await;
    assert_eq!(robot.chunk().await.actions[0], 3.0);
}

#[tokio::test]
async fn a_chunk_that_took_too_long_is_not_sent() {
    let studio = TestStudio::with(Ok(Box::new(Scripted::new())), quick()).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "be slow").await;
    wait_status(&mut viewer, |status| status.instruction == "be slow").await;
    robot.observe().await;
    assert_eq!(wait_error(&mut viewer).await.code, "chunk_too_old");
}

#[tokio::test]
async fn a_command_without_a_policy_is_refused_with_the_reason() {
    let studio = TestStudio::with(Err("no weights inside".to_owned()), quick()).await;
    let _robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 1").await;
    let error = wait_error(&mut viewer).await;
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("no_policy", "no weights inside")
    );
}

#[tokio::test]
async fn a_graceful_stop_closes_robots_and_viewers_and_ends() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 1").await;
    robot.chunk().await;
    studio.stop().await;
    use futures_util::StreamExt as _;
    let mut last = None;
    while let Some(Ok(message)) = robot.socket.next().await {
        last = Some(message);
    }
    assert!(
        matches!(
            last,
            Some(tokio_tungstenite::tungstenite::Message::Close(_))
        ),
        "{last:?}"
    );
}
