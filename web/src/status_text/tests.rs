#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::viewer::{StopAccepted, StoppedRobot};

use super::*;
use crate::stopping::{LATE_MILLIS, Target};
use crate::test_status::idle_status;

fn robot(unattended: bool) -> RobotSummary {
    RobotSummary {
        robot_id: "a".into(),
        name: "arm".into(),
        connected: true,
        unattended,
        ..RobotSummary::default()
    }
}

fn status() -> RobotStatus {
    RobotStatus {
        instruction: "reach the red cube".into(),
        task: TaskState::Running,
        task_secs: 2.14,
        ..idle_status("a")
    }
}

fn lost() -> Connection {
    Connection::Live.after_loss()
}

/// Status text of a robot that runs unattended, or not.
fn status_of(connection: Connection, status: &RobotStatus, unattended: bool) -> StatusText {
    let robots = [robot(unattended)];
    let seen = PageKnowledge {
        connection,
        upgrade_is_blocked: false,
        robots: &robots,
        watched: Some("a"),
        now_millis: 0.0,
    };
    status_text(&seen, &Stopping::new(1), Some(status))
}

fn text(status: &RobotStatus) -> StatusText {
    status_of(Connection::Live, status, false)
}

fn with_stop(stopped: bool, delivered: bool) -> RobotStatus {
    RobotStatus {
        stop_requested: true,
        stop_delivered: delivered,
        stopped,
        ..status()
    }
}

#[test]
fn a_running_task_names_the_instruction_and_the_time() {
    let text = text(&status());
    assert_eq!(text.state, "running");
    assert!(text.headline.contains("reach the red cube"));
    assert_eq!(text.detail, "2.1 s");
    assert!(!text.is_latched);
}

#[test]
fn a_stop_outranks_success_and_a_lost_connection_outranks_everything() {
    let done = RobotStatus {
        task: TaskState::Succeeded,
        ..status()
    };
    assert_eq!(text(&done).state, "succeeded");
    let stopping = RobotStatus {
        task: TaskState::Succeeded,
        ..with_stop(false, true)
    };
    assert_eq!(text(&stopping).state, "stopping");
    assert_eq!(text(&with_stop(true, true)).state, "stopped");
    let disconnected = status_of(lost(), &with_stop(true, true), false);
    assert_eq!(disconnected.state, "disconnected");
    assert!(!disconnected.is_latched, "nothing can be released");
}

#[test]
fn holding_matters_only_while_there_is_work() {
    let mut status = status();
    status.holding = true;
    assert_eq!(text(&status).state, "holding");
    status.task = TaskState::Succeeded;
    assert_eq!(text(&status).state, "succeeded");
    status.instruction.clear();
    status.task = TaskState::Idle;
    assert_eq!(text(&status).state, "idle");
}

#[test]
fn without_a_robot_it_says_how_to_get_one() {
    let seen = PageKnowledge {
        connection: Connection::Live,
        upgrade_is_blocked: false,
        robots: &[],
        watched: None,
        now_millis: 0.0,
    };
    let text = status_text(&seen, &Stopping::new(1), None);
    assert!(text.detail.contains("policy-studio sim"));
    // A robot that was in view, and a studio that was restarted since.
    let seen = PageKnowledge {
        watched: Some("a"),
        ..seen
    };
    let text = status_text(&seen, &Stopping::new(1), Some(&status()));
    assert_eq!(text.state, "disconnected");
    assert!(text.headline.contains("does not know this robot"));
}

#[test]
fn nothing_is_claimed_of_a_robot_that_cannot_be_seen() {
    for connection in [Connection::Silent, lost(), Connection::Refused] {
        let alone = status_of(connection, &status(), true);
        assert!(alone.detail.contains("may still be moving"), "{alone:?}");
        assert!(alone.detail.contains("continues without this page"));
        let attended = status_of(connection, &status(), false);
        assert!(attended.detail.contains("may still be moving"));
        assert!(attended.detail.contains("about two seconds"));
        assert!(attended.detail.contains("cannot tell whether"));
        let idle = RobotStatus {
            instruction: String::new(),
            ..status()
        };
        for (status, expected) in [
            (idle, "had no instruction"),
            (with_stop(true, true), "stopped and had confirmed"),
            (with_stop(false, true), "had not confirmed"),
        ] {
            let text = status_of(connection, &status, false);
            assert!(text.detail.contains("At the last report"), "{text:?}");
            assert!(text.detail.contains(expected), "{text:?}");
        }
        for unattended in [true, false] {
            let text = status_of(connection, &status(), unattended);
            assert!(!text.detail.contains("by itself"), "{text:?}");
        }
    }
    let gone = RobotStatus {
        connected: false,
        ..status()
    };
    assert!(text(&gone).detail.contains("cannot be seen"));
}

