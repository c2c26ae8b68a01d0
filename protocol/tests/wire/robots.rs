//! The robot list for viewers: bounded, and readable by viewers from before the details were separate.

use crate::golden;
use protocol::{
    CameraDescription, JointDescription, Message, ToViewer, decode, encode,
    viewer::{MAX_ROBOTS, RobotChanged, RobotDetails, RobotList, RobotSummary},
};

fn robot() -> RobotSummary {
    RobotSummary {
        robot_id: "a".to_owned(),
        name: "n".to_owned(),
        connected: true,
        simulated: false,
        unattended: false,
        stop_requested: true,
        left_unix_secs: None,
    }
}

#[test]
fn robots_have_these_bytes() {
    let list = RobotList {
        robots: vec![robot()],
    };
    golden(
        &list,
        "PS[01][32][81][a6]robots[91][8a][a8]robot_id[a1]a[a4]name[a1]n[a6]joints[90][a7]cameras[90]\
         [af]control_rate_hz[ca][00][00][00][00][b4]example_instructions[90][a9]connected[c3][a9]simulated[c2]\
         [aa]unattended[c2][ae]stop_requested[c3]",
    );
    let left = RobotChanged {
        robot: RobotSummary {
            connected: false,
            left_unix_secs: Some(300),
            ..robot()
        },
    };
    golden(
        &left,
        "PS[01][3d][81][a5]robot[8b][a8]robot_id[a1]a[a4]name[a1]n[a6]joints[90][a7]cameras[90]\
         [af]control_rate_hz[ca][00][00][00][00][b4]example_instructions[90][a9]connected[c2][a9]simulated[c2]\
         [aa]unattended[c2][ae]stop_requested[c3][ae]left_unix_secs[cd][01][2c]",
    );
    let details = RobotDetails {
        robot_id: "a".to_owned(),
        joints: Vec::new(),
        cameras: Vec::new(),
        control_rate_hz: 1.0,
        example_instructions: vec!["e".to_owned()],
        warnings: vec!["w".to_owned()],
    };
    golden(
        &details,
        "PS[01][3c][86][a8]robot_id[a1]a[a6]joints[90][a7]cameras[90][af]control_rate_hz[ca][3f][80][00][00]\
         [b4]example_instructions[91][a1]e[a8]warnings[91][a1]w",
    );
    for message in [
        ToViewer::from(list),
        ToViewer::from(left),
        ToViewer::from(details),
    ] {
        assert_eq!(
            ToViewer::decode(&message.encode().unwrap()).unwrap(),
            message
        );
    }
}

#[test]
fn older_viewers_read_the_list_and_lists_of_older_studios_are_read() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct OlderRobot {
        robot_id: String,
        name: String,
        joints: Vec<JointDescription>,
        cameras: Vec<CameraDescription>,
        control_rate_hz: f32,
        example_instructions: Vec<String>,
        connected: bool,
        warnings: Option<Vec<String>>,
    }
    #[derive(serde::Serialize, serde::Deserialize)]
    struct OlderList {
        robots: Vec<OlderRobot>,
    }
    let frame = encode(&RobotList {
        robots: vec![robot()],
    })
    .unwrap();
    let mut read: OlderList = rmp_serde::from_slice(&frame[4..]).unwrap();
    let older = &mut read.robots[0];
    assert_eq!((older.robot_id.as_str(), older.name.as_str()), ("a", "n"));
    assert!(older.connected && older.joints.is_empty());

    older.example_instructions.push("go".to_owned());
    older.warnings = Some(vec!["w".to_owned()]);
    let mut frame = b"PS\x01\x32".to_vec();
    frame.extend(rmp_serde::to_vec_named(&read).unwrap());
    let robots = decode::<RobotList>(&frame).unwrap().robots;
    let with_defaults = RobotSummary {
        stop_requested: false,
        ..robot()
    };
    assert_eq!(robots, [with_defaults]);
}

/// Holds by the types alone, whatever a robot announces and whatever the studio's code does.
#[test]
fn the_longest_list_has_half_of_its_maximum_size() {
    let longest = RobotSummary {
        robot_id: "i".repeat(256),
        // Names are written shortened.
        name: "ä".repeat(40_000),
        connected: false,
        simulated: false,
        unattended: false,
        stop_requested: false,
        left_unix_secs: Some(u64::MAX),
    };
    let entry = encode(&RobotChanged {
        robot: longest.clone(),
    })
    .unwrap();
    assert!(entry.len() <= 700, "{}", entry.len());
    let frame = encode(&RobotList {
        robots: vec![longest; MAX_ROBOTS],
    })
    .unwrap();
    assert_eq!(RobotList::MAX_BYTES, 256 << 10);
    assert!(frame.len() <= 128 << 10, "{}", frame.len());
    let read = decode::<RobotList>(&frame).unwrap();
    assert_eq!(read.robots.len(), MAX_ROBOTS);
    assert!(read.robots[0].name.ends_with('…') && read.robots[0].name.len() <= 256);
}
