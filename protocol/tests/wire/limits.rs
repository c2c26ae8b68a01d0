//! A frame costs a decoder little more memory than its own length, and the studio's own messages always fit.

use protocol::{
    CameraDescription, ErrorMessage, FrameError, FromRobot, FromViewer, JointDescription,
    MAX_FRAME_BYTES, Message, ToRobot, ToViewer, decode, encode,
    robot::{Observation, RobotHello, RobotReport, Stop},
    scene::{Answer, Ask},
    viewer::{
        Heard, Heartbeat, MAX_WARNINGS, RobotChanged, RobotDetails, RobotList, StopRobot,
        ViewerHello, Watch,
    },
};

/// Largest number of bytes that `work` had allocated at once.
fn peak(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).bytes_max
}

fn read_as_everything(frame: &[u8]) -> u64 {
    peak(|| {
        FromRobot::decode(frame).ok();
        ToRobot::decode(frame).ok();
        FromViewer::decode(frame).ok();
        ToViewer::decode(frame).ok();
    })
}

/// Value of a hostile body.
#[derive(Debug, Clone)]
enum Value {
    Nil,
    /// A text of this length.
    Text(usize),
    /// A list of this length, in which each value has these bytes.
    Repeat(usize, Vec<u8>),
    /// A marker and a length without content.
    Announce(u8, u32),
    /// Nested lists or maps: marker and depth.
    Nested(u8, usize),
}

fn write(value: &Value) -> Vec<u8> {
    match value {
        Value::Nil => vec![0xc0],
        Value::Text(bytes) => {
            let mut text = vec![0xdb];
            text.extend(u32::try_from(*bytes).unwrap().to_be_bytes());
            text.resize(5 + bytes, b'x');
            text
        }
        Value::Repeat(count, each) => {
            let mut list = vec![0xdd];
            list.extend(u32::try_from(*count).unwrap().to_be_bytes());
            list.extend(each.repeat(*count));
            list
        }
        Value::Announce(marker, count) => [vec![*marker], count.to_be_bytes().to_vec()].concat(),
        Value::Nested(marker, depth) => [vec![*marker; *depth], vec![0xc0]].concat(),
    }
}

fn frame(kind: u8, field: &str, value: &Value) -> Vec<u8> {
    let mut frame = vec![b'P', b'S', 1, kind, 0x81];
    frame.push(0xa0 | u8::try_from(field.len()).unwrap());
    frame.extend(field.as_bytes());
    frame.extend(write(value));
    frame
}

const FIELDS: [&str; 30] = [
    "name",
    "tag",
    "joints",
    "cameras",
    "example_instructions",
    "resume_token",
    "state",
    "commanded",
    "views",
    "instruction",
    "last_refusal",
    "robot_id",
    "policy",
    "actions",
    "text",
    "reason",
    "code",
    "message",
    "client",
    "question",
    "marks",
    "stages",
    "robots",
    "robot",
    "problems",
    "tokens",
    "action_tokens",
    "prompt",
    "depth",
    "no_such_field",
];

#[test]
fn hostile_bodies_of_any_kind_cost_no_memory() {
    let small = 4 << 20;
    let values = [
        Value::Text(small - 64),
        Value::Repeat(small - 64, vec![0xc0]),
        Value::Repeat(small - 64, vec![0x80]),
        Value::Repeat(small - 64, vec![0x90]),
        Value::Repeat(small - 64, vec![0x01]),
        Value::Repeat((small - 64) / 8, b"\x81\xa4name\xa1a".to_vec()),
        Value::Announce(0xdd, u32::MAX),
        Value::Announce(0xdf, u32::MAX),
        Value::Announce(0xdb, u32::MAX),
        Value::Announce(0xc6, u32::MAX),
        Value::Announce(0xc9, u32::MAX),
        Value::Nested(0x91, small - 64),
        Value::Nested(0x81, small - 64),
        Value::Repeat(7000, vec![0xc0]),
        Value::Repeat(900, vec![0x80]),
        Value::Nil,
    ];
    for value in &values {
        let body = write(value);
        for kind in (0x01..=0x3f).chain([0x7f]) {
            for field in FIELDS {
                // Large bodies are slow to test, so only the kind with the largest limit gets them in every field.
                if kind != 0x02 && body.len() > 1 << 20 && field != "name" {
                    continue;
                }
                let frame = frame(kind, field, value);
                let held = read_as_everything(&frame);
                assert!(held <= 1 << 20, "{kind:02x} {field} {value:?}: {held}");
            }
        }
    }
}

