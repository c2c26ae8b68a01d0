//! Limits on the size and rate of a peer's messages, and service of the others meanwhile.

use super::support::*;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    CameraDescription, ErrorMessage, FromRobot, JointDescription, Message as _, TaskState, ToRobot,
    ToViewer,
    robot::{RobotHello, RobotReport},
    viewer::{Heard, StopRobot},
};
use server::Limits;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, tungstenite::Message};

/// A hello of nearly the maximum size.
pub fn large_hello(name: &str) -> RobotHello {
    let mut hello = RobotHello {
        joints: (0..64)
            .map(|_| JointDescription {
                name: "j".repeat(256),
                unit: "u".repeat(256),
                min: -1.0,
                max: 1.0,
            })
            .collect(),
        cameras: (0..8)
            .map(|_| CameraDescription {
                name: "c".repeat(256),
                ..hello(name).cameras.remove(0)
            })
            .collect(),
        ..hello(name)
    };
    while protocol::encode(&hello).is_ok() {
        hello.example_instructions.push("e".repeat(2000));
    }
    hello.example_instructions.pop();
    assert!(protocol::encode(&hello).unwrap().len() > RobotHello::MAX_BYTES - 2100);
    hello
}

#[tokio::test]
async fn a_page_that_opens_later_sees_all_robots_however_large_their_hellos_are() {
    let studio = TestStudio::start().await;
    let mut robots = Vec::new();
    for number in 0..64 {
        let mut socket = dial(&studio, "/ws/robot").await;
        let hello = large_hello(&format!("arm{number}"));
        let frame = protocol::encode(&hello).unwrap();
        socket.send(Message::Binary(frame.into())).await.unwrap();
        assert!(socket.next().await.unwrap().is_ok());
        robots.push(socket);
    }
    let mut viewer = studio.viewer().await;
    let seen = viewer.wait_for("the robots", SOON, |message| match message {
        ToViewer::Robots(list) => Some(list.robots.len()),
        _ => None,
    });
    assert_eq!(seen.await.unwrap(), 64);
}

/// A hello whose field is too long, written by hand because the codec does not write it.
#[tokio::test]
async fn a_hello_with_long_names_is_refused_without_hiding_other_robots() {
    #[derive(serde::Serialize)]
    struct Camera {
        name: String,
        width: u32,
        height: u32,
    }
    #[derive(serde::Serialize)]
    struct Hello {
        name: &'static str,
        tag: &'static str,
        joints: Vec<JointDescription>,
        cameras: Vec<Camera>,
        control_rate_hz: f32,
    }
    let studio = TestStudio::start().await;
    let _arm = Robot::connect(&studio, "arm").await;
    for (camera, unit) in [(300, 3), (3, 300), (10 << 20, 3), (3, 10 << 20)] {
        let hostile = Hello {
            name: "hostile",
            tag: TAG,
            joints: vec![JointDescription {
                unit: "u".repeat(unit),
                ..hello("x").joints.remove(0)
            }],
            cameras: vec![Camera {
                name: "c".repeat(camera),
                width: 1,
                height: 1,
            }],
            control_rate_hz: 30.0,
        };
        let mut frame = b"PS\x01\x01".to_vec();
        frame.extend(rmp_serde::to_vec_named(&hostile).unwrap());
        let mut socket = dial(&studio, "/ws/robot").await;
        socket.send(Message::Binary(frame.into())).await.ok();
        let end = async { while let Some(Ok(_)) = socket.next().await {} };
        timeout(SOON, end).await.expect("it is sent away");
    }
    let mut viewer = studio.viewer().await;
    let seen = viewer.wait_for("the robots", SOON, |message| match message {
        ToViewer::Robots(list) => Some(list.robots[0].robot_id.clone()),
        _ => None,
    });
    assert_eq!(seen.await.unwrap(), "arm");
}

#[tokio::test]
async fn a_viewer_sends_small_messages_only() {
    let studio = TestStudio::start().await;
    let mut socket = dial(&studio, "/ws/viewer").await;
    let hello = protocol::viewer::ViewerHello {
        client: "test".to_owned(),
    };
    let frame = protocol::encode(&hello).unwrap();
    socket.send(Message::Binary(frame.into())).await.unwrap();
    // Within the limit of the connection, but beyond the limit of the field.
    let mut long = b"PS\x01\x22\x81\xa8robot_id\xda".to_vec();
    long.extend(9000_u16.to_be_bytes());
    long.extend([b'x'; 9000]);
    socket.send(Message::Binary(long.into())).await.unwrap();
    let error = loop {
        if let Some(Ok(Message::Binary(frame))) = socket.next().await
            && let Ok(error) = protocol::decode::<ErrorMessage>(&frame)
        {
            break error;
        }
    };
    assert_eq!(
        (error.code.as_str(), error.fatal),
        ("too_large_for_kind", false)
    );
    let huge = Message::Binary(Bytes::from(vec![0; 100 << 10]));
    socket.send(huge).await.ok();
    let error = last_error(&mut socket).await;
    assert_eq!((error.code.as_str(), error.fatal), ("too_large", true));
}

