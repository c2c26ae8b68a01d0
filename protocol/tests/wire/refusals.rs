//! Invalid frames are refused with the reason, and no bytes make a decoder panic.

use proptest::prelude::*;
use protocol::{
    CameraDescription, ErrorMessage, FrameError, FromRobot, FromViewer, JointDescription,
    MAX_FRAME_BYTES, Mode, TaskState, ToRobot, ToViewer, VERSION, decode, encode, kind_of,
    robot::{
        ActionChunk, Instruction, Release, ResetScene, RobotHello, RobotReport, RobotWelcome, Stop,
    },
    scene::{Answerer, SceneAsked, StopAnswer},
    viewer::{
        ActionDimension, Command, Heard, Heartbeat, PolicyDescription, ReleaseRobot, ResetRobot,
        RobotChanged, RobotDetails, RobotList, RobotState, RobotStatus, RobotSummary, StopAccepted,
        StopAll, StopRobot, StoppedRobot, TokensSoFar, Trace, ViewFrame, ViewerHello,
        ViewerWelcome, Watch,
    },
};

use crate::{answer, ask, chunk, depth, observation, trace};

#[test]
fn invalid_headers_are_refused_with_the_reason() {
    let mut frame = encode(&Release {}).unwrap();
    assert_eq!(kind_of(&frame[..3]), Err(FrameError::Truncated { got: 3 }));
    frame[2] = VERSION + 1;
    let error = kind_of(&frame).unwrap_err();
    assert_eq!(error, FrameError::WrongVersion { got: VERSION + 1 });
    assert!(error.is_fatal());
    frame[0] = b'G';
    assert!(matches!(kind_of(&frame), Err(FrameError::BadMagic { .. })));
    let huge = vec![0; MAX_FRAME_BYTES + 1];
    assert_eq!(
        kind_of(&huge),
        Err(FrameError::TooLarge { got: huge.len() })
    );
}

#[test]
fn a_message_of_the_other_direction_is_refused() {
    let frame = encode(&chunk()).unwrap();
    let error = FromRobot::decode(&frame).unwrap_err();
    assert_eq!(
        error,
        FrameError::UnexpectedKind {
            got: 0x12,
            expected: "a robot"
        }
    );
    assert!(!error.is_fatal());
}

