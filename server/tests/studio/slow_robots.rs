//! Robots that read slowly or not at all: the messages queued before their stop, and when chunks resume.

use super::{stops::config, support::*};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{ToRobot, ToViewer, viewer::StopRobot};
use server::Limits;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

/// Sends observations without reading, for this time.
async fn observe_for(robot: &mut Robot, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        robot.observe().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn few_messages_wait_before_the_stop_of_a_robot_that_does_not_read() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 5").await;
    robot.chunk().await;
    // A ping is sent within half a second, and counts as missed half a second later.
    observe_for(&mut robot, Duration::from_millis(2500)).await;
    let in_time = robot.sequence;
    for number in 1..=20 {
        command(&mut viewer, "arm", &format!("go {number}")).await;
    }
    observe_for(&mut robot, Duration::from_secs(2)).await;
    let problem = viewer.wait_for("a problem", SOON, |message| match message {
        ToViewer::Error(error) if error.code == "chunk_unread" => Some(error.message),
        _ => None,
    });
    let problem = problem.await.unwrap();
    assert!(problem.contains("has not read"), "{problem}");
    let stop = StopRobot {
        robot_id: "arm".to_owned(),
        press_id: 1,
    };
    viewer.send(&stop.into()).await.unwrap();
    // The stop is sent although the robot does not read.
    wait_status(&mut viewer, |status| status.stop_delivered).await;
    let mut chunks = 0;
    loop {
        match robot.next().await {
            ToRobot::Stop(_) => break,
            ToRobot::Chunk(chunk) => {
                chunks += 1;
                assert!(chunk.observation_sequence <= in_time, "{chunk:?}");
            }
            ToRobot::Instruction(instruction) => {
                panic!("{instruction:?} was queued before the stop");
            }
            _ => {}
        }
    }
    eprintln!("{chunks} chunks before the stop");
    let metrics = studio.get("/metrics", "").await;
    assert!(
        metrics.contains("chunks_dropped_total{kind=\"unread\"}"),
        "{metrics}"
    );
}

#[tokio::test]
async fn chunks_resume_for_a_robot_that_is_busy_between_reads() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 5").await;
    for _ in 0..4 {
        let before = robot.chunk().await.observation_sequence;
        observe_for(&mut robot, Duration::from_millis(1700)).await;
        let missed = robot.sequence;
        let resumed = async {
            loop {
                let chunk = robot.chunk().await;
                if chunk.observation_sequence > missed {
                    return chunk;
                }
            }
        };
        let read_at = Instant::now();
        let chunk = tokio::time::timeout(SOON, resumed).await.unwrap();
        eprintln!("chunks again after {:?}", read_at.elapsed());
        assert!(chunk.observation_sequence > before);
        assert_eq!(chunk.actions[0], 5.0);
    }
    let metrics = studio.get("/metrics", "").await;
    assert!(metrics.contains("policy_studio_robots 1"), "{metrics}");
    assert!(!metrics.contains("kind=\"deaf\""), "{metrics}");
}

#[tokio::test]
async fn unsolicited_pongs_do_not_count_as_reading() {
    let limits = Limits {
        deaf_after: Duration::from_millis(1500),
        ..Limits::default()
    };
    let studio = TestStudio::of(config(limits, None)).await;
    let robot = Robot::connect(&studio, "arm").await;
    let (mut sink, _unread) = robot.socket.split();
    let mut viewer = studio.watcher("arm").await;
    let sending = tokio::spawn(async move {
        for number in 1_u64.. {
            let content = Bytes::copy_from_slice(&number.to_be_bytes());
            if sink.send(Message::Pong(content)).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    });
    wait_status(&mut viewer, |status| !status.connected).await;
    let metrics = studio.get("/metrics", "").await;
    assert!(metrics.contains("kind=\"deaf\""), "{metrics}");
    sending.abort();
}
