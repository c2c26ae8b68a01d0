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
/// What the arm can do, in degrees and percent.
const LIMITS: [(f32, f32); 6] = [
    (-110.0, 110.0),
    (-100.0, 100.0),
    (-96.0, 96.0),
    (-95.0, 115.0),
    (-160.0, 160.0),
    (0.0, 100.0),
];
/// What the shipped policy's data did with it.
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

/// The arm with all limits counted otherwise.
fn arm(unit: &str, count: impl Fn((f32, f32)) -> (f32, f32)) -> RobotHello {
    let joints = NAMES.iter().zip(LIMITS);
    hello(
        joints
            .map(|(name, limits)| joint(name, unit, count(limits)))
            .collect(),
    )
}

fn radians((min, max): (f32, f32)) -> (f32, f32) {
    (min.to_radians(), max.to_radians())
}

fn scaled(by: f32) -> impl Fn((f32, f32)) -> (f32, f32) {
    move |(min, max)| (min * by, max * by)
}

/// Codes, and whether the robot is refused.
fn codes(hello: &RobotHello, tag: &TagInfo) -> Vec<(&'static str, bool)> {
    let found = contradictions(hello, tag);
    for contradiction in &found {
        assert!(contradiction.message.len() < 1000, "{}", contradiction.message);
    }
    found
        .iter()
        .map(|contradiction| (contradiction.code, contradiction.refused))
        .collect()
}

#[test]
fn a_robot_that_agrees_hears_nothing() {
    let ours = tag(NAMES, ACTIONS);
    assert_eq!(codes(&arm("deg", |limits| limits), &ours), []);
    // As the built-in one: the gripper in percent.
    let mut mixed = arm("deg", |limits| limits);
    mixed.joints[5].unit = "percent".to_owned();
    assert_eq!(codes(&mixed, &ours), []);
    // Limits wider than what was ever used, and other words for the unit.
    assert_eq!(codes(&arm("deg", |_| (-360.0, 360.0)), &ours), []);
    assert_eq!(codes(&arm("°", |limits| limits), &ours), []);
    assert_eq!(
        codes(&arm("Degrees (motor side)", |limits| limits), &ours),
        []
    );
    // Data that went a little beyond the limits.
    assert_eq!(codes(&arm("deg", scaled(0.9)), &ours), []);
}

#[test]
fn an_unknown_word_for_a_unit_is_named_with_its_joint_and_the_known_words() {
    let ours = tag(NAMES, ACTIONS);
    for unit in ["turns", "ticks", "", "deg (rad)"] {
        let mut odd = arm("deg", |limits| limits);
        odd.joints[4].unit = unit.to_owned();
        let found = contradictions(&odd, &ours);
        assert_eq!(found.len(), 1, "{unit:?}: {found:?}");
        assert_eq!((found[0].code, found[0].refused), ("units_unknown", false));
        let words = &found[0].message;
        assert!(
            words.contains("\"wrist_roll\"") && words.contains(unit) && words.contains(KNOWN),
            "{words}"
        );
        assert!(!words.contains("shoulder_pan"), "{words}");
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
        codes(&five, &ours),
        [("joint_count", true), ("units_unknown", false)]
    );
    // Radians by another name are held against what radians can be.
    let far = tag(NAMES, ACTIONS.map(|(low, high)| (low * 2.0, high * 2.0)));
    let wide = arm("radian (SI)", |_| (-90.0, 120.0));
    assert_eq!(codes(&wide, &far), [("units_mismatch", true)]);
}

#[test]
fn a_robot_in_radians_is_refused_under_data_in_degrees() {
    let ours = tag(NAMES, ACTIONS);
    for unit in ["rad", "radians", "deg", "", "ticks"] {
        let found = contradictions(&arm(unit, radians), &ours);
        assert_eq!(found.len(), 1, "{unit:?}: {found:?}");
        assert_eq!((found[0].code, found[0].refused), ("units_mismatch", true));
        let words = &found[0].message;
        assert!(
            words.contains("-1.92 to 1.92") && words.contains("-60.4 to 54"),
            "{words}"
        );
    }
    // Motions of a few degrees in the data, and joints that turn right round.
    let small = tag(NAMES, ACTIONS.map(|(low, high)| (low / 4.0, high / 4.0)));
    assert_eq!(
        codes(&arm("rad", radians), &small),
        [("units_mismatch", true)]
    );
    let full = arm("rad", |_| (-std::f32::consts::PI, std::f32::consts::PI));
    assert_eq!(codes(&full, &ours), [("units_mismatch", true)]);
}

#[test]
fn a_robot_in_degrees_under_data_in_radians_is_doubtful() {
    let ours = tag(NAMES, ACTIONS.map(radians));
    assert_eq!(
        codes(&arm("deg", |limits| limits), &ours),
        [("units_doubtful", false)]
    );
    assert_eq!(codes(&arm("rad", radians), &ours), []);
    // One joint that hardly moved is nothing special.
    let mut still = ACTIONS;
    still[4] = (-0.5, 0.5);
    assert_eq!(codes(&arm("deg", |limits| limits), &tag(NAMES, still)), []);
}

