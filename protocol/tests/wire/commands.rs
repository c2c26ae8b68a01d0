//! Golden bytes of commands, stops, releases and heartbeats.

use crate::{dump, golden};
use protocol::{
    Mode, TaskState, decode, encode,
    robot::ResetScene,
    viewer::{
        Command, Heard, Heartbeat, ReleaseRobot, ResetRobot, RobotStatus, StopAccepted, StopAll,
        StopRobot, StoppedRobot,
    },
};

#[test]
fn stops_and_their_answers_have_these_bytes() {
    golden(
        &StopRobot {
            robot_id: "a".to_owned(),
            press_id: 7,
        },
        "PS[01][24][82][a8]robot_id[a1]a[a8]press_id[07]",
    );
    golden(&StopAll { press_id: 8 }, "PS[01][29][81][a8]press_id[08]");
    let accepted = StopAccepted {
        press_id: 8,
        robots: vec![StoppedRobot {
            robot_id: "a".to_owned(),
            connected: true,
        }],
        not_on_disk: String::new(),
    };
    golden(
        &accepted,
        "PS[01][3a][83][a8]press_id[08][a6]robots[91][82][a8]robot_id[a1]a[a9]connected[c3][ab]not_on_disk[a0]",
    );
    let beat = Heartbeat {
        beat: 9,
        problems: vec!["p".to_owned()],
    };
    golden(&beat, "PS[01][3b][82][a4]beat[09][a8]problems[91][a1]p");
    golden(&Heard { beat: 9 }, "PS[01][2a][81][a4]beat[09]");
    // A client from before presses had numbers.
    let older = b"PS\x01\x24\x81\xa8robot_id\xa1a";
    assert_eq!(decode::<StopRobot>(older).unwrap().press_id, 0);
}

#[test]
fn a_command_has_its_mode_as_text() {
    golden(
        &Command {
            robot_id: "a".to_owned(),
            text: "t".to_owned(),
            mode: Mode::Continuous,
            heard_beat: None,
        },
        "PS[01][23][83][a8]robot_id[a1]a[a4]text[a1]t[a4]mode[aa]continuous",
    );
}

#[test]
fn messages_that_can_start_motion_name_the_last_received_heartbeat_or_none() {
    golden(
        &Command {
            robot_id: "a".to_owned(),
            text: "t".to_owned(),
            mode: Mode::Continuous,
            heard_beat: Some(300),
        },
        "PS[01][23][84][a8]robot_id[a1]a[a4]text[a1]t[a4]mode[aa]continuous[aa]heard_beat[cd][01][2c]",
    );
    golden(
        &ReleaseRobot {
            robot_id: "a".to_owned(),
            heard_beat: Some(0),
            stop_number: None,
        },
        "PS[01][25][82][a8]robot_id[a1]a[aa]heard_beat[00]",
    );
    golden(
        &ResetRobot {
            robot_id: "a".to_owned(),
            scene: ResetScene { seed: None },
            heard_beat: Some(1),
        },
        "PS[01][26][83][a8]robot_id[a1]a[a5]scene[81][a4]seed[c0][aa]heard_beat[01]",
    );
    // A client from before heartbeats were named, and a library that writes absent fields.
    for older in [
        &b"PS\x01\x25\x81\xa8robot_id\xa1a"[..],
        b"PS\x01\x25\x82\xa8robot_id\xa1a\xaaheard_beat\xc0",
    ] {
        let release = decode::<ReleaseRobot>(older).unwrap();
        assert_eq!((release.heard_beat, release.stop_number), (None, None));
    }
    let negative = b"PS\x01\x25\x82\xa8robot_id\xa1a\xaaheard_beat\xff";
    let error = decode::<ReleaseRobot>(negative).unwrap_err();
    assert_eq!(error.code(), "bad_body");
}

#[test]
fn a_release_names_the_stop_that_the_status_shows() {
    golden(
        &ReleaseRobot {
            robot_id: "a".to_owned(),
            heard_beat: None,
            stop_number: Some(300),
        },
        "PS[01][25][82][a8]robot_id[a1]a[ab]stop_number[cd][01][2c]",
    );
    let status = RobotStatus {
        robot_id: "a".to_owned(),
        connected: true,
        instruction: String::new(),
        mode: Mode::Continuous,
        task: TaskState::Idle,
        task_secs: 0.0,
        holding: true,
        stop_requested: true,
        stop_delivered: true,
        stopped: false,
        ticks: 0,
        late_ticks: 0,
        clamped: 0,
        refused_chunks: 0,
        command_to_chunk_millis: None,
        stop_number: Some(300),
    };
    let bytes = encode(&status).unwrap();
    assert_eq!(decode::<RobotStatus>(&bytes).unwrap(), status);
    let bytes = dump(&bytes);
    assert!(bytes.ends_with("[ab]stop_number[cd][01][2c]"), "{bytes}");
    let free = RobotStatus {
        stop_number: None,
        ..status
    };
    assert!(
        !dump(&encode(&free).unwrap()).contains("stop_number"),
        "an older viewer reads what it read before"
    );
}