fn reason(result: Result<Vec<u8>, FrameError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn invalid_values_are_refused_with_the_field() {
    let mut wrong = chunk();
    wrong.actions.push(0.0);
    assert!(reason(encode(&wrong)).contains("ActionChunk.actions: 3 values, 1x2 needs 2"));
    let mut wrong = chunk();
    wrong.actions[1] = f32::NAN;
    assert!(reason(encode(&wrong)).contains("value 1 is not a finite number"));
    let mut wrong = chunk();
    wrong.valid_until_micros = 0;
    assert!(reason(encode(&wrong)).contains("valid_until_micros"));
    let mut wrong = observation();
    wrong.views[0].width = 2;
    assert!(reason(encode(&wrong)).contains("4 bytes, 2x2"));
    let mut wrong = observation();
    wrong.views[0].width = 5000;
    assert!(reason(encode(&wrong)).contains("5000x2 pixels"));
    let mut wrong = observation();
    wrong.state.clear();
    assert!(reason(encode(&wrong)).contains("Observation.state: 0 values"));
    let long = Instruction {
        text: "x".repeat(2001),
    };
    assert!(reason(encode(&long)).contains("at most 2000"));
    let mut wrong = ask();
    wrong.cameras.clear();
    assert!(reason(encode(&wrong)).contains("Ask.cameras: 0 cameras, expected 1 to 8"));
    let hello = RobotHello {
        name: "r".to_owned(),
        tag: "t".to_owned(),
        joints: Vec::new(),
        cameras: Vec::new(),
        control_rate_hz: 30.0,
        example_instructions: Vec::new(),
        simulated: false,
        resume_token: None,
    };
    assert!(reason(encode(&hello)).contains("RobotHello.joints: 0 joints"));
}

/// Valid frames of all kinds, to be damaged by the tests below.
fn frames() -> Vec<Vec<u8>> {
    let joint = JointDescription {
        name: "j".to_owned(),
        unit: "deg".to_owned(),
        min: -1.0,
        max: 1.0,
    };
    let camera = CameraDescription {
        name: "o".to_owned(),
        width: 2,
        height: 2,
        has_depth: true,
    };
    let id = || "a".to_owned();
    let robot = RobotSummary {
        robot_id: id(),
        name: id(),
        left_unix_secs: Some(1),
        ..RobotSummary::default()
    };
    vec![
        encode(&RobotHello {
            name: id(),
            tag: id(),
            joints: vec![joint.clone()],
            cameras: vec![camera.clone()],
            control_rate_hz: 30.0,
            example_instructions: vec![id()],
            simulated: true,
            resume_token: Some(id()),
        }),
        encode(&observation()),
        encode(&RobotReport {
            at_micros: 1,
            instruction: id(),
            task: TaskState::Running,
            task_secs: 1.0,
            holding: false,
            stopped: false,
            ticks: 1,
            late_ticks: 1,
            clamped: 1,
            refused_chunks: 1,
            last_refusal: id(),
        }),
        encode(&RobotWelcome {
            robot_id: id(),
            policy: id(),
            studio_version: id(),
            resume_token: id(),
        }),
        encode(&chunk()),
        encode(&Instruction { text: id() }),
        encode(&Stop { reason: id() }),
        encode(&Release {}),
        encode(&ResetScene { seed: Some(1) }),
        encode(&ViewerHello { client: id() }),
        encode(&Watch { robot_id: id() }),
        encode(&Command {
            robot_id: id(),
            text: id(),
            mode: Mode::Discrete,
            heard_beat: Some(1),
        }),
        encode(&StopRobot {
            robot_id: id(),
            press_id: 1,
        }),
        encode(&ReleaseRobot {
            robot_id: id(),
            heard_beat: None,
            stop_number: Some(1),
        }),
        encode(&ResetRobot {
            robot_id: id(),
            scene: ResetScene { seed: None },
            heard_beat: None,
        }),
        encode(&ask()),
        encode(&StopAnswer { question_id: 1 }),
        encode(&StopAll { press_id: 1 }),
        encode(&Heard { beat: 1 }),
        encode(&ViewerWelcome {
            studio_version: id(),
            policy: PolicyDescription {
                name: id(),
                parameters: 1,
                device: id(),
                horizon: 1,
                modes: vec![Mode::Continuous],
                action: vec![ActionDimension {
                    name: id(),
                    low: 0.0,
                    high: 1.0,
                    normalised: true,
                }],
                has_tokenizer: true,
                depth: None,
            },
            answerer: Answerer {
                model: Some(id()),
                unavailable: Some(id()),
            },
        }),
        encode(&RobotList {
            robots: vec![robot.clone()],
        }),
        encode(&RobotChanged { robot }),
        encode(&RobotDetails {
            robot_id: id(),
            joints: vec![joint],
            cameras: vec![camera],
            control_rate_hz: 30.0,
            example_instructions: vec![id()],
            warnings: vec![id()],
        }),
        encode(&ViewFrame {
            robot_id: id(),
            sequence: 1,
            captured_at_micros: 1,
            view: observation().views.remove(0),
        }),
        encode(&RobotState {
            robot_id: id(),
            sequence: 1,
            captured_at_micros: 1,
            state: vec![0.0],
            commanded: vec![0.0],
        }),
        encode(&trace()),
        encode(&Trace {
            depth: Some(Box::new(depth())),
            ..trace()
        }),
        encode(&RobotStatus {
            robot_id: id(),
            connected: true,
            instruction: id(),
            mode: Mode::Continuous,
            task: TaskState::Idle,
            task_secs: 0.0,
            holding: false,
            stop_requested: false,
            stop_delivered: false,
            stopped: false,
            ticks: 0,
            late_ticks: 0,
            clamped: 0,
            refused_chunks: 0,
            command_to_chunk_millis: Some(1.0),
            stop_number: Some(1),
        }),
        encode(&TokensSoFar {
            robot_id: id(),
            observation_sequence: 1,
            tokens: vec![1, 300],
            rows: 1,
            dims: 1,
        }),
        encode(&SceneAsked {
            question_id: 1,
            robot_id: id(),
            sequence: 1,
            captured_at_micros: 1,
            views: observation().views,
        }),
        encode(&answer()),
        encode(&StopAccepted {
            press_id: 1,
            robots: vec![StoppedRobot {
                robot_id: id(),
                connected: true,
            }],
            not_on_disk: id(),
        }),
        encode(&Heartbeat {
            beat: 1,
            problems: vec![id()],
        }),
        encode(&ErrorMessage {
            code: id(),
            message: id(),
            fatal: false,
        }),
    ]
    .into_iter()
    .map(Result::unwrap)
    .collect()
}

#[test]
fn the_frames_to_be_damaged_are_valid_and_of_all_kinds() {
    let mut kinds: Vec<u8> = Vec::new();
    for frame in frames() {
        let read = [
            FromRobot::decode(&frame).is_ok(),
            ToRobot::decode(&frame).is_ok(),
            FromViewer::decode(&frame).is_ok(),
            ToViewer::decode(&frame).is_ok(),
        ];
        assert!(read.contains(&true), "{:02x}", frame[3]);
        kinds.push(frame[3]);
    }
    kinds.dedup();
    let all = (0x01..=0x03)
        .chain(0x11..=0x16)
        .chain(0x21..=0x2a)
        .chain(0x31..=0x3d)
        .chain([0x7f]);
    kinds.sort_unstable();
    assert_eq!(kinds, all.collect::<Vec<u8>>());
}

fn read_as_everything(bytes: &[u8]) {
    let results = [
        FromRobot::decode(bytes).map(|_| ()),
        ToRobot::decode(bytes).map(|_| ()),
        FromViewer::decode(bytes).map(|_| ()),
        ToViewer::decode(bytes).map(|_| ()),
    ];
    for error in results.into_iter().filter_map(Result::err) {
        assert!(!error.to_string().is_empty() && !error.code().is_empty());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn no_body_makes_a_decoder_panic(kind: u8, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = vec![b'P', b'S', VERSION, kind];
        bytes.extend(body);
        read_as_everything(&bytes);
    }

    #[test]
    fn no_damage_to_a_frame_makes_a_decoder_panic(
        which: prop::sample::Index,
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
    ) {
        let mut all = frames();
        let mut bytes = all.swap_remove(which.index(all.len()));
        let position = at.index(bytes.len());
        bytes[position] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        read_as_everything(&bytes);
    }

    #[test]
    fn no_exchange_of_parts_of_frames_makes_a_decoder_panic(
        [one, other]: [prop::sample::Index; 2],
        [from, to, at]: [prop::sample::Index; 3],
    ) {
        let all = frames();
        let mut bytes = one.get(&all).clone();
        let donor = other.get(&all);
        let (from, to) = (from.index(donor.len()), to.index(donor.len()));
        let part = donor[from.min(to)..from.max(to)].to_vec();
        let at = at.index(bytes.len());
        bytes.splice(at..at, part);
        read_as_everything(&bytes);
    }

    #[test]
    fn chunks_of_any_size_survive_the_wire(
        rows in 1..=32_u32,
        dims in 1..=16_u32,
        starts_at_micros in 0..u64::MAX / 2,
        value in -1e6_f32..1e6,
    ) {
        let sent = ActionChunk {
            rows,
            dims,
            starts_at_micros,
            valid_until_micros: starts_at_micros + 1,
            actions: vec![value; (rows * dims) as usize],
            ..chunk()
        };
        prop_assert_eq!(decode::<ActionChunk>(&encode(&sent).unwrap()).unwrap(), sent);
    }
}
