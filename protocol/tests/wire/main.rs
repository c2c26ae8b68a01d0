//! Golden bytes of the messages: a change here is a change of the protocol.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod limits;
mod refusals;
mod robots;

use protocol::{
    ErrorMessage, FrameError, FromRobot, FromViewer, Message, Mode, Stage, TaskState, ToRobot,
    ToViewer, View, ViewEncoding, decode,
    depth::DepthReasoning,
    encode,
    robot::{ActionChunk, Instruction, Observation, Release, ResetScene, RobotWelcome, Stop},
    scene::{Answer, AnswerState, Answerer, Ask, MarkShape, SceneAsked, SceneMark, StopAnswer},
    viewer::{
        Command, Heard, Heartbeat, PolicyDescription, ReleaseRobot, ResetRobot, RobotStatus,
        StopAccepted, StopAll, StopRobot, StoppedRobot, TokensOrigin, TokensSoFar, Trace,
        ViewerHello, ViewerWelcome, Watch,
    },
};

/// A frame as hex, in which letters stay readable.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("[{byte:02x}]")),
        }
    }
    text
}

fn golden<M: Message>(message: &M, expected: &str) {
    assert_eq!(dump(&encode(message).unwrap()), expected, "{}", M::NAME);
}

fn chunk() -> ActionChunk {
    ActionChunk {
        chunk_id: 1,
        observation_sequence: 2,
        starts_at_micros: 300,
        valid_until_micros: 70_000,
        rows: 1,
        dims: 2,
        actions: vec![1.0, -0.5],
    }
}

fn observation() -> Observation {
    Observation {
        sequence: 7,
        captured_at_micros: 8,
        state: vec![0.25],
        commanded: Vec::new(),
        views: vec![View {
            name: "o".to_owned(),
            encoding: ViewEncoding::DepthMillimetresU16,
            width: 1,
            height: 2,
            data: vec![1, 2, 3, 4],
        }],
    }
}

fn trace() -> Trace {
    Trace {
        robot_id: "a".to_owned(),
        chunk_id: 1,
        observation_sequence: 2,
        instruction: "go".to_owned(),
        mode: Mode::Discrete,
        prompt: "p".to_owned(),
        prompt_tokens: 3,
        action_tokens: vec![4, 300],
        tokens_origin: TokensOrigin::Generated,
        rows: 1,
        dims: 1,
        chunk_normalised: vec![0.5],
        actions: vec![45.0],
        stages: vec![Stage {
            name: "flow".to_owned(),
            micros: 9,
        }],
        latency_micros: 10,
        committed_rows: 2,
        depth: None,
    }
}

fn depth() -> DepthReasoning {
    DepthReasoning {
        camera: "o".to_owned(),
        codes: vec![5, 300],
        columns: 2,
        regenerated: vec![true, false],
        similarity: vec![0.5, 1.0],
        threshold: 0.75,
        forwards: 4,
        frame: None,
    }
}

#[test]
fn small_messages_have_these_bytes() {
    golden(&Release {}, "PS[01][15][80]");
    golden(
        &Stop {
            reason: "x".to_owned(),
        },
        "PS[01][14][81][a6]reason[a1]x",
    );
    golden(
        &Instruction {
            text: "go".to_owned(),
        },
        "PS[01][13][81][a4]text[a2]go",
    );
    golden(&ResetScene { seed: None }, "PS[01][16][81][a4]seed[c0]");
    golden(
        &Watch {
            robot_id: "a".to_owned(),
        },
        "PS[01][22][81][a8]robot_id[a1]a",
    );
    golden(
        &ViewerHello {
            client: "c".to_owned(),
        },
        "PS[01][21][81][a6]client[a1]c",
    );
    golden(
        &ErrorMessage {
            code: "c".to_owned(),
            message: "m".to_owned(),
            fatal: true,
        },
        "PS[01][7f][83][a4]code[a1]c[a7]message[a1]m[a5]fatal[c3]",
    );
}

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

#[test]
fn a_chunk_has_these_bytes() {
    golden(
        &chunk(),
        "PS[01][12][87][a8]chunk_id[01][b4]observation_sequence[02][b0]starts_at_micros[cd][01][2c]\
         [b2]valid_until_micros[ce][00][01][11]p[a4]rows[01][a4]dims[02][a7]actions[92][ca][3f][80][00][00]\
         [ca][bf][00][00][00]",
    );
}

