#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::viewer::{RobotSummary, StoppedRobot};

use super::*;
use crate::backoff::Connection;
use crate::test_status::idle_status;

const FIRST: u64 = 7_000;

fn robot(id: &str) -> RobotSummary {
    RobotSummary {
        robot_id: id.to_owned(),
        name: id.to_owned(),
        connected: true,
        simulated: true,
        ..RobotSummary::default()
    }
}

fn status(id: &str) -> RobotStatus {
    RobotStatus {
        holding: true,
        stop_requested: true,
        stop_delivered: true,
        ..idle_status(id)
    }
}

fn seen(connection: Connection, robots: &[RobotSummary], now_millis: f64) -> PageKnowledge<'_> {
    PageKnowledge {
        connection,
        upgrade_is_blocked: false,
        robots,
        watched: Some("a"),
        now_millis,
    }
}

fn one() -> Target {
    Target::Robot("a".to_owned())
}

fn accepted(press_id: u64, robots: &[(&str, bool)]) -> StopAccepted {
    StopAccepted {
        press_id,
        robots: robots
            .iter()
            .map(|(id, connected)| StoppedRobot {
                robot_id: (*id).to_owned(),
                connected: *connected,
            })
            .collect(),
        not_on_disk: String::new(),
    }
}

/// Times at which presses are sent, polled every 50 ms, on a link without answers.
fn sends(stopping: &mut Stopping, from: u32, to: u32) -> Vec<u32> {
    let mut times = vec![];
    for now in (from..to).step_by(50) {
        for (id, _) in stopping.due(f64::from(now)) {
            stopping.sent(id, f64::from(now));
            times.push(now);
        }
    }
    times
}

#[test]
fn a_press_goes_out_at_once_and_again_until_it_is_answered() {
    let mut stopping = Stopping::new(FIRST);
    assert!(!stopping.is_open());
    stopping.press(one(), vec![], 100.0);
    let due = stopping.due(100.0);
    assert_eq!(
        due.first().map(|(_, message)| message.clone()),
        Some(
            StopRobot {
                robot_id: "a".to_owned(),
                press_id: FIRST
            }
            .into()
        )
    );
    assert_eq!(sends(&mut stopping, 100, 1_000), [100, 350, 600, 850]);
    stopping.accepted(accepted(FIRST + 9, &[("a", true)]));
    assert!(stopping.is_open(), "the answer to another press");
    stopping.accepted(accepted(FIRST, &[("a", true)]));
    assert!(!stopping.is_open());
    assert!(stopping.due(9_000.0).is_empty());
}

#[test]
fn a_new_connection_gets_it_first() {
    let mut stopping = Stopping::new(FIRST);
    stopping.press(one(), vec![], 0.0);
    assert_eq!(sends(&mut stopping, 0, 50), [0]);
    stopping.connected();
    assert_eq!(sends(&mut stopping, 50, 100), [50]);
}

#[test]
fn pressing_again_is_another_stop_at_once() {
    let mut stopping = Stopping::new(FIRST);
    stopping.press(one(), vec![], 0.0);
    sends(&mut stopping, 0, 50);
    // The first may have been carried out, its answer lost, and the robot released since.
    stopping.press(one(), vec![], 100.0);
    let numbers: Vec<u64> = stopping.due(100.0).iter().map(|(id, _)| *id).collect();
    assert_eq!(numbers, [FIRST + 1]);
    stopping.accepted(accepted(FIRST, &[("a", true)]));
    assert!(
        stopping.is_open(),
        "the answer to the first is no answer to the second"
    );
    // Its age counts from the first press.
    let robots = [robot("a")];
    let late = stopping.press_text(&seen(Connection::Live, &robots, LATE_MILLIS));
    assert!(late.is_some_and(|said| said.is_late));
    stopping.accepted(accepted(FIRST + 1, &[("a", true)]));
    assert!(!stopping.is_open());
}

#[test]
fn a_stop_of_one_robot_stops_no_other() {
    let mut stopping = Stopping::new(FIRST);
    stopping.press(one(), vec!["a".to_owned(), "b".to_owned()], 0.0);
    stopping.accepted(accepted(FIRST, &[("a", true)]));
    assert!(stopping.due(10.0).is_empty());
    stopping.press(Target::All, vec!["a".to_owned(), "b".to_owned()], 20.0);
    stopping.accepted(accepted(FIRST + 1, &[("a", true)]));
    assert_eq!(
        stopping.due(30.0).len(),
        1,
        "the robot that the studio did not name"
    );
}

#[test]
fn within_a_second_it_is_answered_or_shown_as_not_arrived_whatever_the_link() {
    let robots = [robot("a")];
    let waiting = Connection::Live.after_loss();
    for connection in [
        Connection::Connecting,
        Connection::Live,
        Connection::Silent,
        waiting,
    ] {
        for was_sent in [false, true] {
            for target in [one(), Target::All] {
                let mut stopping = Stopping::new(FIRST);
                stopping.press(target.clone(), vec![], 0.0);
                if was_sent {
                    sends(&mut stopping, 0, 50);
                }
                let early = stopping
                    .press_text(&seen(connection, &robots, 500.0))
                    .unwrap();
                assert!(!early.is_late);
                assert_eq!(early.headline, "Stopping …");
                let late = stopping
                    .press_text(&seen(connection, &robots, 950.0))
                    .unwrap();
                assert!(late.is_late);
                assert!(late.headline.contains("NOT arrived"), "{late:?}");
                assert!(late.detail.contains("emergency stop"), "{late:?}");
                // A press that was never handed to a socket has certainly not arrived; another one may have.
                assert_eq!(late.headline.contains("not confirmed"), was_sent);
                stopping.accepted(accepted(FIRST, &[("a", true)]));
                assert_eq!(stopping.press_text(&seen(connection, &robots, 950.0)), None);
            }
        }
    }
}