#[test]
fn percents_against_degrees_are_doubtful_where_the_data_go_further_than_percents() {
    let ours = tag(NAMES, ACTIONS);
    let normalised = |unit: &str| {
        let mut normalised = arm(unit, |_| (-100.0, 100.0));
        normalised.joints[5] = joint("gripper", "percent", (0.0, 100.0));
        normalised
    };
    assert_eq!(
        codes(&normalised("percent"), &ours),
        [("units_doubtful", false)]
    );
    let found = contradictions(&normalised("percent"), &ours);
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
        codes(&arm("percent", |_| (0.0, 100.0)), &ours),
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
fn a_gripper_that_counts_otherwise_is_refused_by_name() {
    let ours = tag(NAMES, ACTIONS);
    for (unit, limits) in [("m", (0.0, 0.08)), ("", (0.0, 1.0)), ("rad", (0.0, 1.7))] {
        let mut metres = arm("deg", |limits| limits);
        metres.joints[5] = joint("gripper", unit, limits);
        let found = contradictions(&metres, &ours);
        assert_eq!(found.len(), 1, "{unit:?}: {found:?}");
        assert!(found[0].refused && found[0].message.contains("\"gripper\""));
        assert!(!found[0].message.contains("shoulder"), "{found:?}");
    }
}

#[test]
fn another_order_of_the_same_names_is_refused() {
    let ours = tag(NAMES, ACTIONS);
    let mut first = arm("deg", |limits| limits);
    first.joints.rotate_right(1);
    let found = contradictions(&first, &ours);
    assert_eq!((found.len(), found[0].code), (1, "joint_order"));
    assert!(found[0].refused);
    let words = &found[0].message;
    assert!(
        words.contains("gripper, shoulder_pan") && words.contains("wrist_roll, gripper"),
        "{words}"
    );
    assert!(
        words.contains("number 1 of the robot and number 6 of the tag"),
        "{words}"
    );
    let mut two = arm("deg", |limits| limits);
    two.joints.swap(1, 2);
    assert_eq!(codes(&two, &ours), [("joint_order", true)]);
    // Names as data sets write them.
    let written = NAMES.map(|name| format!("main_{name}.pos"));
    let written = tag(written.each_ref().map(String::as_str), ACTIONS);
    assert_eq!(codes(&two, &written), [("joint_order", true)]);
    assert_eq!(codes(&arm("deg", |limits| limits), &written), []);
}

#[test]
fn names_that_say_nothing_about_each_other_claim_nothing() {
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
    let ours: Vec<String> = from(0);
    let ours = tag(std::array::from_fn(|n| ours[n].as_str()), ACTIONS);
    let mut numbered = arm("deg", |limits| limits);
    for (joint, name) in numbered.joints.iter_mut().zip(from(1)) {
        joint.name = name;
    }
    assert_eq!(codes(&numbered, &ours), []);
    // The same numbers in another order are another order.
    for (joint, name) in numbered.joints.iter_mut().zip(from(0).into_iter().rev()) {
        joint.name = name;
    }
    assert_eq!(codes(&numbered, &ours), [("joint_order", true)]);
}

#[test]
fn another_number_of_joints_is_refused() {
    let ours = tag(NAMES, ACTIONS);
    let mut five = arm("deg", |limits| limits);
    five.joints.pop();
    assert_eq!(codes(&five, &ours), [("joint_count", true)]);
    let mut mobile = tag(NAMES, ACTIONS);
    mobile.state_dim = 5;
    assert_eq!(codes(&five, &mobile), [("joint_count", false)]);
}

#[test]
fn where_there_are_no_statistics_nothing_is_claimed() {
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
fn a_joint_that_a_calibration_turns_around_fits() {
    let turned = tag(NAMES, ACTIONS.map(|(low, high)| (high, low)));
    assert_eq!(codes(&arm("deg", |limits| limits), &turned), []);
    assert_eq!(
        codes(&arm("rad", radians), &turned),
        [("units_mismatch", true)]
    );
}

#[test]
fn a_camera_that_the_policy_looks_at_and_the_robot_lacks_is_told() {
    let ours = tag(NAMES, ACTIONS);
    let mut blind = arm("deg", |limits| limits);
    blind.cameras[1].name = "hand".to_owned();
    assert_eq!(codes(&blind, &ours), [("cameras_missing", false)]);
    blind.cameras.clear();
    assert_eq!(codes(&blind, &ours), [], "it announces none");
}

#[test]
fn long_names_make_no_long_sentences() {
    let mut joints = Vec::new();
    for n in 0..64 {
        joints.push(joint(
            &format!("{n}{}", "x".repeat(250)),
            "rad",
            (-1.0, 1.0),
        ));
    }
    let mut ours = tag(NAMES, ACTIONS);
    ours.state_dim = 64;
    ours.action = joints
        .iter()
        .map(|joint| ActionDimension {
            name: joint.name.clone(),
            low: -1e30,
            high: 1e30,
            normalised: true,
        })
        .collect();
    assert_eq!(codes(&hello(joints), &ours), [("units_mismatch", true)]);
}