#[tokio::test]
async fn a_robot_may_send_an_image_directly_after_its_hello() {
    let studio = TestStudio::start().await;
    let mut socket = dial(&studio, "/ws/robot").await;
    let mut large = observation(1);
    large.views[0].width = 640;
    large.views[0].height = 480;
    large.views[0].data = vec![7; 640 * 480 * 3];
    for message in [FromRobot::from(hello("arm")), large.into()] {
        let frame = message.encode().unwrap();
        socket.feed(Message::Binary(frame.into())).await.unwrap();
    }
    socket.flush().await.unwrap();
    let until = Instant::now() + SOON;
    loop {
        let metrics = studio.get("/metrics", "").await;
        if metrics.contains("policy_studio_observations_total 1") {
            break;
        }
        assert!(Instant::now() < until, "{metrics}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Far more than the permitted burst, as fast as the connection takes it.
#[tokio::test]
async fn a_throttled_robot_loses_nothing_and_gets_its_stop() {
    const IMAGES: u64 = 8;
    const TICKS: u64 = 4242;
    let studio = TestStudio::start().await;
    let robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    let (mut sink, mut stream) = robot.socket.split();
    let sending = tokio::spawn(async move {
        let mut large = observation(0);
        large.views[0].width = 4096;
        large.views[0].height = 1300;
        large.views[0].data = vec![7; 4096 * 1300 * 3];
        for sequence in 1..=IMAGES {
            large.sequence = sequence;
            large.captured_at_micros = sequence * 1000;
            let frame = protocol::encode(&large).unwrap();
            sink.send(Message::Binary(frame.into())).await.unwrap();
        }
        let last = RobotReport {
            ticks: TICKS,
            ..report("", TaskState::Idle)
        };
        let frame = protocol::encode(&last).unwrap();
        sink.send(Message::Binary(frame.into())).await.unwrap();
        sink
    });
    let stopped = tokio::spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(frame) = message
                && matches!(ToRobot::decode(&frame), Ok(ToRobot::Stop(_)))
            {
                return true;
            }
        }
        false
    });
    let mut seen = Vec::new();
    loop {
        match timeout(SOON, viewer.next()).await.unwrap().unwrap() {
            ToViewer::State(state) => {
                if seen.is_empty() {
                    let stop = StopRobot {
                        robot_id: "arm".to_owned(),
                        press_id: 1,
                    };
                    viewer.send(&stop.into()).await.unwrap();
                }
                seen.push(state.sequence);
            }
            ToViewer::Status(status) if status.ticks == TICKS => break,
            _ => {}
        }
    }
    assert!(seen.is_sorted(), "{seen:?}");
    assert!(stopped.await.unwrap());
    drop(sending.await.unwrap());
    let metrics = studio.get("/metrics", "").await;
    let all = format!("policy_studio_observations_total {IMAGES}");
    assert!(metrics.contains(&all), "{metrics}");
}

#[tokio::test]
async fn a_flood_of_connections_without_a_hello_pushes_out_neither_slow_ones_nor_quick_ones() {
    let limits = Limits {
        max_ungreeted: 4,
        ..Limits::default()
    };
    let studio = TestStudio::with(Ok(Box::new(Scripted::new())), limits).await;
    let mut greeted = Robot::connect(&studio, "arm").await;
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(dial(&studio, "/ws/viewer").await);
    }
    // Half of the connections are reserved for the oldest, the others for the newest.
    for mut socket in waiting.drain(2..6) {
        let end = async { while let Some(Ok(_)) = socket.next().await {} };
        timeout(Duration::from_secs(3), end)
            .await
            .expect("it is sent away");
    }
    let hello = protocol::viewer::ViewerHello {
        client: "test".to_owned(),
    };
    let frame = Bytes::from(protocol::encode(&hello).unwrap());
    for socket in &mut waiting {
        let hello = Message::Binary(frame.clone());
        socket.send(hello).await.unwrap();
        let welcome =
            async { while !matches!(socket.next().await.unwrap().unwrap(), Message::Binary(_)) {} };
        timeout(SOON, welcome).await.expect("it is greeted");
    }
    greeted.observe().await;
}

