//! LeRobot policy folders: the same actions as LeRobot's own policy, and as the same weights in the published layout.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::path::{Path, PathBuf};

use common::scene::Scene;
use common::{Golden, Table};
use molmoact2::{ActOptions, Action, Files, LoadError, Mode, Policy};
use serde_json::{Value, json};

const CASES: [&str; 2] = ["lerobot_pair", "lerobot_calibrated"];

fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/molmoact2")
}

fn folder(case: &str) -> PathBuf {
    goldens().join(case).join("policy")
}

fn base(golden: &Golden) -> PathBuf {
    let name = golden.meta("base");
    goldens().join(name.as_str().unwrap()).join("checkpoint")
}

fn open(golden: &Golden) -> Result<Policy, LoadError> {
    let files = Files::open_dir(&folder(&golden.case))?.with_base(Files::open_dir(&base(golden))?);
    Policy::load(&files, &golden.device)
}

fn act(policy: &Policy, golden: &Golden) -> Action {
    let options = ActOptions {
        noise: Some(golden.floats("noise")),
        ..ActOptions::default()
    };
    policy
        .act(&Scene::of(golden).observation(), &options)
        .unwrap()
}

#[test]
fn a_lerobot_folder_answers_what_lerobot_answers() {
    for case in CASES {
        let golden = Golden::open(case);
        let policy = open(&golden).unwrap();
        let action = act(&policy, &golden);
        let expected: Vec<u32> = golden
            .ints("input_ids")
            .iter()
            .map(|&id| id as u32)
            .collect();
        assert_eq!(action.prompt_ids, expected, "{case}");
        let mut table = Table::new(case);
        let expected = golden.floats("chunk_normalised");
        table.absolute("chunk", &action.chunk_normalized, &expected, 1e-4);
        assert_eq!(golden.shape("actions"), [action.rows, action.dims]);
        table.relative("actions", &action.actions, &golden.floats("actions"), 1e-4);
        table.finish();
    }
}

#[test]
fn the_same_weights_answer_the_same_in_either_layout() {
    let golden = Golden::open("lerobot_pair");
    let policy = open(&golden).unwrap();
    let published = Files::open_dir(&base(&golden)).unwrap();
    let published = Policy::load(&published, &golden.device).unwrap();
    let (ours, theirs) = (act(&policy, &golden), act(&published, &golden));
    assert_eq!(ours.chunk_normalized, theirs.chunk_normalized);
    let mut table = Table::new("either layout");
    table.relative("actions", &ours.actions, &theirs.actions, 1e-6);
    table.finish();
    assert_eq!(policy.info().modes, [Mode::Continuous, Mode::Discrete]);
    assert_eq!(policy.info().parameters, published.info().parameters);
    let (ours, theirs) = (
        policy.info().tag("pair").unwrap(),
        published.info().tag("pair").unwrap(),
    );
    assert_eq!(ours.cameras, theirs.cameras);
    assert_eq!(
        (ours.horizon, ours.n_action_steps),
        (theirs.horizon, theirs.n_action_steps)
    );
}

#[test]
fn what_the_folder_was_set_to_wins_over_its_base() {
    let golden = Golden::open("lerobot_calibrated");
    let policy = open(&golden).unwrap();
    let info = policy.info();
    assert_eq!(
        (info.flow_steps, info.modes.as_slice()),
        (7, &[Mode::Continuous][..])
    );
    let tag = info.tag("lerobot").unwrap();
    assert_eq!((tag.horizon, tag.n_action_steps), (4, 3));
    assert_eq!(tag.setup, "single so100 robotic arm");
    assert_eq!(tag.action_stats.names[1], "lift");
    assert_eq!(tag.action_stats.mask, [true, true, true, true, true, false]);
    assert!(
        tag.action_stats.low[1] > tag.action_stats.high[1],
        "the lift is turned around"
    );

    let mut scene = Scene::of(&golden);
    scene.state[5] = 40.0;
    let error = policy
        .act(&scene.observation(), &ActOptions::default())
        .unwrap_err();
    assert!(
        error.to_string().contains("value 5 of the state"),
        "{error}"
    );
}

