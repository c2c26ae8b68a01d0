//! Golden bytes of the messages: a change here is a change of the protocol.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod commands;
mod depth_maps;
mod limits;
mod refusals;
mod robots;

use protocol::{
    ErrorMessage, FromRobot, FromViewer, Message, Mode, Stage, ToRobot, ToViewer, View,
    ViewEncoding, decode,
    depth::DepthReasoning,
    encode,
    robot::{ActionChunk, Instruction, Observation, Release, ResetScene, RobotWelcome, Stop},
    scene::{Answer, AnswerState, Answerer, Ask, MarkShape, SceneAsked, SceneMark, StopAnswer},
    viewer::{
        PolicyDescription, ResetRobot, TokensOrigin, TokensSoFar, Trace, ViewerHello,
        ViewerWelcome, Watch,
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