#[tokio::test]
async fn viewers_that_sit_there_give_their_places_to_pages() {
    let limits = Limits {
        max_viewers: 4,
        hello_within: Duration::from_millis(300),
        // A viewer that the test does not read for a while must stay present.
        operator_gone_after: Duration::from_secs(60),
        ..Limits::default()
    };
    let studio = TestStudio::with(Ok(Box::new(Scripted::new())), limits).await;
    let _robot = Robot::connect(&studio, "arm").await;
    let mut watcher = studio.watcher("arm").await;
    wait_status(&mut watcher, |status| status.connected).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        let mut viewer = studio.viewer().await;
        let greeted = |message| matches!(message, ToViewer::Robots(_)).then_some(());
        viewer.wait_for("the robots", SOON, greeted).await.unwrap();
        // An open page echoes heartbeats by itself.
        let heartbeat = |message| match message {
            ToViewer::Heartbeat(heartbeat) => Some(heartbeat.beat),
            _ => None,
        };
        let beat = viewer
            .wait_for("a heartbeat", SOON, heartbeat)
            .await
            .unwrap();
        viewer.send(&Heard { beat }.into()).await.unwrap();
        silent.push(viewer);
    }
    sleep(Duration::from_millis(400)).await;
    let mut pages = Vec::new();
    for _ in 0..3 {
        let mut page = studio.watcher("arm").await;
        wait_status(&mut page, |status| status.connected).await;
        pages.push(page);
    }
    for viewer in &mut silent {
        let error = wait_error(viewer).await;
        assert_eq!((error.code.as_str(), error.fatal), ("idle", true));
    }
    // All remaining connections are in use.
    let mut further = studio.viewer().await;
    let error = wait_error(&mut further).await;
    assert_eq!((error.code.as_str(), error.fatal), ("full", true));
    command(&mut pages[0], "arm", "go 5").await;
    wait_status(&mut watcher, |status| status.instruction == "go 5").await;
}

#[tokio::test]
async fn a_message_that_arrives_too_slowly_ends_the_connection_in_spite_of_pings() {
    let studio = TestStudio::with(Ok(Box::new(Scripted::new())), quick()).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let started = Instant::now();
    let MaybeTlsStream::Plain(stream) = robot.socket.get_mut() else {
        unreachable!()
    };
    // A fragment other than the last, then pings.
    stream
        .write_all(&[0x02, 0x81, 0, 0, 0, 0, 1])
        .await
        .unwrap();
    loop {
        let ping = [0x89, 0x80, 0, 0, 0, 0];
        if stream.write_all(&ping).await.is_err() {
            break;
        }
        assert!(started.elapsed() < SOON);
        sleep(Duration::from_millis(50)).await;
        let mut drained = [0; 4096];
        let read = timeout(Duration::from_millis(1), stream.read(&mut drained)).await;
        if let Ok(Ok(0) | Err(_)) = read {
            break;
        }
    }
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_flood_of_pings_ends_the_connection() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let MaybeTlsStream::Plain(stream) = robot.socket.get_mut() else {
        unreachable!()
    };
    let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(1000);
    stream.write_all(&pings).await.ok();
    let end = async {
        let mut drained = vec![0; 1 << 16];
        while matches!(stream.read(&mut drained).await, Ok(1..)) {}
    };
    timeout(Duration::from_secs(4), end)
        .await
        .expect("it is sent away");
}

#[tokio::test]
async fn idle_connections_make_room_for_new_ones() {
    let limits = Limits {
        max_connections: 8,
        ..Limits::default()
    };
    let studio = TestStudio::with(Ok(Box::new(Scripted::new())), limits).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(TcpStream::connect(&studio.address).await.unwrap());
    }
    assert!(studio.get("/healthz", "").await.contains("200 OK"));
    let mut viewer = studio.watcher("arm").await;
    wait_status(&mut viewer, |status| status.connected).await;
    command(&mut viewer, "arm", "go 5").await;
    assert_eq!(robot.chunk().await.actions[0], 5.0);
}

#[tokio::test]
async fn every_answer_has_security_headers() {
    let studio = TestStudio::start().await;
    for path in ["/", "/api/robots", "/nothing.js", "/metrics", "/ws/robot"] {
        let answer = studio.request("GET", path, "").await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(policy.contains("ws://test wss://test"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-eval'") || policy.contains("'wasm-unsafe-eval'"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
    }
}