#[test]
fn another_version_is_shown_at_once() {
    let mut stopping = Stopping::new(FIRST);
    stopping.press(one(), vec![], 0.0);
    let robots = [robot("a")];
    let said = stopping
        .press_text(&seen(Connection::Refused, &robots, 0.0))
        .unwrap();
    assert!(said.is_late);
    assert!(said.headline.contains("cannot be sent"));
    assert!(said.detail.contains("reload the page"));
}

#[test]
fn a_robot_that_a_restarted_studio_does_not_know_is_named_as_that() {
    let mut stopping = Stopping::new(FIRST);
    stopping.press(one(), vec![], 0.0);
    sends(&mut stopping, 0, 1_000);
    let said = stopping
        .press_text(&seen(Connection::Live, &[], 1_000.0))
        .unwrap();
    assert!(said.headline.contains("does not know the robot"));
    assert!(said.detail.contains("until it does"));
    assert_eq!(sends(&mut stopping, 1_000, 1_200).len(), 1);
}

#[test]
fn all_means_each_robot_on_the_page() {
    let mut stopping = Stopping::new(FIRST);
    let known = ["a", "b", "c"].map(str::to_owned).to_vec();
    stopping.press(Target::All, known, 0.0);
    assert_eq!(
        stopping.due(0.0),
        [(FIRST, StopAll { press_id: FIRST }.into())]
    );
    // The studio was restarted in between; one robot is back.
    stopping.accepted(accepted(FIRST, &[("b", true)]));
    let due = stopping.due(0.0);
    let targets: Vec<FromViewer> = due.into_iter().map(|(_, message)| message).collect();
    let wanted = |robot_id: &str, press_id| -> FromViewer {
        StopRobot {
            robot_id: robot_id.to_owned(),
            press_id,
        }
        .into()
    };
    assert_eq!(targets, [wanted("a", FIRST + 1), wanted("c", FIRST + 2)]);
    let robots = [robot("b")];
    let late = stopping
        .press_text(&seen(Connection::Live, &robots, 950.0))
        .unwrap();
    assert!(late.headline.contains("does not know"), "{late:?}");
}

#[test]
fn the_answer_to_all_names_connected_and_absent_robots() {
    let robots = ["a", "b", "c", "d", "e", "f"].map(robot);
    let note = |of: &[(&str, bool)], not_on_disk: &str| {
        let mut stopping = Stopping::new(FIRST);
        stopping.press(Target::All, vec![], 0.0);
        stopping.accepted(StopAccepted {
            not_on_disk: not_on_disk.to_owned(),
            ..accepted(FIRST, of)
        });
        stopping.note(&seen(Connection::Live, &robots, 10.0))
    };
    assert_eq!(
        note(&[("a", true), ("b", true)], ""),
        "The studio holds the stop of a and b."
    );
    assert_eq!(
        note(&[("a", true), ("b", false)], ""),
        "The studio holds the stop of a, and of b (not connected; it takes effect on connecting)."
    );
    let all: Vec<(&str, bool)> = robots.iter().map(|r| (r.name.as_str(), true)).collect();
    assert!(note(&all, "").contains("a, b, c, d and 2 more"));
    assert!(note(&[], "").contains("knows no robot"));
    assert!(note(&[("a", true)], "disk full").contains("(disk full)"));
}

#[test]
fn an_overdue_confirmation_is_noticed_and_its_time_is_measured() {
    let mut stopping = Stopping::new(FIRST);
    stopping.press(one(), vec![], 0.0);
    stopping.accepted(accepted(FIRST, &[("a", true)]));
    stopping.seen(&status("a"), 10.0);
    assert!(!stopping.is_unconfirmed(500.0));
    stopping.seen(&status("a"), 600.0);
    assert!(stopping.is_unconfirmed(10.0 + LATE_MILLIS));
    let stopped = RobotStatus {
        stopped: true,
        ..status("a")
    };
    stopping.seen(&stopped, 1_500.0);
    assert!(!stopping.is_unconfirmed(9_000.0));
    assert_eq!(stopping.confirmed_after_millis(), Some(1_500.0));
    // The same status again is not another stop.
    stopping.seen(&stopped, 2_500.0);
    assert_eq!(stopping.confirmed_after_millis(), Some(1_500.0));
    stopping.released();
    assert_eq!(stopping.confirmed_after_millis(), None);
}

#[test]
fn viewing_another_robot_does_not_withdraw_a_press() {
    let mut stopping = Stopping::new(FIRST);
    stopping.press(one(), vec![], 0.0);
    stopping.robot_changed();
    let robots = [robot("a"), robot("b")];
    let said = stopping
        .press_text(&PageKnowledge {
            watched: Some("b"),
            ..seen(Connection::Silent, &robots, 950.0)
        })
        .unwrap();
    assert!(said.headline.starts_with("The stop of a "), "{said:?}");
}

#[test]
fn a_release_names_the_stop_that_is_shown_of_that_robot() {
    let stopped = RobotStatus {
        stop_number: Some(5),
        ..status("a")
    };
    let named = release("a".to_owned(), Some(&stopped), Some(3));
    let expected = ReleaseRobot {
        robot_id: "a".to_owned(),
        heard_beat: Some(3),
        stop_number: Some(5),
    };
    assert_eq!(named, expected);
    // With the status of another robot, or none yet, the heartbeat alone dates the release.
    for status in [Some(&stopped), None] {
        let named = release("b".to_owned(), status, Some(3));
        assert_eq!((named.stop_number, named.heard_beat), (None, Some(3)));
    }
}
