//! Messages to viewers and programs about robots: little about disconnected ones, single changes, one shared copy.

use super::{limits::large_hello, support::*};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    FromRobot, ToRobot, ToViewer,
    viewer::{ReleaseRobot, RobotList, RobotSummary, StopRobot, ViewerHello},
};
use server::client::ViewerClient;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// A robot that sends this hello and waits for its welcome.
async fn dial_in(studio: &TestStudio, hello: protocol::robot::RobotHello) -> Robot {
    let mut robot = Robot {
        socket: dial(studio, "/ws/robot").await,
        robot_id: hello.name.clone(),
        sequence: 0,
    };
    let frame = FromRobot::from(hello).encode().unwrap();
    robot.send_bytes(frame).await;
    while !matches!(robot.next().await, ToRobot::Welcome(_)) {}
    robot
}

/// The next list or entry in which the robot matches `wanted`.
async fn wait_robot(
    viewer: &mut ViewerClient,
    robot_id: &str,
    wanted: impl Fn(&RobotSummary) -> bool,
) -> RobotSummary {
    viewer
        .wait_for("the robot", SOON, |message| {
            let robots = match message {
                ToViewer::Robots(list) => list.robots,
                ToViewer::Robot(changed) => vec![changed.robot],
                _ => Vec::new(),
            };
            let mut robots = robots.into_iter();
            robots.find(|robot| robot.robot_id == robot_id && wanted(robot))
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_hundred_disconnected_robots_with_large_hellos_make_a_short_list() {
    let studio = TestStudio::start().await;
    for number in 0..127 {
        drop(dial_in(&studio, large_hello(&format!("gone{number}"))).await);
    }
    let mut last = studio.viewer().await;
    wait_robot(&mut last, "gone126", |robot| !robot.connected).await;
    let all_left = async {
        while studio
            .get("/api/robots", "")
            .await
            .contains("\"connected\":true")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, all_left).await.unwrap();
    let here = dial_in(&studio, large_hello("here")).await;

    let mut viewer = dial(&studio, "/ws/viewer").await;
    let hello = ViewerHello {
        client: "test".to_owned(),
    };
    let frame = Bytes::from(protocol::encode(&hello).unwrap());
    viewer.send(Message::Binary(frame)).await.unwrap();
    let list = loop {
        let next = timeout(SOON, viewer.next()).await.unwrap();
        match next.unwrap().unwrap() {
            Message::Binary(frame) if frame[3] == 0x32 => break frame,
            _ => {}
        }
    };
    assert!(list.len() < 48 << 10, "{} bytes", list.len());
    let robots = protocol::decode::<RobotList>(&list).unwrap().robots;
    assert_eq!(robots.len(), 128);
    let gone = robots.iter().filter(|robot| !robot.connected);
    let left: Vec<_> = gone.map(|robot| robot.left_unix_secs).collect();
    assert_eq!(left.len(), 127);
    assert!(
        left.iter().all(|at| at.unwrap() > 1_600_000_000),
        "{left:?}"
    );

    // Subscribers get the details of a connected robot; a disconnected one has none.
    let mut watcher = studio.watcher("here").await;
    let details = wait_details(&mut watcher, |_| true).await;
    assert_eq!(details.joints.len(), 64);
    let mut watcher = studio.watcher("gone7").await;
    wait_status(&mut watcher, |status| !status.connected).await;
    let found = watcher.wait_for("details", Duration::from_millis(500), |message| {
        matches!(message, ToViewer::Details(_)).then_some(())
    });
    assert!(found.await.is_err());
    drop(here);
}

#[tokio::test]
async fn connecting_stopping_and_disconnecting_are_each_reported() {
    let studio = TestStudio::start().await;
    let _other = Robot::connect(&studio, "other").await;
    let mut viewer = studio.viewer().await;
    wait_robot(&mut viewer, "other", |robot| robot.connected).await;
    let arm = Robot::connect(&studio, "arm").await;
    wait_robot(&mut viewer, "arm", |robot| {
        robot.connected && !robot.stop_requested
    })
    .await;
    let stop = StopRobot {
        robot_id: "arm".to_owned(),
        press_id: 1,
    };
    viewer.send(&stop.into()).await.unwrap();
    wait_robot(&mut viewer, "arm", |robot| robot.stop_requested).await;
    drop(arm);
    let left = wait_robot(&mut viewer, "arm", |robot| !robot.connected).await;
    assert!(left.stop_requested && left.left_unix_secs.is_some());
    // A viewer that connects later gets the same.
    let mut later = studio.viewer().await;
    assert_eq!(wait_robot(&mut later, "arm", |_| true).await, left);
    let release = ReleaseRobot {
        robot_id: "arm".to_owned(),
        heard_beat: None,
        stop_number: None,
    };
    viewer.send(&release.into()).await.unwrap();
    wait_robot(&mut viewer, "arm", |robot| !robot.stop_requested).await;
    let _arm = Robot::connect(&studio, "arm").await;
    let back = wait_robot(&mut later, "arm", |robot| robot.connected).await;
    assert_eq!((back.stop_requested, back.left_unix_secs), (false, None));
}

#[tokio::test]
async fn while_robots_come_and_go_the_whole_list_is_seldom_sent_and_the_last_one_is_right() {
    let studio = TestStudio::start().await;
    let mut viewer = studio.viewer().await;
    let reading = tokio::spawn(async move {
        let (mut lists, mut known) = (0_u64, BTreeSet::<String>::new());
        while !known.contains("last") {
            match timeout(SOON, viewer.next()).await.unwrap().unwrap() {
                ToViewer::Robots(list) => {
                    lists += 1;
                    let robots = list.robots.into_iter();
                    known = robots.map(|robot| robot.robot_id).collect();
                }
                ToViewer::Robot(changed) => {
                    known.insert(changed.robot.robot_id);
                }
                _ => {}
            }
        }
        (lists, known)
    });
    let started = std::time::Instant::now();
    for number in 0..40 {
        drop(Robot::connect(&studio, &format!("r{number}")).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _last = Robot::connect(&studio, "last").await;
    let (lists, known) = timeout(SOON, reading).await.unwrap().unwrap();
    // The list after the hello, the first change, and one every two seconds.
    let most = 4 + started.elapsed().as_secs() / 2;
    assert!(lists <= most, "{lists} lists");
    assert_eq!(known.len(), 41, "{known:?}");
}

#[tokio::test]
async fn programs_fetch_the_same_short_list_and_it_is_up_to_date() {
    let studio = TestStudio::start().await;
    for number in 0..8 {
        let name = format!("gone{number}");
        drop(dial_in(&studio, large_hello(&name)).await);
        let list = studio.get("/api/robots", "").await;
        assert!(list.contains(&name), "the list is up to date: {list}");
    }
    let _here = dial_in(&studio, large_hello("here")).await;
    let list = studio.get("/api/robots", "").await;
    assert!(list.contains("content-type: application/json"), "{list}");
    assert!(list.contains("\"robot_id\":\"here\""), "{list}");
    assert!(list.len() < 8 << 10, "{} bytes", list.len());
}
