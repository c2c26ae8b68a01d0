//! Places, names and stops of robots that come and go.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::{
    connection_io::PeerActivity,
    peer_address::PeerAddress,
    peer_log::ConnectionLog,
    queues::mailbox::Mailbox,
    sessions::{connection::Connection, listing::BUILD_PERIOD},
};
use protocol::{JointDescription, robot::RobotHello};
use std::time::Duration;

fn registry(limits: Limits) -> Registry {
    let metrics = Arc::new(Metrics::new());
    let health = Health::new();
    let (inference, _) =
        Inference::start(Err("none".to_owned()), metrics.clone(), 1, &health).unwrap();
    let (scene_questions, _) = SceneQuestions::start(Err("none".to_owned()), &health).unwrap();
    let latches = Arc::new(Latches::open(None, &health).unwrap());
    let events = Events::open(None, &health).unwrap();
    Registry::new(
        inference,
        scene_questions,
        metrics,
        latches,
        events,
        health,
        limits,
    )
}

impl Registry {
    fn log(&self) -> ConnectionLog {
        ConnectionLog::new(PeerAddress::UNKNOWN, self.logs.clone())
    }
}

fn hello(name: &str) -> RobotHello {
    RobotHello {
        name: name.to_owned(),
        tag: "tag".to_owned(),
        joints: vec![JointDescription {
            name: "pan".to_owned(),
            unit: "deg".to_owned(),
            min: -1.0,
            max: 1.0,
        }],
        cameras: Vec::new(),
        control_rate_hz: 30.0,
        example_instructions: Vec::new(),
        simulated: false,
        resume_token: None,
    }
}

async fn connect(
    registry: &Registry,
    hello: RobotHello,
) -> (Arc<Session>, Connection, Arc<PeerActivity>) {
    let heard = Arc::<PeerActivity>::default();
    let (session, connection) = registry
        .connect(hello, &Arc::default(), &heard, &registry.log())
        .await
        .unwrap();
    (session, connection, heard)
}

#[tokio::test]
async fn a_name_whose_robot_is_alive_is_refused_and_the_robot_keeps_its_place() {
    let registry = registry(Limits::default());
    let (first, connection, heard) = connect(&registry, hello("Arm A")).await;
    assert_eq!(first.robot_id(), "arm-a");
    tokio::spawn(async move {
        loop {
            heard.note();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let refused = registry
        .connect(
            hello("Arm A"),
            &Arc::default(),
            &Arc::default(),
            &registry.log(),
        )
        .await
        .unwrap_err();
    assert_eq!((refused.code.as_str(), refused.fatal), ("name_taken", true));
    assert!(first.is_connected() && !connection.cut.is_cancelled());
}

#[tokio::test]
async fn a_dead_connection_is_cut_for_a_new_one_which_inherits_the_stop() {
    let registry = registry(Limits::default());
    let (first, old, _) = connect(&registry, hello("arm")).await;
    assert!(first.stop("test"));
    let mailbox = Arc::<Mailbox>::default();
    let (again, new) = registry
        .connect(hello("arm"), &mailbox, &Arc::default(), &registry.log())
        .await
        .unwrap();
    assert!(Arc::ptr_eq(&first, &again) && old.cut.is_cancelled());
    assert!(matches!(mailbox.take(), Some(protocol::ToRobot::Stop(_))));
    // The end of the old connection is not the end of the robot.
    registry.disconnect(&first, old.number);
    assert!(again.is_connected());
    registry.disconnect(&again, new.number);
    assert!(!again.is_connected());
}

#[tokio::test]
async fn the_token_of_its_welcome_takes_the_place_over_at_once() {
    let registry = registry(Limits::default());
    let (first, old, heard) = connect(&registry, hello("arm")).await;
    heard.note();
    let mut resuming = hello("arm");
    resuming.resume_token = Some(old.resume_token.clone());
    let (again, _, _) = connect(&registry, resuming).await;
    assert!(Arc::ptr_eq(&first, &again) && old.cut.is_cancelled());
    assert_eq!(registry.metrics.robots.get(), 1);
}

#[tokio::test]
async fn a_stop_is_remembered_behind_ten_thousand_other_robots() {
    let registry = registry(Limits::default());
    let (arm, connection, _) = connect(&registry, hello("arm")).await;
    assert!(arm.stop("test"));
    registry.disconnect(&arm, connection.number);
    for number in 0..10_000 {
        let (other, connection, _) = connect(&registry, hello(&format!("r{number}"))).await;
        registry.disconnect(&other, connection.number);
    }
    assert!(registry.robot("arm").is_none(), "only its latch is kept");
    let mailbox = Arc::<Mailbox>::default();
    let (again, _) = registry
        .connect(hello("arm"), &mailbox, &Arc::default(), &registry.log())
        .await
        .unwrap();
    assert!(matches!(mailbox.take(), Some(protocol::ToRobot::Stop(_))));
    assert_eq!(
        again
            .command("go", protocol::Mode::Continuous, 1)
            .unwrap_err()
            .code,
        "stopped"
    );
    again.release(None, None).unwrap();
    assert!(
        again
            .command("go", protocol::Mode::Continuous, 1)
            .is_err_and(|e| e.code == "no_policy")
    );
}

#[tokio::test]
async fn a_robot_that_sends_nothing_gives_its_place_and_one_that_works_does_not() {
    let registry = registry(Limits {
        max_robots: 1,
        hello_within: Duration::ZERO,
        ..Limits::default()
    });
    let (idle, old, _) = connect(&registry, hello("idle")).await;
    let (working, connection, _) = connect(&registry, hello("working")).await;
    assert!(old.gave_way() && old.cut.is_cancelled() && !idle.is_connected());
    registry.disconnect(&idle, old.number);
    assert_eq!(registry.metrics.robots.get(), 1);
    connection.used();
    let refused = registry
        .connect(
            hello("third"),
            &Arc::default(),
            &Arc::default(),
            &registry.log(),
        )
        .await
        .unwrap_err();
    assert_eq!(refused.code, "full");
    assert!(working.is_connected() && !connection.cut.is_cancelled());
}

#[tokio::test]
async fn a_full_studio_names_its_limit() {
    let registry = registry(Limits {
        max_robots: 1,
        ..Limits::default()
    });
    let _first = connect(&registry, hello("a")).await;
    let refused = registry
        .connect(
            hello("b"),
            &Arc::default(),
            &Arc::default(),
            &registry.log(),
        )
        .await
        .unwrap_err();
    assert!(refused.message.contains("at most 1 robots"));
}

#[tokio::test]
async fn the_list_is_built_once_for_all_callers_and_is_current() {
    let registry = registry(Limits::default());
    let (arm, connection, _) = connect(&registry, hello("arm")).await;
    let one = registry.robots_json().await;
    let other = registry.robots_json().await;
    assert_eq!(one.as_ptr(), other.as_ptr());
    let built_at = Instant::now();
    registry.stop(std::slice::from_ref(&arm), "test");
    registry.disconnect(&arm, connection.number);
    let newer = registry.robots_json().await;
    assert!(built_at.elapsed() >= BUILD_PERIOD / 2, "not at once");
    let json = String::from_utf8(newer.to_vec()).unwrap();
    for part in [
        "\"stop_requested\":true",
        "\"connected\":false",
        "\"left_unix_secs\":",
    ] {
        assert!(json.contains(part), "{json}");
    }
    registry.release(&arm, None, None).unwrap();
    let released = registry.robots_json().await;
    assert!(String::from_utf8_lossy(&released).contains("\"stop_requested\":false"));
}