#[test]
fn without_its_base_a_folder_says_which_one_to_give() {
    let golden = Golden::open("lerobot_pair");
    let alone = Files::open_dir(&folder("lerobot_pair")).unwrap();
    let error = Policy::load(&alone, &golden.device)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("tiny/two_cameras") && error.contains("as the base"),
        "{error}"
    );
    let wrong = Files::open_dir(&folder("lerobot_pair")).unwrap();
    let wrong = wrong.with_base(Files::open_dir(&folder("lerobot_pair")).unwrap());
    let error = Policy::load(&wrong, &golden.device)
        .unwrap_err()
        .to_string();
    assert!(error.contains("itself a LeRobot policy folder"), "{error}");
    let other = Files::open_dir(&folder("lerobot_pair")).unwrap();
    let other = other.with_base(Files::open_dir(&goldens().join("one_camera/checkpoint")).unwrap());
    let error = Policy::load(&other, &golden.device)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("norm_tag") && error.contains("so101"),
        "{error}"
    );
}

/// A folder in memory with one file edited.
fn edited(file: &str, edit: &dyn Fn(&mut Value)) -> Result<Policy, String> {
    let golden = Golden::open("lerobot_calibrated");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder("lerobot_calibrated")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut bytes = std::fs::read(&path).unwrap();
        if name == file {
            let mut raw = serde_json::from_slice(&bytes).unwrap();
            edit(&mut raw);
            bytes = serde_json::to_vec(&raw).unwrap();
        }
        files.push((name, bytes.into()));
    }
    let files =
        Files::from_memory(files).with_base(Files::open_dir(Path::new(&base(&golden))).unwrap());
    Policy::load(&files, &golden.device).map_err(|error| error.to_string())
}

#[test]
fn what_lerobot_would_refuse_or_compute_otherwise_is_refused_by_name() {
    type Edit = fn(&mut Value);
    const CONFIG: &str = "config.json";
    const BEFORE: &str = "policy_preprocessor.json";
    const AFTER: &str = "policy_postprocessor.json";
    edited(CONFIG, &|_| {}).unwrap();
    let edits: [(&str, &str, Edit); 11] = [
        (CONFIG, "\"act\"", |raw| raw["type"] = json!("act")),
        (CONFIG, "enable_lora_vlm", |raw| {
            raw["enable_lora_vlm"] = json!(true);
        }),
        (CONFIG, "norm_tag", |raw| raw["norm_tag"] = json!("nobody")),
        (CONFIG, "\"four\"", |raw| raw["chunk_size"] = json!("four")),
        (CONFIG, "output_features.action.shape", |raw| {
            raw["output_features"]["action"]["shape"] = json!([7]);
        }),
        (BEFORE, "tokenizer_processor", |raw| {
            raw["steps"][2]["registry_name"] = json!("tokenizer_processor");
        }),
        (BEFORE, "molmoact2_clamp_normalized", |raw| {
            raw["steps"].as_array_mut().unwrap().swap(3, 4);
        }),
        (BEFORE, "max_action_dim", |raw| {
            raw["steps"][5]["config"]["max_action_dim"] = json!(31);
        }),
        (BEFORE, "state_file", |raw| {
            raw["steps"][3]["state_file"] = json!("../x");
        }),
        (BEFORE, "joint_signs", |raw| {
            raw["steps"][2]["config"]["joint_signs"][0] = json!(-1);
        }),
        (AFTER, "QUANTILES_OF_QUANTILES", |raw| {
            raw["steps"][1]["config"]["norm_map"]["ACTION"] = json!("QUANTILES_OF_QUANTILES");
        }),
    ];
    for (file, named, edit) in edits {
        let error = edited(file, &edit).unwrap_err();
        assert!(error.contains(named), "{file}, {named}: {error}");
    }
}