#[test]
fn a_frame_larger_than_its_kind_is_refused_by_its_header() {
    fn check<M: Message>() {
        let mut frame = vec![0xc0; M::MAX_BYTES + 1];
        frame[..4].copy_from_slice(&[b'P', b'S', 1, M::KIND]);
        let mut refused = None;
        let held = peak(|| refused = decode::<M>(&frame).err());
        let refused = refused.unwrap();
        let want = FrameError::TooLargeForKind {
            message: M::NAME,
            got: M::MAX_BYTES + 1,
            limit: M::MAX_BYTES,
        };
        assert_eq!(refused, want);
        assert!(!refused.is_fatal());
        assert!(held < 4096, "{}: {held}", M::NAME);
    }
    check::<RobotHello>();
    check::<RobotReport>();
    check::<ErrorMessage>();
    check::<ViewerHello>();
    check::<Watch>();
    check::<StopRobot>();
    check::<Heard>();
    check::<Stop>();
    check::<Ask>();
    check::<Answer>();
    check::<Heartbeat>();
    check::<RobotList>();
    check::<RobotChanged>();
    check::<RobotDetails>();
    assert_eq!(RobotHello::MAX_BYTES, 64 << 10);
    assert_eq!(StopRobot::MAX_BYTES, 8 << 10);
    assert_eq!(Observation::MAX_BYTES, MAX_FRAME_BYTES);
}

/// The largest valid hello, to the byte.
fn largest_hello() -> RobotHello {
    let name = |letter: &str, bytes: usize| letter.repeat(bytes);
    let mut hello = RobotHello {
        name: name("n", 256),
        tag: String::new(),
        joints: (0..64)
            .map(|_| JointDescription {
                name: name("j", 256),
                unit: name("u", 256),
                min: -1.0,
                max: 1.0,
            })
            .collect(),
        cameras: (0..8)
            .map(|_| CameraDescription {
                name: name("c", 256),
                width: 4096,
                height: 4096,
                has_depth: true,
            })
            .collect(),
        control_rate_hz: 30.0,
        example_instructions: Vec::new(),
        simulated: false,
        resume_token: None,
    };
    while hello.example_instructions.len() < 64 {
        let left = RobotHello::MAX_BYTES - encode(&hello).unwrap().len();
        if left < 4 {
            break;
        }
        hello
            .example_instructions
            .push(name("e", (left - 3).min(2000)));
        if encode(&hello).is_err() {
            hello.example_instructions.pop();
            break;
        }
    }
    assert!(encode(&hello).unwrap().len() > RobotHello::MAX_BYTES - 8);
    hello
}

#[test]
fn the_details_of_the_largest_robot_can_always_be_sent() {
    let hello = largest_hello();
    let details = RobotDetails {
        robot_id: "i".repeat(256),
        joints: hello.joints,
        cameras: hello.cameras,
        control_rate_hz: 30.0,
        example_instructions: hello.example_instructions,
        // Excess warnings are shortened, so that the details are always sent.
        warnings: vec!["w".repeat(1200); 9],
    };
    let read = decode::<RobotDetails>(&encode(&details).unwrap()).unwrap();
    assert_eq!(read.joints, details.joints);
    assert_eq!(read.warnings.len(), MAX_WARNINGS);
    assert!(read.warnings[0].ends_with('…'));
}

#[test]
fn long_causes_are_shortened_so_that_messages_of_the_studio_can_be_sent() {
    let error = ErrorMessage {
        code: "c".repeat(1000),
        message: "ä".repeat(1 << 20),
        fatal: true,
    };
    let read = decode::<ErrorMessage>(&encode(&error).unwrap()).unwrap();
    assert_eq!(read.code.len(), 64);
    assert!(read.message.len() <= 4000 && read.message.ends_with("ä…"));
    let beat = Heartbeat {
        beat: 1,
        problems: vec!["p".repeat(10_000); 50],
    };
    let read = decode::<Heartbeat>(&encode(&beat).unwrap()).unwrap();
    assert_eq!((read.problems.len(), read.problems[0].len()), (8, 2000));
}

#[test]
fn an_error_quotes_only_the_beginning_of_a_text_that_is_too_long() {
    let body = frame(0x24, "robot_id", &Value::Text(257));
    let error = decode::<StopRobot>(&body).unwrap_err();
    let reason = error.to_string();
    assert_eq!(error.code(), "bad_body");
    assert!(reason.contains("257 bytes, at most 256"), "{reason}");
    assert!(reason.len() < 200, "{reason}");
}

#[test]
fn a_camera_can_be_asked_about_once() {
    let twice = Ask {
        cameras: vec!["o".to_owned(), "p".to_owned(), "o".to_owned()],
        ..crate::ask()
    };
    let reason = encode(&twice).unwrap_err().to_string();
    assert!(reason.contains("\"o\" is named twice"), "{reason}");
}
