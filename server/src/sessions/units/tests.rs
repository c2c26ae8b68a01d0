#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use super::*;
use protocol::CameraDescription;

const NAMES: [&str; 6] = [
    "shoulder_pan",
    "shoulder_lift",
    "elbow_flex",
    "wrist_flex",
    "wrist_roll",
    "gripper",
];
/// Limits of the arm, in degrees and percent.
const LIMITS: [(f32, f32); 6] = [
    (-110.0, 110.0),
    (-100.0, 100.0),
    (-96.0, 96.0),
    (-95.0, 115.0),
    (-160.0, 160.0),
    (0.0, 100.0),
];
/// Range of the actions in the nano policy's data.
const ACTIONS: [(f32, f32); 6] = [
    (-60.4, 54.0),
    (-62.0, 58.2),
    (-80.4, 56.5),
    (44.8, 113.9),
    (-59.3, 59.0),
    (25.0, 95.0),
];

fn tag(names: [&str; 6], actions: [(f32, f32); 6]) -> TagInfo {
    let action = names.iter().zip(actions);
    TagInfo {
        tag: "arm".to_owned(),
        cameras: vec!["overview".to_owned(), "wrist".to_owned()],
        state_dim: 6,
        action: action
            .map(|(name, (low, high))| ActionDimension {
                name: (*name).to_owned(),
                low,
                high,
                normalised: true,
            })
            .collect(),
        mean_action: Vec::new(),
        horizon: 16,
        n_action_steps: 8,
    }
}

fn joint(name: &str, unit: &str, (min, max): (f32, f32)) -> JointDescription {
    JointDescription {
        name: name.to_owned(),
        unit: unit.to_owned(),
        min,
        max,
    }
}

fn hello(joints: Vec<JointDescription>) -> RobotHello {
    let camera = |name: &str| CameraDescription {
        name: name.to_owned(),
        width: 128,
        height: 96,
        has_depth: false,
    };
    RobotHello {
        name: "lab".to_owned(),
        tag: "arm".to_owned(),
        joints,
        cameras: vec![camera("overview"), camera("wrist")],
        control_rate_hz: 30.0,
        example_instructions: Vec::new(),
        simulated: false,
        resume_token: None,
    }
}

/// The arm with its limits converted by `convert`.
fn arm(unit: &str, convert: impl Fn((f32, f32)) -> (f32, f32)) -> RobotHello {
    let joints = NAMES.iter().zip(LIMITS);
    hello(
        joints
            .map(|(name, limits)| joint(name, unit, convert(limits)))
            .collect(),
    )
}

fn radians((min, max): (f32, f32)) -> (f32, f32) {
    (min.to_radians(), max.to_radians())
}

fn scaled(by: f32) -> impl Fn((f32, f32)) -> (f32, f32) {
    move |(min, max)| (min * by, max * by)
}

/// Codes of the contradictions; the second value is true for a refusal.
fn codes(hello: &RobotHello, tag: &TagInfo) -> Vec<(&'static str, bool)> {
    let found = contradictions(hello, tag);
    for contradiction in &found {
        assert!(
            contradiction.message.len() < 1000,
            "{}",
            contradiction.message
        );
    }
    found
        .iter()
        .map(|contradiction| (contradiction.code, contradiction.refused))
        .collect()
}

#[test]
fn a_robot_that_agrees_has_no_contradictions() {
    let tag_data = tag(NAMES, ACTIONS);
    assert_eq!(codes(&arm("deg", |limits| limits), &tag_data), []);
    // As the built-in one: the gripper in percent.
    let mut mixed = arm("deg", |limits| limits);
    mixed.joints[5].unit = "percent".to_owned();
    assert_eq!(codes(&mixed, &tag_data), []);
    // Limits wider than what was ever used, and other words for the unit.
    assert_eq!(codes(&arm("deg", |_| (-360.0, 360.0)), &tag_data), []);
    assert_eq!(codes(&arm("°", |limits| limits), &tag_data), []);
    assert_eq!(
        codes(&arm("Degrees (motor side)", |limits| limits), &tag_data),
        []
    );
    // Data that went a little beyond the limits.
    assert_eq!(codes(&arm("deg", scaled(0.9)), &tag_data), []);
}

#[test]
fn an_unknown_unit_is_named_with_its_joint_and_the_known_units() {
    let tag_data = tag(NAMES, ACTIONS);
    for unit in ["turns", "ticks", "", "deg (rad)"] {
        let mut odd = arm("deg", |limits| limits);
        odd.joints[4].unit = unit.to_owned();
        let found = contradictions(&odd, &tag_data);
        assert_eq!(found.len(), 1, "{unit:?}: {found:?}");
        assert_eq!((found[0].code, found[0].refused), ("units_unknown", false));
        let message = &found[0].message;
        assert!(
            message.contains("\"wrist_roll\"") && message.contains(unit) && message.contains(KNOWN),
            "{message}"
        );
        assert!(!message.contains("shoulder_pan"), "{message}");
    }
    // Whatever the policy knows of the joints.
    let none = tag(NAMES, [(-1.0, 1.0); 6]);
    assert_eq!(
        codes(&arm("turns", |limits| limits), &none),
        [("units_unknown", false)]
    );
    let mut five = arm("turns", |limits| limits);
    five.joints.pop();
    assert_eq!(
        codes(&five, &tag_data),
        [("joint_count", true), ("units_unknown", false)]
    );
    // Radians by another name are held against what radians can be.
    let far = tag(NAMES, ACTIONS.map(|(low, high)| (low * 2.0, high * 2.0)));
    let wide = arm("radian (SI)", |_| (-90.0, 120.0));
    assert_eq!(codes(&wide, &far), [("units_mismatch", true)]);
}

