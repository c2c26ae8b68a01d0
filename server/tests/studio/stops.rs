//! Stops arrive and hold, whatever happens to connections, names and the studio.

use super::support::*;
use futures_util::StreamExt as _;
use policies::question_answerer::unavailable;
use protocol::{
    FromViewer, Mode, ToRobot, ToViewer,
    robot::{ResetScene, RobotHello},
    viewer::{Command, Heartbeat, ReleaseRobot, ResetRobot, StopAccepted, StopAll, StopRobot},
};
use server::{Config, Limits, client::ViewerClient, data::DataFolder, scorer_service};
use std::{path::Path, time::Duration};
use tokio_tungstenite::tungstenite::Message;

pub fn config(limits: Limits, data: Option<&Path>) -> Config {
    Config {
        policy: Ok(Box::new(Scripted::new())),
        question_answerer: unavailable("The test"),
        scorer: scorer_service::unavailable("The test"),
        recordings: Default::default(),
        data: data.map(|folder| DataFolder::open(folder).unwrap()),
        limits,
    }
}

pub async fn press(viewer: &mut ViewerClient, robot_id: &str, press_id: u64) -> StopAccepted {
    let stop = StopRobot {
        robot_id: robot_id.to_owned(),
        press_id,
    };
    viewer.send(&stop.into()).await.unwrap();
    accepted(viewer).await
}

pub async fn accepted(viewer: &mut ViewerClient) -> StopAccepted {
    viewer
        .wait_for("the answer to a stop", SOON, |message| match message {
            ToViewer::StopAccepted(accepted) => Some(accepted),
            _ => None,
        })
        .await
        .unwrap()
}

pub async fn release(viewer: &mut ViewerClient, robot_id: &str) {
    let release = ReleaseRobot {
        robot_id: robot_id.to_owned(),
        heard_beat: None,
        stop_number: None,
    };
    viewer.send(&release.into()).await.unwrap();
}

/// Sends a hello with a token, and returns the first message and the robot.
pub async fn resume(studio: &TestStudio, hello: RobotHello) -> (ToRobot, Robot) {
    let mut robot = Robot {
        socket: dial(studio, "/ws/robot").await,
        robot_id: String::new(),
        sequence: 0,
    };
    robot.send(hello).await;
    (robot.next().await, robot)
}

#[tokio::test]
async fn a_press_is_answered_with_its_number_and_stops_once() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    let answer = press(&mut viewer, "arm", 77).await;
    assert_eq!(answer.press_id, 77);
    assert_eq!(answer.robots[0].robot_id, "arm");
    assert!(answer.robots[0].connected);
    assert!(answer.not_on_disk.contains("data folder"), "{answer:?}");
    while !matches!(robot.next().await, ToRobot::Stop(_)) {}
    // The viewer that pressed may get the new status before the acknowledgement.
    let mut other = studio.watcher("arm").await;
    let status = wait_status(&mut other, |status| status.stop_delivered).await;
    assert!(status.stop_requested && !status.stopped);
    release(&mut viewer, "arm").await;
    wait_status(&mut viewer, |status| !status.stop_requested).await;
    // The same press again, as from a page whose acknowledgement was lost: acknowledged, without another stop.
    assert_eq!(press(&mut viewer, "arm", 77).await.press_id, 77);
    command(&mut viewer, "arm", "go 4").await;
    assert_eq!(robot.chunk().await.actions[0], 4.0);
    assert_eq!(press(&mut viewer, "arm", 78).await.press_id, 78);
    wait_status(&mut other, |status| status.stop_requested).await;
}

#[tokio::test]
async fn the_number_of_another_viewer_is_another_press() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut one = studio.watcher("arm").await;
    let mut two = studio.watcher("arm").await;
    for viewer in [&mut one, &mut two] {
        assert_eq!(press(viewer, "arm", 1).await.robots.len(), 1);
        while !matches!(robot.next().await, ToRobot::Stop(_)) {}
        release(viewer, "arm").await;
        wait_status(viewer, |status| !status.stop_requested).await;
        command(viewer, "arm", "go 4").await;
        assert_eq!(robot.chunk().await.actions[0], 4.0);
    }
}

#[tokio::test]
async fn stop_all_reaches_every_robot_at_once() {
    let studio = TestStudio::start().await;
    let mut robots = Vec::new();
    for name in ["one", "two", "three"] {
        robots.push(Robot::connect(&studio, name).await);
    }
    let mut viewer = studio.viewer().await;
    viewer.send(&StopAll { press_id: 5 }.into()).await.unwrap();
    let answer = accepted(&mut viewer).await;
    assert_eq!((answer.press_id, answer.robots.len()), (5, 3));
    for robot in &mut robots {
        while !matches!(robot.next().await, ToRobot::Stop(_)) {}
    }
}

