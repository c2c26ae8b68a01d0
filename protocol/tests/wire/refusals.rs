//! What is not a message, or contradicts itself, is refused with its reason; no bytes make a decoder panic.

use proptest::prelude::*;
use protocol::{
    FrameError, FromRobot, FromViewer, MAX_FRAME_BYTES, ToRobot, ToViewer, VERSION, decode, encode,
    kind_of,
    robot::{ActionChunk, Instruction, Release, RobotHello},
};

use crate::{answer, ask, chunk, observation, trace};

#[test]
fn broken_headers_are_named() {
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
fn contradictions_are_refused_with_the_field() {
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
    assert!(reason(encode(&wrong)).contains("Ask.cameras: 0 are named; 1 to 8 can be"));
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

/// The valid frames from which the broken ones are made.
fn frames() -> Vec<Vec<u8>> {
    vec![
        encode(&chunk()).unwrap(),
        encode(&observation()).unwrap(),
        encode(&trace()).unwrap(),
        encode(&ask()).unwrap(),
        encode(&answer()).unwrap(),
        encode(&Release {}).unwrap(),
    ]
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
        which in 0..4_usize,
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
    ) {
        let mut bytes = frames().swap_remove(which);
        let position = at.index(bytes.len());
        bytes[position] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
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