#[test]
fn a_robot_in_radians_is_refused_under_data_in_degrees() {
    let tag_data = tag(NAMES, ACTIONS);
    for unit in ["rad", "radians", "deg", "", "ticks"] {
        let found = contradictions(&arm(unit, radians), &tag_data);
        assert_eq!(found.len(), 1, "{unit:?}: {found:?}");
        assert_eq!((found[0].code, found[0].refused), ("units_mismatch", true));
        let message = &found[0].message;
        assert!(
            message.contains("-1.92 to 1.92") && message.contains("-60.4 to 54"),
            "{message}"
        );
    }
    // Motions of a few degrees in the data, and joints that turn right round.
    let small = tag(NAMES, ACTIONS.map(|(low, high)| (low / 4.0, high / 4.0)));
    assert_eq!(
        codes(&arm("rad", radians), &small),
        [("units_mismatch", true)]
    );
    let full = arm("rad", |_| (-std::f32::consts::PI, std::f32::consts::PI));
    assert_eq!(codes(&full, &tag_data), [("units_mismatch", true)]);
}

#[test]
fn a_robot_in_degrees_under_data_in_radians_is_doubtful() {
    let tag_data = tag(NAMES, ACTIONS.map(radians));
    assert_eq!(
        codes(&arm("deg", |limits| limits), &tag_data),
        [("units_doubtful", false)]
    );
    assert_eq!(codes(&arm("rad", radians), &tag_data), []);
    // One joint that hardly moved is nothing special.
    let mut still = ACTIONS;
    still[4] = (-0.5, 0.5);
    assert_eq!(codes(&arm("deg", |limits| limits), &tag(NAMES, still)), []);
}

#[test]
fn percents_against_degrees_are_doubtful_where_the_data_go_further_than_percents() {
    let tag_data = tag(NAMES, ACTIONS);
    let normalised = |unit: &str| {
        let mut normalised = arm(unit, |_| (-100.0, 100.0));
        normalised.joints[5] = joint("gripper", "percent", (0.0, 100.0));
        normalised
    };
    assert_eq!(
        codes(&normalised("percent"), &tag_data),
        [("units_doubtful", false)]
    );
    let found = contradictions(&normalised("percent"), &tag_data);
    assert!(found[0].message.contains("wrist_flex"), "{found:?}");
    // lerobot's older degrees of the same arm: 0 to 190 and so on.
    let mut older = ACTIONS;
    (older[1], older[2]) = ((10.0, 190.0), (5.0, 180.0));
    let older = tag(NAMES, older);
    for unit in ["percent", "deg"] {
        assert_eq!(
            codes(&normalised(unit), &older),
            [("units_doubtful", false)]
        );
    }
    assert_eq!(
        codes(&normalised(""), &older),
        [("units_doubtful", false), ("units_unknown", false)]
    );
    // From 0 to 100 throughout: half of the data is outside.
    assert_eq!(
        codes(&arm("percent", |_| (0.0, 100.0)), &tag_data),
        [("units_doubtful", false)]
    );
    // Data in percents, too.
    let percent = tag(
        NAMES,
        ACTIONS.map(|(low, high)| (low.max(-99.0), high.min(99.0))),
    );
    assert_eq!(codes(&normalised("percent"), &percent), []);
}

#[test]
fn a_gripper_in_another_unit_is_refused_by_name() {
    let tag_data = tag(NAMES, ACTIONS);
    for (unit, limits) in [("m", (0.0, 0.08)), ("", (0.0, 1.0)), ("rad", (0.0, 1.7))] {
        let mut metres = arm("deg", |limits| limits);
        metres.joints[5] = joint("gripper", unit, limits);
        let found = contradictions(&metres, &tag_data);
        assert_eq!(found.len(), 1, "{unit:?}: {found:?}");
        assert!(found[0].refused && found[0].message.contains("\"gripper\""));
        assert!(!found[0].message.contains("shoulder"), "{found:?}");
    }
}