#[tokio::test]
async fn a_stop_for_a_disconnected_robot_is_sent_when_it_reconnects() {
    let studio = TestStudio::start().await;
    let robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    drop(robot);
    wait_status(&mut viewer, |status| !status.connected).await;
    let answer = press(&mut viewer, "arm", 1).await;
    assert!(!answer.robots[0].connected);
    let (first, _robot) = resume(&studio, hello("arm")).await;
    assert!(matches!(first, ToRobot::Stop(_)), "{first:?}");
}

#[tokio::test]
async fn a_robot_that_dials_again_while_its_old_connection_lives_keeps_its_stop() {
    let studio = TestStudio::start().await;
    let mut old = Robot {
        socket: dial(&studio, "/ws/robot").await,
        robot_id: String::new(),
        sequence: 0,
    };
    old.send(hello("arm")).await;
    let token = loop {
        if let ToRobot::Welcome(welcome) = old.next().await {
            break welcome.resume_token;
        }
    };
    let mut viewer = studio.watcher("arm").await;
    press(&mut viewer, "arm", 1).await;
    let resuming = RobotHello {
        resume_token: Some(token),
        ..hello("arm")
    };
    let (first, mut new) = resume(&studio, resuming).await;
    assert!(matches!(first, ToRobot::Stop(_)), "{first:?}");
    let ToRobot::Welcome(welcome) = new.next().await else {
        panic!("the welcome comes next");
    };
    assert_eq!(welcome.robot_id, "arm");
    assert_eq!(last_error(&mut old.socket).await.code, "replaced");
    let robots = studio.get("/api/robots", "").await;
    assert_eq!(robots.matches("robot_id").count(), 1, "{robots}");
    assert!(
        new.chunks_within(Duration::from_millis(200))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_second_robot_with_a_connected_name_is_refused() {
    let studio = TestStudio::start().await;
    let mut first = Robot::connect(&studio, "arm").await;
    let alive = tokio::spawn(async move {
        // Reading answers the pings.
        first.try_next(Duration::from_secs(3)).await;
        first
    });
    let mut second = dial(&studio, "/ws/robot").await;
    let frame = protocol::encode(&hello("arm")).unwrap();
    use futures_util::SinkExt as _;
    second.send(Message::Binary(frame.into())).await.unwrap();
    let error = last_error(&mut second).await;
    assert_eq!(error.code, "name_taken");
    assert!(error.message.contains("resume_token"), "{error:?}");
    let mut first = alive.await.unwrap();
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 3").await;
    assert_eq!(first.chunk().await.actions[0], 3.0);
}

#[tokio::test]
async fn a_robot_whose_old_connection_is_dead_resumes_its_session() {
    let studio = TestStudio::start().await;
    // No longer read, so its pings are not answered.
    let dead = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    press(&mut viewer, "arm", 1).await;
    let (first, _new) = resume(&studio, hello("arm")).await;
    assert!(matches!(first, ToRobot::Stop(_)), "{first:?}");
    drop(dead);
}

#[tokio::test]
async fn a_robot_that_does_not_read_is_cut_and_its_viewers_learn_of_it() {
    let limits = Limits {
        deaf_after: Duration::from_secs(1),
        ..Limits::default()
    };
    let studio = TestStudio::of(config(limits, None)).await;
    let robot = Robot::connect(&studio, "arm").await;
    let (sink, _unread) = robot.socket.split();
    let mut sink = sink;
    let mut viewer = studio.watcher("arm").await;
    let sending = tokio::spawn(async move {
        use futures_util::SinkExt as _;
        for sequence in 1.. {
            let frame = protocol::encode(&observation(sequence)).unwrap();
            if sink.send(Message::Binary(frame.into())).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let status = wait_status(&mut viewer, |status| !status.connected).await;
    assert!(!status.connected);
    sending.abort();
}

#[tokio::test]
async fn a_robot_stops_when_the_viewer_that_set_it_off_leaves() {
    let studio = TestStudio::of(config(Limits::default(), None)).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut operator = studio.watcher("arm").await;
    let mut other = studio.watcher("arm").await;
    command(&mut operator, "arm", "go 5").await;
    robot.chunk().await;
    drop(operator);
    let error = wait_error(&mut other).await;
    assert_eq!(error.code, "operator_gone");
    robot.chunks_within(Duration::from_millis(100)).await;
    assert!(
        robot
            .chunks_within(Duration::from_millis(300))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_robot_stops_when_the_viewer_that_set_it_off_falls_silent() {
    let studio = TestStudio::of(config(Limits::default(), None)).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut operator = studio.watcher("arm").await;
    command(&mut operator, "arm", "go 5").await;
    robot.chunk().await;
    // A viewer that does not read answers no pings, as when a laptop sleeps.
    let mut driven = true;
    for _ in 0..50 {
        driven = !robot
            .chunks_within(Duration::from_millis(100))
            .await
            .is_empty();
        if !driven {
            break;
        }
    }
    assert!(!driven, "still driven after five seconds");
    // A simulated robot, or one that may run unattended, continues.
    let limits = Limits {
        unattended: true,
        operator_gone_after: Duration::from_millis(300),
        ..Limits::default()
    };
    let studio = TestStudio::of(config(limits, None)).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut operator = studio.watcher("arm").await;
    command(&mut operator, "arm", "go 5").await;
    robot.chunk().await;
    drop(operator);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(robot.chunk().await.actions[0], 5.0);
}

/// The number of the next heartbeat.
async fn heartbeat(viewer: &mut ViewerClient) -> u64 {
    let beat = viewer.wait_for("a heartbeat", SOON, |message| match message {
        ToViewer::Heartbeat(heartbeat) => Some(heartbeat.beat),
        _ => None,
    });
    beat.await.unwrap()
}

async fn command_having_heard(viewer: &mut ViewerClient, text: &str, heard_beat: u64) {
    let command = Command {
        robot_id: "arm".to_owned(),
        text: text.to_owned(),
        mode: Mode::Continuous,
        heard_beat: Some(heard_beat),
    };
    viewer.send(&command.into()).await.unwrap();
}

/// As if a link failed for a while and delivered its messages when it recovered.
#[tokio::test]
async fn what_comes_late_moves_nothing_and_a_stop_is_never_late() {
    let limits = Limits {
        command_within: Duration::from_millis(1500),
        unattended: true,
        ..Limits::default()
    };
    let studio = TestStudio::of(config(limits, None)).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    let old = heartbeat(&mut viewer).await;
    assert_eq!(old, 0, "a heartbeat precedes every command");
    let mut newest = old;
    while newest < 4 {
        newest = heartbeat(&mut viewer).await;
    }
    command_having_heard(&mut viewer, "go 6", old).await;
    let error = wait_error(&mut viewer).await;
    assert_eq!((error.code.as_str(), error.fatal), ("late", false));
    assert!(error.message.contains("instruction"), "{error:?}");
    command_having_heard(&mut viewer, "go 6", newest + 1000).await;
    let error = wait_error(&mut viewer).await;
    assert_eq!(error.code, "late");
    assert!(
        error.message.contains("was never sent on this connection"),
        "{error:?}"
    );
    let moved = robot.chunks_within(Duration::from_millis(300)).await;
    assert!(moved.is_empty());

    let newest = heartbeat(&mut viewer).await;
    command_having_heard(&mut viewer, "go 7", newest).await;
    assert_eq!(robot.chunk().await.actions[0], 7.0);
    // An empty instruction is never late.
    command_having_heard(&mut viewer, "", old).await;
    wait_status(&mut viewer, |status| status.instruction.is_empty()).await;

    press(&mut viewer, "arm", 1).await;
    for (message, what) in [
        (
            ReleaseRobot {
                robot_id: "arm".to_owned(),
                heard_beat: Some(old),
                stop_number: None,
            }
            .into(),
            "release",
        ),
        (
            ResetRobot {
                robot_id: "arm".to_owned(),
                scene: ResetScene::default(),
                heard_beat: Some(old),
            }
            .into(),
            "new scene",
        ),
    ] {
        let message: FromViewer = message;
        viewer.send(&message).await.unwrap();
        let error = wait_error(&mut viewer).await;
        assert_eq!(error.code, "late");
        assert!(error.message.contains(what), "{error:?}");
    }
    let mut other = studio.watcher("arm").await;
    assert!(wait_status(&mut other, |_| true).await.stop_requested);
    let newest = heartbeat(&mut viewer).await;
    let in_time = ReleaseRobot {
        robot_id: "arm".to_owned(),
        heard_beat: Some(newest),
        stop_number: None,
    };
    viewer.send(&in_time.into()).await.unwrap();
    wait_status(&mut other, |status| !status.stop_requested).await;
}

#[tokio::test]
async fn viewers_get_a_heartbeat_twice_a_second() {
    let studio = TestStudio::start().await;
    let mut viewer = studio.viewer().await;
    let started = std::time::Instant::now();
    let mut beats = Vec::new();
    while beats.len() < 4 {
        if let ToViewer::Heartbeat(Heartbeat { beat, problems }) = viewer.next().await.unwrap() {
            assert!(problems.is_empty(), "{problems:?}");
            beats.push(beat);
        }
    }
    assert_eq!(beats, [0, 1, 2, 3]);
    assert!(started.elapsed() < Duration::from_secs(6));
}