#[test]
fn tokens_so_far_have_these_bytes() {
    golden(
        &TokensSoFar {
            robot_id: "a".to_owned(),
            observation_sequence: 2,
            tokens: vec![4, 300],
            rows: 16,
            dims: 6,
        },
        "PS[01][37][85][a8]robot_id[a1]a[b4]observation_sequence[02][a6]tokens[92][04][cd][01][2c]\
         [a4]rows[10][a4]dims[06]",
    );
}

#[test]
fn a_depth_map_has_these_bytes_and_may_be_absent() {
    let plain = dump(&encode(&trace()).unwrap());
    let with = Trace {
        depth: Some(Box::new(depth())),
        ..trace()
    };
    let bytes = encode(&with).unwrap();
    assert!(
        !plain.contains("depth"),
        "an older viewer reads what it read before"
    );
    let (_, depth) = dump(&bytes)
        .split_once("[a5]depth")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(
        depth,
        "[88][a6]camera[a1]o[a5]codes[92][05][cd][01][2c][a7]columns[02][ab]regenerated[92][c3][c2]\
         [aa]similarity[92][ca][3f][00][00][00][ca][3f][80][00][00][a9]threshold[ca][3f][40][00][00]\
         [a8]forwards[04][a5]frame[c0]"
    );
    assert_eq!(decode::<Trace>(&bytes).unwrap(), with);
}

#[test]
fn an_invalid_depth_map_is_refused_with_the_field() {
    let field = |depth: DepthReasoning| {
        let trace = Trace {
            depth: Some(Box::new(depth)),
            ..trace()
        };
        match encode(&trace).unwrap_err() {
            FrameError::Invalid { field, .. } => field,
            other => panic!("{other}"),
        }
    };
    let wrong = [
        (
            DepthReasoning {
                columns: 0,
                ..depth()
            },
            "depth.columns",
        ),
        (
            DepthReasoning {
                regenerated: vec![true],
                ..depth()
            },
            "depth.regenerated",
        ),
        (
            DepthReasoning {
                similarity: vec![1.0],
                ..depth()
            },
            "depth.similarity",
        ),
        (
            DepthReasoning {
                similarity: vec![1.0, f32::NAN],
                ..depth()
            },
            "depth.similarity",
        ),
        (
            DepthReasoning {
                codes: vec![0; 5000],
                ..depth()
            },
            "depth.codes",
        ),
        (
            DepthReasoning {
                frame: Some(View {
                    data: Vec::new(),
                    encoding: ViewEncoding::Jpeg,
                    ..observation().views[0].clone()
                }),
                ..depth()
            },
            "view.data",
        ),
    ];
    for (depth, expected) in wrong {
        assert_eq!(field(depth), expected);
    }
    let first = DepthReasoning {
        similarity: Vec::new(),
        ..depth()
    };
    assert_eq!((first.written(), first.rows()), (1, 1));
    assert!(
        encode(&Trace {
            depth: Some(Box::new(first)),
            ..trace()
        })
        .is_ok()
    );
}

#[test]
fn pixels_travel_as_binary() {
    golden(
        &observation(),
        "PS[01][02][85][a8]sequence[07][b2]captured_at_micros[08][a5]state[91][ca][3e][80][00][00]\
         [a9]commanded[90][a5]views[91][85][a4]name[a1]o[a8]encoding[b5]depth_millimetres_u[31][36]\
         [a5]width[01][a6]height[02][a4]data[c4][04][01][02][03][04]",
    );
}

fn ask() -> Ask {
    Ask {
        robot_id: "a".to_owned(),
        question_id: 3,
        cameras: vec!["o".to_owned()],
        question: "where".to_owned(),
    }
}

fn answer() -> Answer {
    Answer {
        question_id: 3,
        state: AnswerState::CutOff,
        ahead: 0,
        text: "t".to_owned(),
        plain: "p".to_owned(),
        marks: vec![SceneMark {
            view: "o".to_owned(),
            label: "cup".to_owned(),
            id: 1,
            group: 0,
            shape: MarkShape::Point { x: 0.5, y: 1.0 },
        }],
        tokens: 2,
        error: String::new(),
        stages: Vec::new(),
    }
}