#[test]
fn another_order_of_the_same_names_is_refused() {
    let tag_data = tag(NAMES, ACTIONS);
    let mut first = arm("deg", |limits| limits);
    first.joints.rotate_right(1);
    let found = contradictions(&first, &tag_data);
    assert_eq!((found.len(), found[0].code), (1, "joint_order"));
    assert!(found[0].refused);
    let message = &found[0].message;
    assert!(
        message.contains("gripper, shoulder_pan") && message.contains("wrist_roll, gripper"),
        "{message}"
    );
    assert!(
        message.contains("number 1 of the robot and number 6 of the tag"),
        "{message}"
    );
    let mut two = arm("deg", |limits| limits);
    two.joints.swap(1, 2);
    assert_eq!(codes(&two, &tag_data), [("joint_order", true)]);
    // Names as data sets write them.
    let written = NAMES.map(|name| format!("main_{name}.pos"));
    let written = tag(written.each_ref().map(String::as_str), ACTIONS);
    assert_eq!(codes(&two, &written), [("joint_order", true)]);
    assert_eq!(codes(&arm("deg", |limits| limits), &written), []);
}

#[test]
fn names_that_cannot_be_matched_are_no_contradiction() {
    let swapped = {
        let mut joints = arm("deg", |_| (-180.0, 180.0));
        joints.joints.swap(0, 5);
        joints
    };
    for names in [
        ["a", "b", "c", "d", "e", "f"],
        [
            "action_0", "action_1", "action_2", "action_3", "action_4", "action_5",
        ],
        ["x", "x", "x", "x", "x", "x"],
        ["", "", "", "", "", ""],
    ] {
        assert_eq!(codes(&swapped, &tag(names, ACTIONS)), [], "{names:?}");
    }
    // Counted from 1 here and from 0 there.
    let from = |first: usize| -> Vec<String> {
        (first..first + 6).map(|n| format!("joint_{n}")).collect()
    };
    let names: Vec<String> = from(0);
    let tag_data = tag(std::array::from_fn(|n| names[n].as_str()), ACTIONS);
    let mut numbered = arm("deg", |limits| limits);
    for (joint, name) in numbered.joints.iter_mut().zip(from(1)) {
        joint.name = name;
    }
    assert_eq!(codes(&numbered, &tag_data), []);
    // The same numbers in another order are another order.
    for (joint, name) in numbered.joints.iter_mut().zip(from(0).into_iter().rev()) {
        joint.name = name;
    }
    assert_eq!(codes(&numbered, &tag_data), [("joint_order", true)]);
}

#[test]
fn another_number_of_joints_is_refused() {
    let tag_data = tag(NAMES, ACTIONS);
    let mut five = arm("deg", |limits| limits);
    five.joints.pop();
    assert_eq!(codes(&five, &tag_data), [("joint_count", true)]);
    let mut mobile = tag(NAMES, ACTIONS);
    mobile.state_dim = 5;
    assert_eq!(codes(&five, &mobile), [("joint_count", false)]);
}

#[test]
fn without_statistics_there_is_no_contradiction() {
    let none = tag(NAMES, [(-1.0, 1.0); 6]);
    assert_eq!(codes(&arm("deg", |limits| limits), &none), []);
    let mut masked = tag(NAMES, ACTIONS);
    for dimension in &mut masked.action {
        dimension.normalised = false;
    }
    assert_eq!(codes(&arm("rad", radians), &masked), []);
    let mut odd = tag(NAMES, [(0.0, 0.0); 6]);
    odd.action[0].low = f32::NAN;
    assert_eq!(codes(&arm("rad", radians), &odd), []);
    let mut empty = tag(NAMES, ACTIONS);
    empty.action.clear();
    assert_eq!(codes(&arm("rad", radians), &empty), []);
}

#[test]
fn a_joint_that_a_calibration_inverts_fits() {
    let turned = tag(NAMES, ACTIONS.map(|(low, high)| (high, low)));
    assert_eq!(codes(&arm("deg", |limits| limits), &turned), []);
    assert_eq!(
        codes(&arm("rad", radians), &turned),
        [("units_mismatch", true)]
    );
}

#[test]
fn a_camera_that_the_policy_needs_and_the_robot_lacks_is_a_warning() {
    let tag_data = tag(NAMES, ACTIONS);
    let mut blind = arm("deg", |limits| limits);
    blind.cameras[1].name = "hand".to_owned();
    assert_eq!(codes(&blind, &tag_data), [("cameras_missing", false)]);
    blind.cameras.clear();
    assert_eq!(codes(&blind, &tag_data), [], "it announces none");
}

#[test]
fn long_names_make_no_long_messages() {
    let mut joints = Vec::new();
    for n in 0..64 {
        joints.push(joint(
            &format!("{n}{}", "x".repeat(250)),
            "rad",
            (-1.0, 1.0),
        ));
    }
    let mut tag_data = tag(NAMES, ACTIONS);
    tag_data.state_dim = 64;
    tag_data.action = joints
        .iter()
        .map(|joint| ActionDimension {
            name: joint.name.clone(),
            low: -1e30,
            high: 1e30,
            normalised: true,
        })
        .collect();
    assert_eq!(codes(&hello(joints), &tag_data), [("units_mismatch", true)]);
}
