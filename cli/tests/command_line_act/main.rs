//! `policy-studio act --dump` against the reference's tensors for the golden checkpoints: end to end from files on the command
//! line to tensors in a file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod case;

use case::{Case, Tensors, close, json};
use datasets::npy;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Output,
};

/// Compares the tensors of a continuous result; `run` is the prefix of the golden's names.
fn compare_continuous(case: &Case, dump: &Tensors, run: &str, dims: usize) {
    let golden = &case.golden;
    let name = |part: &str| format!("{run}{part}");
    assert_eq!(dump.i64s("input_ids"), golden.i32s(&name("input_ids")));
    let expected = golden.floats(&name("velocity"));
    let [steps, horizon, width] = golden.shape(&name("velocity"))[..] else {
        panic!()
    };
    assert_eq!(dump.shape("velocity"), [steps, horizon, dims]);
    let expected: Vec<f32> = expected
        .chunks(width)
        .flat_map(|row| row[..dims].to_vec())
        .collect();
    close("velocity", &dump.floats("velocity"), &expected, 1e-4);
    assert_eq!(dump.shape("chunk_normalised"), [horizon, dims]);
    let expected = golden.floats(&name("chunk_normalised"));
    let found = dump.floats("chunk_normalised");
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-4);
    }
    assert_eq!(dump.shape("actions"), golden.shape(&name("actions")));
    close(
        "actions",
        &dump.floats("actions"),
        &golden.floats(&name("actions")),
        1e-4,
    );
}

#[test]
fn a_dump_holds_the_references_tensors() {
    for name in ["one_camera", "two_cameras", "masked_gripper"] {
        let case = Case::open(name, "plain");
        let mut command = case.command(&case.images());
        command.arg("--noise").arg(case.noise());
        let (dump, answer) = case.dump(command);
        let dims = answer["dims"].as_u64().unwrap() as usize;
        compare_continuous(&case, &dump, "", dims);
        let logits = case.golden.floats("logits");
        let vocabulary = dump.shape("logits")[0];
        let last = &logits[logits.len() - vocabulary..];
        close("logits", &dump.floats("logits"), last, 1e-4);
        for absent in ["generated_ids", "depth_codes", "depth_regenerated"] {
            assert!(!dump.has(absent), "{absent}");
        }
        let rows = answer["n_action_steps"].as_u64().unwrap() as usize;
        assert_eq!(dump.shape("actions"), [rows, dims]);
        // Printed values equal those of the dump under the same name.
        for (name, count) in [
            ("actions", rows),
            ("chunk_normalised", dump.shape("chunk_normalised")[0]),
        ] {
            let printed = answer[name].as_array().unwrap();
            assert_eq!(printed.len(), count, "{name}");
            let printed: Vec<f32> = printed
                .iter()
                .flat_map(|row| row.as_array().unwrap())
                .map(|value| value.as_f64().unwrap() as f32)
                .collect();
            assert_eq!(printed, dump.floats(name), "{name}");
        }
        let horizon = answer["rows"].as_u64().unwrap() as usize;
        assert_eq!(answer["chunk"].as_array().unwrap().len(), horizon);

        // Fewer steps than the checkpoint's number, with a seed.
        let mut command = case.command(&case.images());
        command.args(["--steps", "2", "--seed", "5"]);
        let (dump, _) = case.dump(command);
        assert_eq!(dump.shape("velocity")[0], 2);
    }
}

#[test]
fn a_dump_with_depth_holds_the_references_tensors() {
    for name in ["think_per_layer", "think_shared", "think_three_cameras"] {
        let case = Case::open(name, "depth");
        let golden = &case.golden;
        let images = case.images();
        let dims = golden.shape("full.actions")[1];

        let mut command = case.command(&images);
        command.arg("--noise").arg(case.noise());
        command.args(["--depth", "full"]);
        let (dump, _) = case.dump(command);
        compare_continuous(&case, &dump, "full.", dims);
        let cells = golden.shape("full.depth_codes")[0];
        assert_eq!(dump.i64s("depth_codes"), golden.i32s("full.depth_codes"));
        assert_eq!(
            dump.i64s("generated_ids"),
            golden.i32s("full.generated_ids")
        );
        assert_eq!(dump.bytes("depth_regenerated"), vec![1; cells]);
        close(
            "logits",
            &dump.floats("logits"),
            &golden.floats("full.prompt_logits"),
            1e-4,
        );

        let mut now = images.clone();
        now[0] = case.image("second.image.0");
        let mut command = case.command(&now);
        command.arg("--noise").arg(case.noise());
        command.args(["--depth", "adaptive", "--previous-image"]);
        command.arg(&images[0]);
        command.arg("--previous-depth").arg(case.codes("full"));
        let (dump, answer) = case.dump(command);
        compare_continuous(&case, &dump, "moved.", dims);
        assert_eq!(dump.i64s("depth_codes"), golden.i32s("moved.depth_codes"));
        assert_eq!(
            dump.bytes("depth_regenerated"),
            golden.bytes("moved.regenerated")
        );
        assert_eq!(
            dump.floats("depth_similarity"),
            golden.floats("moved.similarity")
        );
        assert_eq!(answer["depth"]["codes"].as_array().unwrap().len(), cells);
    }
}

