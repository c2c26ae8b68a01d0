//! Every broken peer gets an error message, and all others are unaffected.

use super::support::*;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{FrameError, ToRobot, robot::Observation};
use server::Limits;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

async fn quick_studio() -> TestStudio {
    TestStudio::with(Ok(Box::new(Scripted::new())), quick()).await
}

async fn next_error(robot: &mut Robot) -> protocol::ErrorMessage {
    loop {
        if let ToRobot::Error(error) = robot.next().await {
            return error;
        }
    }
}

#[tokio::test]
async fn a_malformed_frame_gets_an_error_and_the_robot_continues() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut frame = protocol::encode(&observation(1)).unwrap();
    frame.truncate(20);
    robot.send_bytes(frame).await;
    let error = next_error(&mut robot).await;
    assert_eq!((error.code.as_str(), error.fatal), ("bad_body", false));
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 5").await;
    assert_eq!(robot.chunk().await.actions[0], 5.0);
    let metrics = studio.get("/metrics", "").await;
    assert!(
        metrics.contains("policy_studio_errors_total{kind=\"bad_body\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_peer_that_sends_only_broken_frames_is_disconnected() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    for _ in 0..20 {
        robot.send_bytes(vec![b'P', b'S', 1, 2, 0xc1]).await;
    }
    let error = last_error(&mut robot.socket).await;
    assert!(
        error.fatal && error.message.contains("in a row"),
        "{error:?}"
    );
}

#[tokio::test]
async fn another_protocol_version_is_refused_with_both_numbers() {
    let studio = TestStudio::start().await;
    let mut socket = dial(&studio, "/ws/robot").await;
    let mut frame = protocol::encode(&hello("arm")).unwrap();
    frame[2] = 9;
    socket.send(Message::Binary(frame.into())).await.unwrap();
    let error = last_error(&mut socket).await;
    assert_eq!(error.code, "wrong_version");
    assert_eq!(
        error.message,
        FrameError::WrongVersion { got: 9 }.to_string()
    );
    assert!(error.fatal);
}

#[tokio::test]
async fn a_first_frame_other_than_a_hello_is_refused() {
    let studio = TestStudio::start().await;
    let mut socket = dial(&studio, "/ws/robot").await;
    let frame = protocol::encode(&observation(1)).unwrap();
    socket.send(Message::Binary(frame.into())).await.unwrap();
    assert_eq!(last_error(&mut socket).await.code, "no_hello");
}

#[tokio::test]
async fn an_oversized_image_is_refused_with_the_limit() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    // Encoded by hand, because the codec refuses to write it.
    #[derive(serde::Serialize)]
    struct View {
        name: &'static str,
        encoding: &'static str,
        width: u32,
        height: u32,
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    }
    #[derive(serde::Serialize)]
    struct Oversized {
        sequence: u64,
        captured_at_micros: u64,
        state: Vec<f32>,
        views: Vec<View>,
    }
    let oversized = Oversized {
        sequence: 1,
        captured_at_micros: 1,
        state: vec![0.0, 0.0],
        views: vec![View {
            name: "eye",
            encoding: "rgb8",
            width: 5000,
            height: 2,
            data: vec![0; 5000 * 2 * 3],
        }],
    };
    let mut frame = b"PS\x01\x02".to_vec();
    frame.extend(rmp_serde::to_vec_named(&oversized).unwrap());
    robot.send_bytes(frame).await;
    let error = next_error(&mut robot).await;
    assert_eq!((error.code.as_str(), error.fatal), ("invalid", false));
    assert!(
        error.message.contains("5000x2") && error.message.contains("4096"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_frame_beyond_16_mib_ends_the_connection_in_words() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    robot
        .send_bytes(vec![0; protocol::MAX_FRAME_BYTES + 1])
        .await;
    let error = last_error(&mut robot.socket).await;
    assert_eq!(error.code, "too_large");
    assert!(error.message.contains("smaller images"), "{error:?}");
    // The transport refuses the next one before it reaches the codec.
    let mut robot = Robot::connect(&studio, "arm").await;
    let huge = Message::Binary(Bytes::from(vec![0; protocol::MAX_FRAME_BYTES * 2]));
    robot.socket.send(huge).await.ok();
    studio.get("/healthz", "").await;
    assert!(studio.get("/healthz", "").await.contains("200 OK"));
}

#[tokio::test]
async fn a_text_frame_gets_an_error() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    robot
        .socket
        .send(Message::Text("hello".into()))
        .await
        .unwrap();
    assert_eq!(next_error(&mut robot).await.code, "text_frame");
}