#[test]
fn a_robot_that_is_away_meets_its_latched_stop() {
    let gone = RobotStatus {
        connected: false,
        ..with_stop(false, false)
    };
    let text = text(&gone);
    assert_eq!(text.state, "disconnected");
    assert!(text.detail.contains("latched"));
    assert!(
        text.is_latched,
        "the latch can be released before it is back"
    );
}

#[test]
fn a_robot_that_does_not_confirm_within_a_second_raises_an_alarm() {
    let robots = [robot(false)];
    for (delivered, text) in [(true, "has sent it"), (false, "not been sent")] {
        let mut stopping = Stopping::new(1);
        let status = with_stop(false, delivered);
        stopping.seen(&status, 0.0);
        let at = |now_millis| {
            let seen = PageKnowledge {
                connection: Connection::Live,
                upgrade_is_blocked: false,
                robots: &robots,
                watched: Some("a"),
                now_millis,
            };
            status_text(&seen, &stopping, Some(&status))
        };
        assert_eq!(at(LATE_MILLIS - 1.0).state, "stopping");
        let late = at(LATE_MILLIS);
        assert_eq!(late.state, "unconfirmed");
        assert!(late.headline.contains("NOT confirmed"));
        assert!(late.detail.contains(text));
        assert!(late.detail.contains("emergency stop"));
        assert!(late.is_latched);
    }
}

#[test]
fn a_press_outranks_the_link_and_its_answer_is_added() {
    let robots = [robot(false)];
    let seen = PageKnowledge {
        connection: lost(),
        upgrade_is_blocked: true,
        robots: &robots,
        watched: Some("a"),
        now_millis: LATE_MILLIS,
    };
    let mut stopping = Stopping::new(1);
    stopping.press(Target::All, vec![], 0.0);
    let late = status_text(&seen, &stopping, Some(&status()));
    assert_eq!(late.state, "undelivered");
    assert!(blocked_reason(&seen, &stopping, Some(&status())).is_some());
    stopping.accepted(StopAccepted {
        press_id: 1,
        robots: vec![StoppedRobot {
            robot_id: "a".into(),
            connected: true,
        }],
        not_on_disk: "read-only".into(),
    });
    let live = PageKnowledge {
        connection: Connection::Live,
        ..seen
    };
    let text = status_text(&live, &stopping, Some(&with_stop(true, true)));
    assert_eq!(text.state, "stopped");
    assert!(text.detail.contains("holds the stop of arm"), "{text:?}");
    assert!(text.detail.contains("read-only"));
}

#[test]
fn a_blocked_upgrade_says_what_a_proxy_must_do() {
    let seen = PageKnowledge {
        connection: lost(),
        upgrade_is_blocked: true,
        robots: &[],
        watched: None,
        now_millis: 0.0,
    };
    let text = status_text(&seen, &Stopping::new(1), None);
    assert!(text.headline.contains("WebSocket"));
    for word in [
        "proxy",
        "HTTP/1.1",
        "Upgrade",
        "Connection",
        "Host",
        "nginx",
    ] {
        assert!(text.detail.contains(word), "{text:?}");
    }
}

#[test]
fn a_command_is_held_back_with_its_reason() {
    let robots = [robot(false)];
    let seen = PageKnowledge {
        connection: Connection::Live,
        upgrade_is_blocked: false,
        robots: &robots,
        watched: Some("a"),
        now_millis: 0.0,
    };
    let stopping = Stopping::new(1);
    let why =
        |seen: &PageKnowledge, status: &RobotStatus| blocked_reason(seen, &stopping, Some(status));
    assert_eq!(why(&seen, &status()), None);
    for stopped in [false, true] {
        let reason = why(&seen, &with_stop(stopped, true)).unwrap();
        assert!(reason.contains("Release"), "{reason}");
        assert!(reason.contains("Nothing moves until there is a new instruction"));
    }
    let silent = PageKnowledge {
        connection: Connection::Silent,
        ..seen
    };
    assert!(why(&silent, &status()).is_some(), "it would arrive late");
}