#[test]
fn a_discrete_dump_holds_the_generated_ids() {
    for decoding in ["masked", "strict"] {
        let case = Case::open("think_per_layer", decoding);
        let mut command = case.command(&case.images());
        command.args([
            "--mode",
            "discrete",
            "--decoding",
            decoding,
            "--depth",
            "full",
        ]);
        // The same tokenizer, given with --fast.
        command.arg("--fast").arg(case.checkpoint.join("openfast"));
        let (dump, _) = case.dump(command);
        let golden = &case.golden;
        assert_eq!(
            dump.i64s("generated_ids"),
            golden.i32s("discrete.generated_ids")
        );
        close(
            "actions",
            &dump.floats("actions"),
            &golden.floats("discrete.actions"),
            1e-5,
        );
        assert!(!dump.has("velocity"));
    }
}

#[test]
fn contradictory_options_are_refused_with_the_reason() {
    let case = Case::open("think_three_cameras", "refused");
    let images = case.images();
    let refused = |arguments: &[&str]| {
        let output = case.command(&images).args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let codes = case.codes("full");
    let (codes, frame) = (codes.to_str().unwrap(), images[0].to_str().unwrap());
    let noise = case.noise();
    let noise = noise.to_str().unwrap();
    assert!(
        refused(&["--depth", "adaptive", "--previous-depth", codes]).contains("--previous-image")
    );
    let stderr = refused(&[
        "--depth",
        "full",
        "--previous-image",
        frame,
        "--previous-depth",
        codes,
    ]);
    assert!(stderr.contains("adaptive"), "{stderr}");
    let stderr = refused(&[
        "--depth",
        "adaptive",
        "--previous-image",
        frame,
        "--previous-depth",
        noise,
    ]);
    assert!(stderr.contains("int64"), "{stderr}");
    let stderr = refused(&["--mode", "discrete"]);
    assert!(stderr.contains("continuous"), "{stderr}");
    let stderr = refused(&["--noise", codes]);
    assert!(stderr.contains("float32"), "{stderr}");
    assert!(refused(&["--steps", "0"]).contains("--steps"));

    let plain = Case::open("one_camera", "refused");
    let output = plain
        .command(&plain.images())
        .args(["--depth", "full"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("enable_depth_reasoning"), "{stderr}");
}

#[test]
fn transposed_noise_is_refused_with_both_shapes() {
    let case = Case::open("one_camera", "noise");
    let [horizon, width] = case.golden.shape("noise")[..] else {
        panic!()
    };
    let values = case.golden.floats("noise");
    let act = |shape: &[usize], values: &[f32]| {
        let path = case.scratch.join("turned.npy");
        npy::write(&path, shape, values).unwrap();
        let mut command = case.command(&case.images());
        command.arg("--noise").arg(path).output().unwrap()
    };
    let cut: Vec<f32> = values
        .chunks(width)
        .flat_map(|row| row[..6].to_vec())
        .collect();
    for (shape, values) in [
        (vec![width, horizon], &values),
        (vec![horizon * width], &values),
        (vec![horizon, 6], &cut),
    ] {
        let output = act(&shape, values);
        assert!(!output.status.success());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            stderr.contains(&format!("{shape:?}"))
                && stderr.contains(&format!("[{horizon}, {width}]")),
            "{stderr}"
        );
    }
    // Noise for a batch of one, as the reference draws it.
    let plain = json(&act(&[horizon, width], &values));
    let batch = json(&act(&[1, horizon, width], &values));
    assert_eq!(plain["actions"], batch["actions"]);
}

/// A copy of a golden checkpoint with a changed `norm_stats.json`.
fn copied(case: &Case, change: impl Fn(&mut Value)) -> PathBuf {
    let to = case.scratch.join("models/checkpoint");
    std::fs::remove_dir_all(&to).ok();
    std::fs::create_dir_all(&to).unwrap();
    for file in std::fs::read_dir(&case.checkpoint).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap();
        if name == "norm_stats.json" {
            let mut stats = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            change(&mut stats);
            std::fs::write(to.join(name), serde_json::to_vec(&stats).unwrap()).unwrap();
        } else if path.is_file() {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
    to
}

#[test]
fn an_invalid_tag_is_refused_and_the_alternative_cameras_are_accepted() {
    let case = Case::open("two_cameras", "tags");
    let images = case.images();
    let act = |checkpoint: &Path, images: &[PathBuf]| {
        case.command_on(checkpoint, images).output().unwrap()
    };
    let stderr = |output: &Output| {
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let longer = copied(&case, |stats| {
        stats["metadata_by_tag"]["pair"]["action_horizon"] = 30.into();
    });
    let said = stderr(&act(&longer, &images));
    assert!(
        said.contains("pair")
            && said.contains("action_horizon")
            && said.contains("max_action_horizon"),
        "{said}"
    );
    let plain = copied(&case, |_| {});
    let said = stderr(&act(&plain, &images[..1]));
    assert!(said.contains("overview, wrist"), "{said}");
    let either = copied(&case, |stats| {
        stats["metadata_by_tag"]["pair"]["camera_keys_alternative"] =
            serde_json::json!(["observation.images.front"]);
    });
    let one = json(&act(&either, &images[..1]));
    let two = json(&act(&either, &images));
    assert!(one["prompt_tokens"].as_u64() < two["prompt_tokens"].as_u64());
}

#[test]
fn the_published_action_tokenizer_is_found_beside_the_checkpoint() {
    let case = Case::open("think_per_layer", "sibling");
    let checkpoint = copied(&case, |_| {});
    let beside = checkpoint.with_file_name("MolmoAct2-FAST-Tokenizer");
    std::fs::remove_dir_all(&beside).ok();
    let act = || {
        let mut command = case.command_on(&checkpoint, &case.images());
        command.args(["--mode", "discrete", "--depth", "full"]);
        command.output().unwrap()
    };
    // The nano tokenizer has more ids than this checkpoint has tokens.
    let alone = act();
    assert!(!alone.status.success());
    let stderr = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(
        stderr.contains("nano")
            && stderr.contains("MolmoAct2-FAST-Tokenizer")
            && stderr.contains("--fast"),
        "{stderr}"
    );
    std::fs::create_dir_all(&beside).unwrap();
    for name in ["tokenizer.json", "processor_config.json"] {
        std::fs::copy(
            case.checkpoint.join("openfast").join(name),
            beside.join(name),
        )
        .unwrap();
    }
    let answer = json(&act());
    let ids: Vec<i64> = answer["generated_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_i64().unwrap())
        .collect();
    assert_eq!(ids, case.golden.i32s("discrete.generated_ids"));
}

#[test]
fn a_cache_of_another_length_is_ignored_with_a_warning() {
    let case = Case::open("think_per_layer", "length");
    let images = case.images();
    let codes = case.scratch.join("short.npy");
    let header = "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend([0; 24]);
    std::fs::write(&codes, bytes).unwrap();
    let mut command = case.command(&images);
    command.args(["--depth", "adaptive", "--previous-image"]);
    command.arg(&images[0]).arg("--previous-depth").arg(&codes);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.contains("3 codes") && stderr.contains("16 cells"),
        "{stderr}"
    );
    let regenerated = json(&output)["depth"]["regenerated"].clone();
    assert!(
        regenerated
            .as_array()
            .unwrap()
            .iter()
            .all(|anew| *anew == true)
    );
}

#[test]
fn the_content_of_an_image_file_decides_its_format() {
    let case = Case::open("one_camera", "named");
    let png = case.image("image.0");
    let misnamed = case.scratch.join("frame.jpg");
    std::fs::copy(&png, &misnamed).unwrap();
    let named = json(&case.command(&[png]).output().unwrap());
    let other = json(&case.command(&[misnamed]).output().unwrap());
    assert_eq!(named["actions"], other["actions"]);
}