#[test]
fn questions_and_answers_have_these_bytes() {
    golden(
        &ask(),
        "PS[01][27][84][a8]robot_id[a1]a[ab]question_id[03][a7]cameras[91][a1]o[a8]question[a5]where",
    );
    golden(
        &StopAnswer { question_id: 3 },
        "PS[01][28][81][ab]question_id[03]",
    );
    let scene = SceneAsked {
        question_id: 3,
        robot_id: "a".to_owned(),
        sequence: 7,
        captured_at_micros: 8,
        views: Vec::new(),
    };
    golden(
        &scene,
        "PS[01][38][85][ab]question_id[03][a8]robot_id[a1]a[a8]sequence[07]\
         [b2]captured_at_micros[08][a5]views[90]",
    );
    golden(
        &answer(),
        "PS[01][39][89][ab]question_id[03][a5]state[a7]cut_off[a5]ahead[00][a4]text[a1]t[a5]plain[a1]p\
         [a5]marks[91][85][a4]view[a1]o[a5]label[a3]cup[a2]id[01][a5]group[00]\
         [a5]shape[81][a5]point[82][a1]x[ca][3f][00][00][00][a1]y[ca][3f][80][00][00]\
         [a6]tokens[02][a5]error[a0][a6]stages[90]",
    );
}

#[test]
fn every_message_is_read_back_as_it_was_written() {
    let to_robot: [ToRobot; 4] = [
        chunk().into(),
        Release {}.into(),
        ResetScene {
            seed: Some(u64::MAX),
        }
        .into(),
        RobotWelcome {
            robot_id: "a".to_owned(),
            policy: "p".to_owned(),
            studio_version: "v".to_owned(),
            resume_token: "t".to_owned(),
        }
        .into(),
    ];
    for message in to_robot {
        assert_eq!(
            ToRobot::decode(&message.encode().unwrap()).unwrap(),
            message
        );
    }
    let from_robot: FromRobot = observation().into();
    assert_eq!(
        FromRobot::decode(&from_robot.encode().unwrap()).unwrap(),
        from_robot
    );
    let to_viewer: ToViewer = trace().into();
    assert_eq!(
        ToViewer::decode(&to_viewer.encode().unwrap()).unwrap(),
        to_viewer
    );
    let answer: ToViewer = answer().into();
    assert_eq!(ToViewer::decode(&answer.encode().unwrap()).unwrap(), answer);
    let from_viewer: FromViewer = ResetRobot {
        robot_id: "a".to_owned(),
        scene: ResetScene { seed: Some(1) },
        heard_beat: None,
    }
    .into();
    assert_eq!(
        FromViewer::decode(&from_viewer.encode().unwrap()).unwrap(),
        from_viewer
    );
}

#[test]
fn a_newer_peer_may_add_fields_and_an_older_one_may_lack_optional_ones() {
    #[derive(serde::Serialize)]
    struct Newer {
        text: &'static str,
        color: &'static str,
    }
    let mut frame = b"PS\x01\x13".to_vec();
    let newer = Newer {
        text: "go",
        color: "red",
    };
    frame.extend(rmp_serde::to_vec_named(&newer).unwrap());
    assert_eq!(decode::<Instruction>(&frame).unwrap().text, "go");

    // A studio from before questions.
    #[derive(serde::Serialize)]
    struct Older {
        studio_version: &'static str,
        policy: PolicyDescription,
    }
    let mut frame = b"PS\x01\x31".to_vec();
    let older = Older {
        studio_version: "0",
        policy: PolicyDescription {
            name: "p".to_owned(),
            parameters: 1,
            device: "d".to_owned(),
            horizon: 1,
            modes: Vec::new(),
            action: Vec::new(),
            has_tokenizer: false,
            depth: None,
        },
    };
    frame.extend(rmp_serde::to_vec_named(&older).unwrap());
    let answerer = decode::<ViewerWelcome>(&frame).unwrap().answerer;
    assert_eq!(answerer, Answerer::default());

    let older = b"PS\x01\x16\x80";
    assert_eq!(
        decode::<ResetScene>(older).unwrap(),
        ResetScene { seed: None }
    );
}
