//! The rules of one robot, with the time passed in.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use protocol::JointDescription;

fn state() -> SessionState {
    let joint = JointDescription {
        name: "pan".to_owned(),
        unit: "deg".to_owned(),
        min: -1.0,
        max: 1.0,
    };
    SessionState::new(
        "arm".to_owned(),
        RobotHello {
            name: "arm".to_owned(),
            tag: "tag".to_owned(),
            joints: vec![joint],
            cameras: Vec::new(),
            control_rate_hz: 30.0,
            example_instructions: Vec::new(),
            simulated: false,
            resume_token: None,
        },
    )
}

/// A stop with this number.
fn stop(number: u64, at: Instant) -> LatchedStop {
    LatchedStop { number, at }
}

#[test]
fn a_stop_ends_the_instruction_and_a_release_brings_none_back() {
    let (mut state, now) = (state(), Instant::now());
    state.command("go", Mode::Continuous, 1, now);
    let epoch = state.epoch;
    state.stop(stop(1, now));
    assert!(state.is_stopped() && state.instruction().is_empty());
    assert!(state.epoch > epoch, "what is being computed is not sent");
    state.stop_delivered();
    assert!(state.status().stop_delivered);
    assert_eq!(state.release(Some(1), None), Released::Now);
    assert!(!state.is_stopped() && state.instruction().is_empty());
    assert!(!state.status().stop_delivered);
}

#[test]
fn a_stop_survives_reconnections_and_must_be_delivered_anew() {
    let (mut state, now) = (state(), Instant::now());
    state.stop(stop(1, now));
    state.stop_delivered();
    state.disconnected(1);
    assert!(state.is_stopped() && !state.status().stop_delivered);
    let hello = state.hello.clone();
    state.reconnected(hello);
    assert!(state.is_stopped() && !state.status().stop_delivered);
    state.stop_delivered();
    state.stop(stop(2, now));
    assert!(!state.status().stop_delivered, "another stop is on its way");
}

#[test]
fn an_instruction_ends_with_the_viewer_that_gave_it_and_with_no_other() {
    let (mut state, now) = (state(), Instant::now());
    state.command("go", Mode::Continuous, 1, now);
    assert!(!state.operator_gone(2) && state.instruction() == "go");
    // Another viewer takes over.
    state.command("turn", Mode::Continuous, 2, now);
    assert!(!state.operator_gone(1) && state.instruction() == "turn");
    assert!(state.operator_gone(2) && state.instruction().is_empty());
    assert!(!state.operator_gone(2), "there is nothing left to end");
    state.command("", Mode::Continuous, 1, now);
    assert!(!state.operator_gone(1));
}

#[test]
fn a_stop_is_confirmed_only_by_a_report_that_came_after_it() {
    let (mut state, now) = (state(), Instant::now());
    let report = |stopped| RobotReport {
        at_micros: 0,
        instruction: String::new(),
        task: TaskState::Idle,
        task_secs: 0.0,
        holding: true,
        stopped,
        ticks: 0,
        late_ticks: 0,
        clamped: 0,
        refused_chunks: 0,
        last_refusal: String::new(),
    };
    state.stop(stop(1, now));
    state.reported(report(true), now);
    assert!(state.status().stopped);
    state.stop(stop(2, now));
    assert!(state.status().stopped, "the same stop pressed again");
    assert_eq!(state.release(None, None), Released::Now);
    assert!(!state.status().stopped);
    state.stop(stop(3, now));
    assert!(!state.status().stopped, "nothing was reported since");
    state.reported(report(true), now);
    assert!(state.status().stopped);
}

#[test]
fn a_release_of_an_older_stop_lifts_no_later_one() {
    let (mut state, now) = (state(), Instant::now());
    state.stop(stop(5, now));
    state.stop_delivered();
    assert_eq!(state.status().stop_number, Some(5));
    // Another person presses while the release of the first stop is on its way.
    state.stop_again(stop(6, now + Duration::from_secs(1)));
    assert_eq!(state.release(Some(5), None), Released::StoppedAgain);
    assert_eq!(state.release(None, Some(now)), Released::StoppedAgain);
    let status = state.status();
    assert!(status.stop_requested && status.stop_delivered);
    assert_eq!(status.stop_number, Some(6));
    assert_eq!(state.release(Some(6), None), Released::Now);
    assert!(!state.is_stopped() && state.status().stop_number.is_none());
}

#[test]
fn a_release_that_comes_second_does_not_end_what_was_begun_since() {
    let (mut state, now) = (state(), Instant::now());
    state.stop(stop(5, now));
    assert_eq!(state.release(Some(5), None), Released::Now);
    state.command("go", Mode::Continuous, 1, now);
    assert_eq!(state.release(Some(5), None), Released::Before);
    assert_eq!(state.instruction(), "go");
    // A robot may have latched a stop itself, so a release that names no stop is sent to it.
    assert_eq!(state.release(None, None), Released::Now);
    assert!(state.instruction().is_empty());
}

#[test]
fn a_robot_that_left_keeps_its_name_stop_and_time_and_nothing_long() {
    let (mut state, now) = (state(), Instant::now());
    state.hello.example_instructions = vec!["e".repeat(2000); 30];
    state.reported(
        RobotReport {
            at_micros: 0,
            instruction: "go".to_owned(),
            task: TaskState::Running,
            task_secs: 2.0,
            holding: false,
            stopped: false,
            ticks: 7,
            late_ticks: 0,
            clamped: 0,
            refused_chunks: 0,
            last_refusal: "r".repeat(2000),
        },
        now,
    );
    let details = state.details(vec!["w".to_owned()]).unwrap();
    assert_eq!((details.joints.len(), details.warnings.len()), (1, 1));
    state.stop(stop(1, now));
    state.disconnected(300);
    assert!(state.details(Vec::new()).is_none());
    let hello = &state.hello;
    assert_eq!(
        hello.joints.capacity() + hello.cameras.capacity() + hello.example_instructions.capacity(),
        0
    );
    let report = state.report.as_ref().unwrap();
    assert_eq!(
        report.last_refusal.capacity() + report.instruction.capacity(),
        0
    );
    let summary = state.summary(false);
    assert_eq!(
        (summary.robot_id.as_str(), summary.name.as_str()),
        ("arm", "arm")
    );
    assert!(!summary.connected && summary.stop_requested);
    assert_eq!(summary.left_unix_secs, Some(300));
    // The counters stay; the task is idle, because its state is unknown.
    let status = state.status();
    assert_eq!((status.ticks, status.task), (7, TaskState::Idle));

    let again = self::state().hello;
    state.reconnected(again);
    assert_eq!(state.summary(false).left_unix_secs, None);
    assert!(state.details(Vec::new()).is_some());
}