#[tokio::test]
async fn a_socket_without_a_hello_is_closed() {
    let studio = quick_studio().await;
    let started = Instant::now();
    let mut socket = dial(&studio, "/ws/robot").await;
    assert_eq!(last_error(&mut socket).await.code, "hello_timeout");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_half_open_socket_is_noticed_and_its_robot_marked_as_gone() {
    let studio = quick_studio().await;
    let robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    // The robot's socket is no longer read, so pings are not answered, and no FIN is sent either.
    let status = wait_status(&mut viewer, |status| !status.connected).await;
    assert!(!status.connected);
    drop(robot);
}

#[tokio::test]
async fn a_quiet_robot_that_answers_pings_stays() {
    let studio = quick_studio().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    // Reading answers the pings; three times the permitted silence passes.
    assert!(robot.try_next(Duration::from_millis(2700)).await.is_none());
    let robots = studio.get("/api/robots", "").await;
    assert!(robots.contains("\"connected\":true"), "{robots}");
}

#[tokio::test]
async fn a_killed_robot_is_reported_and_others_continue() {
    let studio = TestStudio::start().await;
    let victim = Robot::connect(&studio, "victim").await;
    let mut other = Robot::connect(&studio, "other").await;
    let mut viewer = studio.watcher("victim").await;
    wait_status(&mut viewer, |status| status.connected).await;
    drop(victim);
    wait_status(&mut viewer, |status| !status.connected).await;
    command(&mut viewer, "victim", "go 1").await;
    assert_eq!(wait_error(&mut viewer).await.code, "robot_disconnected");
    command(&mut viewer, "other", "go 2").await;
    assert_eq!(other.chunk().await.actions[0], 2.0);
}

#[tokio::test]
async fn an_observation_without_the_policys_camera_is_reported_to_viewers() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 1").await;
    wait_status(&mut viewer, |status| status.instruction == "go 1").await;
    let mut blind = observation(1);
    blind.views[0].name = "ear".to_owned();
    robot.send(blind).await;
    let error = wait_error(&mut viewer).await;
    assert!(error.message.contains("lacks eye"), "{error:?}");
    let short = Observation {
        state: vec![0.0],
        ..observation(2)
    };
    robot.send(short).await;
    let error = wait_error(&mut viewer).await;
    assert!(error.message.contains("1 state values"), "{error:?}");
    assert_eq!(robot.chunk().await.actions[0], 1.0);
}

#[tokio::test]
async fn a_robot_of_an_unknown_tag_gets_the_known_tags() {
    let studio = TestStudio::start().await;
    let mut socket = dial(&studio, "/ws/robot").await;
    let mut strange = hello("arm");
    strange.tag = "octopus".to_owned();
    let frame = protocol::encode(&strange).unwrap();
    socket.send(Message::Binary(frame.into())).await.unwrap();
    let error = loop {
        if let Some(Ok(Message::Binary(frame))) = socket.next().await
            && let ToRobot::Error(error) = ToRobot::decode(&frame).unwrap()
        {
            break error;
        }
    };
    assert_eq!((error.code.as_str(), error.fatal), ("unknown_tag", false));
    assert!(
        error.message.contains("octopus") && error.message.contains(TAG),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_full_studio_refuses_the_next_robot() {
    let limits = Limits {
        max_robots: 1,
        ..Limits::default()
    };
    let studio = TestStudio::with(Ok(Box::new(Scripted::new())), limits).await;
    let _first = Robot::connect(&studio, "first").await;
    let mut socket = dial(&studio, "/ws/robot").await;
    let frame = protocol::encode(&hello("second")).unwrap();
    socket.send(Message::Binary(frame.into())).await.unwrap();
    assert_eq!(last_error(&mut socket).await.code, "full");
}
