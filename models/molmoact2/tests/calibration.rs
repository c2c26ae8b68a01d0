//! A robot whose joint signs and zero offsets differ from its checkpoint's: input and output of the network stay
//! the same, only state and actions are converted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::scene::Scene;
use common::{Golden, Table};
use molmoact2::{ActOptions, Calibration, Files, LoadOptions, Policy};

fn load(case: &str, calibration: &str) -> Result<Policy, String> {
    let golden = Golden::open(case);
    let options = LoadOptions {
        calibration: Some(Calibration::parse(calibration.as_bytes(), "joints.json").unwrap()),
        ..LoadOptions::default()
    };
    Policy::load_with(
        &Files::open_dir(&golden.checkpoint()).unwrap(),
        &golden.device,
        &options,
    )
    .map_err(|error| error.to_string())
}

/// Joint signs and offsets of the SO-100 and SO-101 since LeRobot's calibration changed.
const SO101: &str =
    r#"{"joint_signs": [1, -1, 1, 1, 1, 1], "joint_offsets": [0, 90, 90, 0, 0, 0]}"#;

#[test]
fn the_network_sees_the_same_and_the_robot_gets_its_own_angles() {
    let golden = Golden::open("one_camera");
    let policy = load("one_camera", SO101).unwrap();
    let calibration = Calibration::parse(SO101.as_bytes(), "joints.json").unwrap();
    let mut scene = Scene::of(&golden);
    let dims = scene.state.len();
    scene.state = calibration.to_robot(&scene.state, dims);
    let options = ActOptions {
        noise: Some(golden.floats("noise")),
        ..ActOptions::default()
    };
    let action = policy.act(&scene.observation(), &options).unwrap();
    let expected: Vec<u32> = golden
        .ints("input_ids")
        .iter()
        .map(|&id| id as u32)
        .collect();
    assert_eq!(action.prompt_ids, expected);
    let mut table = Table::new("calibrated");
    let theirs = calibration.to_robot(&golden.floats("actions"), action.dims);
    table.relative("actions", &action.actions, &theirs, 1e-4);
    assert!(
        (action.actions[1] - golden.floats("actions")[1]).abs() > 1.0,
        "nothing was turned"
    );
    table.finish();
    let stats = &policy.info().tag("so101").unwrap().action_stats;
    assert!(stats.low[1] > stats.high[1] && stats.low[0] < stats.high[0]);
}

#[test]
fn a_calibration_for_another_robot_is_refused() {
    let seven = r#"{"joint_signs": [1, 1, 1, 1, 1, 1], "joint_offsets": [0, 0, 0, 0, 0, 0]}"#;
    let error = load("two_cameras", seven).unwrap_err();
    assert!(
        error.contains("\"other\"") && error.contains("3 joints"),
        "{error}"
    );
    let nobody = r#"{"joint_signs": [1], "joint_offsets": [0], "tag": "nobody"}"#;
    let error = load("two_cameras", nobody).unwrap_err();
    assert!(
        error.contains("nobody") && error.contains("other, pair"),
        "{error}"
    );
    let one =
        r#"{"joint_signs": [-1, 1, 1, 1, 1], "joint_offsets": [0, 0, 0, 0, 0], "tag": "pair"}"#;
    load("two_cameras", one).unwrap();
}
