//! Checkpoints on the command line: inspected, synthesized, loaded in several precisions and layouts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/molmoact2")
}

/// A temporary folder per test, deleted on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("checkpoint-{test}-{}", std::process::id()));
        std::fs::remove_dir_all(&path).ok();
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn studio(arguments: &[&str], paths: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_policy-studio"));
    command.args(arguments);
    for (flag, path) in paths {
        if !flag.is_empty() {
            command.arg(flag);
        }
        command.arg(path);
    }
    command.output().unwrap()
}

fn error(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn inspect_describes_a_checkpoint_and_its_gaps() {
    let whole = goldens().join("two_cameras/checkpoint");
    let output = studio(&["inspect", "--json"], &[("", &whole)]);
    let found = json(&output);
    assert!(output.status.success());
    assert_eq!(found["complete"], true);
    assert_eq!(
        found["modes"],
        serde_json::json!(["continuous", "discrete"])
    );
    assert_eq!(
        found["tags"][1]["cameras"],
        serde_json::json!(["overview", "wrist"])
    );
    assert_eq!(found["files"].as_array().unwrap().len(), 3);
    let parameters: u64 = found["parts"]
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(found["parameters"], parameters);
    let memory = found["memory"].as_array().unwrap();
    assert!(memory[0]["weights"].as_u64() > memory[4]["weights"].as_u64());
    let text = String::from_utf8(studio(&["inspect"], &[("", &whole)]).stdout).unwrap();
    for expected in ["tag pair", "overview, wrist", "int4", "complete"] {
        assert!(text.contains(expected), "{text}");
    }

    let folder = Folder::new("inspect");
    for file in std::fs::read_dir(&whole).unwrap() {
        let file = file.unwrap();
        if file.path().is_file() {
            std::fs::copy(file.path(), folder.path(file.file_name().to_str().unwrap())).unwrap();
        }
    }
    std::fs::remove_file(folder.path("model-00002-of-00003.safetensors")).unwrap();
    let output = studio(&["inspect"], &[("", &folder.0)]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("model-00002-of-00003.safetensors"), "{text}");
    let nothing = studio(&["inspect"], &[("", Path::new("/does/not/exist"))]);
    assert!(error(&nothing).contains("/does/not/exist"));
}

fn act(checkpoint: &Path, more: &[&str], paths: &[(&str, &Path)]) -> Output {
    let image = goldens().join("../../../docs/pictures/drive.png");
    let mut all: Vec<(&str, &Path)> = vec![("--policy", checkpoint), ("--image", &image)];
    all.extend(paths);
    let mut arguments = vec![
        "act",
        "--device",
        "cpu",
        "--task",
        "push the red cube",
        "--json",
    ];
    arguments.extend(more);
    studio(&arguments, &all)
}

#[test]
fn a_synthesized_checkpoint_is_complete_and_runs_in_every_precision() {
    let folder = Folder::new("synthesise");
    let made = folder.path("made");
    let sizes = goldens().join("one_camera/checkpoint/config.json");
    let output = studio(
        &[
            "synthesise",
            "--stored",
            "f32",
            "--seed",
            "3",
            "--shard-bytes",
            "200000",
        ],
        &[("", &made), ("--config", &sizes)],
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found = json(&studio(&["inspect", "--json"], &[("", &made)]));
    assert_eq!(found["complete"], true, "{found}");
    assert!(found["files"].as_array().unwrap().len() > 2);

    let again = folder.path("again");
    let output = studio(
        &["synthesise", "--stored", "f32", "--seed", "3"],
        &[("", &again), ("--config", &sizes)],
    );
    assert!(output.status.success());
    let found = json(&studio(&["inspect", "--json"], &[("", &again)]));
    assert_eq!(found["files"].as_array().unwrap().len(), 1);
    assert!(error(&studio(&["synthesise"], &[("", &made)])).contains("not empty"));

    let image = goldens().join("../../../docs/pictures/drive.png");
    let question = ["--tag", "one_arm", "--state", "1 2 3 4 5 6"];
    let chunk = |made: &Path, dtype: &str| -> Vec<f64> {
        let mut more = question.to_vec();
        more.extend(["--dtype", dtype]);
        let answer = json(&act(made, &more, &[("--image", &image)]));
        let rows = answer["chunk_normalised"].as_array().unwrap();
        rows.iter()
            .flat_map(|row| row.as_array().unwrap())
            .map(|x| x.as_f64().unwrap())
            .collect()
    };
    let exact = chunk(&made, "f32");
    assert_eq!(
        exact,
        chunk(&again, "f32"),
        "the seed decides, not the shards"
    );
    for (dtype, bound) in [("f16", 0.02), ("bf16", 0.1), ("int8", 0.2), ("int4", 2.0)] {
        let most = exact
            .iter()
            .zip(chunk(&made, dtype))
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        println!("{dtype}: off by {most:.4}");
        assert!(most > 0.0 && most < bound, "{dtype}: {most}");
    }
    let unknown = act(&made, &["--dtype", "int3", "--state", "0"], &[]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(error(&unknown).contains("int8, int4"));
}

#[test]
fn a_lerobot_folder_needs_its_base_and_a_calibration_its_joints() {
    let lerobot = goldens().join("lerobot_calibrated/policy");
    let base = goldens().join("one_camera/checkpoint");
    let question = ["--state", "1 2 3 4 5 0.5"];
    let alone = act(&lerobot, &question, &[]);
    assert!(error(&alone).contains("--base DIR"), "{}", error(&alone));
    let with_base = json(&act(&lerobot, &question, &[("--base", &base)]));
    assert_eq!(with_base["rows"], 4);
    assert_eq!(with_base["n_action_steps"], 3);

    let folder = Folder::new("calibration");
    let file = folder.path("joints.json");
    std::fs::write(&file, r#"{"joint_signs": [-1], "joint_offsets": [5]}"#).unwrap();
    let plain = json(&act(&base, &question, &[]));
    let turned = json(&act(
        &base,
        &["--state", "4 2 3 4 5 0.5"],
        &[("--calibration", &file)],
    ));
    // The state 4 of the robot is the state 1 of the checkpoint.
    assert_eq!(plain["prompt"], turned["prompt"]);
    for (plain, turned) in plain["actions"]
        .as_array()
        .unwrap()
        .iter()
        .zip(turned["actions"].as_array().unwrap())
    {
        let (plain, turned) = (plain[0].as_f64().unwrap(), turned[0].as_f64().unwrap());
        assert!((5.0 - plain - turned).abs() < 1e-3, "{plain} {turned}");
    }
    let twice = act(
        &lerobot,
        &question,
        &[("--base", &base), ("--calibration", &file)],
    );
    assert!(
        error(&twice).contains("on top of the calibration"),
        "{}",
        error(&twice)
    );
    std::fs::write(&file, "{").unwrap();
    let broken = act(&base, &question, &[("--calibration", &file)]);
    assert!(error(&broken).contains("joints.json"), "{}", error(&broken));
}

#[test]
fn bench_measures_a_checkpoint_of_any_robot() {
    let bench = |case: &str, more: &[&str]| {
        let mut arguments = vec![
            "bench",
            "policy",
            "--device",
            "cpu",
            "--json",
            "--repeats",
            "2",
        ];
        arguments.extend(more);
        let folder = goldens().join(case).join("checkpoint");
        studio(&arguments, &[("--policy", &folder)])
    };
    let output = bench("two_cameras", &["--tag", "pair", "--batches", "2,3"]);
    let times = &json(&output)["policy"];
    for mode in ["continuous", "discrete"] {
        let times = &times[mode];
        assert_eq!(times["tag"], "pair");
        assert_eq!(times["images"], 2);
        assert_eq!(times["total"]["n"], 2);
        for count in ["2", "3"] {
            let per_chunk = times["per_chunk_of_batch"][count]["median"].as_f64();
            assert!(per_chunk > Some(0.0), "{times}");
        }
    }
    // The first tag, when none is named.
    let output = bench("two_cameras", &[]);
    assert_eq!(json(&output)["policy"]["continuous"]["tag"], "other");
    assert!(error(&bench("two_cameras", &["--tag", "nobody"])).contains("other, pair"));
    // This random head never ends a depth map for this image.
    let output = bench("think_per_layer", &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.contains("not measured: continuous, depth full"),
        "{stderr}"
    );
    assert!(json(&output)["policy"]["continuous"]["total"]["n"] == 2);
}
