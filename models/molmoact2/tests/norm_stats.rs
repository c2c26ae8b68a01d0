//! Normalization against the reference, and the errors of a statistics file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/inputs.rs"]
mod inputs;

use inputs::{CASES, Inputs, from_json, read, rows};
use molmoact2::error::ActError;
use molmoact2::norm_stats::{NormMode, NormStats, Normalizer};
use serde_json::{Value, json};

#[test]
fn every_mode_maps_both_ways_as_in_the_reference() {
    let table = rows("normalisation.json");
    assert_eq!(table.len(), 10);
    for row in table {
        let about = format!("{} mask {}", row["norm_mode"], row["stats"]["mask"]);
        let normalizer = Normalizer::new(
            from_json(&row["stats"]),
            from_json(&row["norm_mode"]),
            "stats",
        )
        .unwrap();
        let inputs: Vec<Vec<f32>> = from_json(&row["inputs"]);
        let normalised: Vec<Vec<f32>> = from_json(&row["normalised"]);
        for (input, expected) in inputs.iter().zip(normalised) {
            assert_eq!(normalizer.normalize(input), expected, "{about}: {input:?}");
        }
        let outputs: Vec<Vec<f32>> = from_json(&row["outputs"]);
        let unnormalised: Vec<Vec<f32>> = from_json(&row["unnormalised"]);
        // As one chunk of several rows.
        assert_eq!(
            normalizer.unnormalize(&outputs.concat()),
            unnormalised.concat(),
            "{about}"
        );
    }
}

#[test]
fn chunks_of_the_golden_checkpoints_come_out_in_robot_units() {
    for case in CASES {
        let inputs = Inputs::open(case);
        let tag = inputs.stats.tag(&inputs.about("tag")).unwrap();
        assert_eq!(
            tag.normalize_state(&inputs.floats("state")).unwrap(),
            inputs.floats("state_normalised")
        );
        let rows = tag.rows(&inputs.config).unwrap();
        let dims = tag.action.dims();
        let chunk = inputs.floats("chunk_normalised");
        assert_eq!(
            inputs.shape("chunk_normalised"),
            [rows.horizon, dims],
            "{case}"
        );
        let executed = &chunk[rows.first * dims..(rows.first + rows.count) * dims];
        assert_eq!(
            tag.unnormalize_actions(executed).unwrap(),
            inputs.floats("actions"),
            "{case}"
        );
    }
}

#[test]
fn an_unknown_tag_is_answered_with_the_known_ones() {
    let stats = NormStats::parse(&read("two_cameras/checkpoint/norm_stats.json")).unwrap();
    let error = stats.tag("pear").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown tag \"pear\"; this checkpoint knows other, pair"
    );
    assert_eq!(
        stats.tag(" pair ").unwrap().cameras(),
        ["overview", "wrist"]
    );
    let wrong = stats
        .tag("pair")
        .unwrap()
        .normalize_state(&[1.0, 2.0])
        .unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the state has 2 values; tag \"pair\" takes 7"
    );
    assert!(
        stats
            .tag("pair")
            .unwrap()
            .unnormalize_actions(&[0.0; 7])
            .is_err()
    );
}

/// A statistics file with one edit.
fn edited(edit: impl Fn(&mut Value)) -> Result<NormStats, String> {
    let mut raw: Value =
        serde_json::from_slice(&read("one_camera/checkpoint/norm_stats.json")).unwrap();
    edit(&mut raw);
    NormStats::parse(&serde_json::to_vec(&raw).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn a_damaged_statistics_file_is_refused_with_the_key() {
    type Damage = fn(&mut Value);
    let cases: [(&str, Damage); 7] = [
        ("norm_mode", |raw| raw["norm_mode"] = json!("q05_q95")),
        ("format", |raw| raw["format"] = json!("v9")),
        ("metadata_by_tag", |raw| raw["metadata_by_tag"] = json!({})),
        ("metadata_by_tag.so101.state_stats", |raw| {
            raw["metadata_by_tag"]["so101"]["state_stats"] = Value::Null;
        }),
        ("action_stats.q99", |raw| {
            raw["metadata_by_tag"]["so101"]["action_stats"]["q99"] = Value::Null;
        }),
        ("action_stats.q01", |raw| {
            raw["metadata_by_tag"]["so101"]["action_stats"]["q01"] = json!([1.0, 2.0]);
        }),
        ("state_stats.mask", |raw| {
            raw["metadata_by_tag"]["so101"]["state_stats"]["mask"] = json!([true]);
        }),
    ];
    assert!(edited(|_| ()).is_ok());
    for (key, edit) in cases {
        let error = edited(edit).unwrap_err();
        assert!(
            error.contains(key) || (key == "norm_mode" && error.contains("q05_q95")),
            "{key}: {error}"
        );
    }
}

#[test]
fn a_horizon_beyond_the_checkpoint_is_refused() {
    let inputs = Inputs::open("one_camera");
    for (key, value) in [
        ("action_horizon", 7),
        ("action_horizon", 0),
        ("n_action_steps", 9),
    ] {
        let stats = edited(|raw| raw["metadata_by_tag"]["so101"][key] = json!(value)).unwrap();
        let error = stats
            .tag("so101")
            .unwrap()
            .rows(&inputs.config)
            .unwrap_err();
        assert!(
            matches!(&error, ActError::BadTag { key: found, .. } if *found == key),
            "{error}"
        );
    }
}

#[test]
fn statistics_that_no_data_have_and_damaged_keys_are_refused() {
    let whole: Value =
        serde_json::from_slice(&read("one_camera/checkpoint/norm_stats.json")).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut stats = whole.clone();
        change(&mut stats);
        NormStats::parse(&serde_json::to_vec(&stats).unwrap())
            .unwrap_err()
            .to_string()
    };
    fn rename(keys: &mut Value, from: &str, to: &str) {
        let keys = keys.as_object_mut().unwrap();
        let value = keys.remove(from).unwrap();
        keys.insert(to.to_owned(), value);
    }
    let error = refused(&|stats| {
        let stats = &mut stats["metadata_by_tag"]["so101"]["action_stats"];
        let (low, high) = (stats["q01"].clone(), stats["q99"].clone());
        stats["q01"] = high;
        stats["q99"] = low;
    });
    assert!(
        error.contains("so101") && error.contains("q01") && error.contains("above q99"),
        "{error}"
    );
    let error = refused(&|stats| {
        stats["norm_mode"] = json!("mean_std");
        stats["metadata_by_tag"]["so101"]["state_stats"]["std"][2] = json!(-1.0);
    });
    assert!(error.contains("state_stats.std"), "{error}");
    let error = refused(&|stats| rename(stats, "norm_mode", "norm_modd"));
    assert!(
        error.contains("norm_modd") && error.contains("\"norm_mode\""),
        "{error}"
    );
    let error = refused(&|stats| {
        rename(
            &mut stats["metadata_by_tag"]["so101"]["action_stats"],
            "mask",
            "masj",
        );
    });
    assert!(
        error.contains("action_stats") && error.contains("masj"),
        "{error}"
    );
    let error = refused(&|stats| {
        rename(
            &mut stats["metadata_by_tag"]["so101"],
            "control_mode",
            "control_mmde",
        );
    });
    assert!(error.contains("control_mmde"), "{error}");
}

#[test]
fn statistics_that_the_mode_does_not_read_may_be_anything() {
    let whole = edited(|_| ()).unwrap();
    assert_eq!(whole.mode(), NormMode::Q01Q99);
    let state = [12.5, -40.0, 60.0, 50.0, 0.0, 30.0];
    let expected = whole.tag("so101").unwrap().normalize_state(&state).unwrap();
    for (key, value) in [
        ("q10", json!([1.0, 2.0])),
        ("q10", json!("many")),
        ("q90", json!({"a": [[1e300]]})),
        ("q90", Value::Null),
        ("std", json!([-1.0, -1.0, -1.0, -1.0, -1.0, -1.0])),
        ("mean", json!([null, "NaN", "later"])),
    ] {
        let stats = edited(|raw| {
            for part in ["state_stats", "action_stats"] {
                raw["metadata_by_tag"]["so101"][part][key] = value.clone();
            }
        });
        let stats = stats.unwrap_or_else(|error| panic!("{key}: {error}"));
        let tag = stats.tag("so101").unwrap();
        assert_eq!(tag.normalize_state(&state).unwrap(), expected, "{key}");
        assert_eq!(stats.unusable().count(), 0);
    }
    // Quantiles in the wrong order, where another pair of them is read.
    let stats = edited(|raw| {
        let stats = &mut raw["metadata_by_tag"]["so101"]["action_stats"];
        (stats["q10"], stats["q90"]) = (stats["q90"].clone(), stats["q10"].clone());
    });
    assert!(stats.unwrap().tag("so101").is_ok());
}

#[test]
fn a_fault_of_one_robot_is_told_to_whoever_asks_for_it() {
    let whole: Value =
        serde_json::from_slice(&read("one_camera/checkpoint/norm_stats.json")).unwrap();
    let robot = &whole["metadata_by_tag"]["so101"];
    type Damage = fn(&mut Value);
    let cases: [(&str, Damage); 9] = [
        ("action_stats.q99 is missing", |robot| {
            robot["action_stats"]["q99"] = Value::Null;
        }),
        ("action_stats.q01", |robot| {
            robot["action_stats"]["q01"] = json!([1.0, 2.0]);
        }),
        ("state_stats is missing", |robot| {
            robot["state_stats"] = Value::Null;
        }),
        ("state_stats: q01", |robot| {
            robot["state_stats"]["q01"] = json!("many");
        }),
        ("state_stats.mask", |robot| {
            robot["state_stats"]["mask"] = json!([true]);
        }),
        ("control_mmde", |robot| {
            let mode = robot.as_object_mut().unwrap().remove("control_mode");
            robot["control_mmde"] = mode.unwrap();
        }),
        ("camera_keys", |robot| robot["camera_keys"] = json!(7)),
        ("action_horizon", |robot| {
            robot["action_horizon"] = json!("long");
        }),
        ("invalid type", |robot| *robot = json!("gone")),
    ];
    for (words, damage) in cases {
        let mut damaged = robot.clone();
        damage(&mut damaged);
        let mut raw = whole.clone();
        raw["metadata_by_tag"]["elsewhere"] = damaged.clone();
        let stats = NormStats::parse(&serde_json::to_vec(&raw).unwrap()).unwrap();
        let names: Vec<&str> = stats.tags().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["so101"], "{words}");
        assert_eq!(
            stats.tag("so101").unwrap(),
            edited(|_| ()).unwrap().tag("so101").unwrap()
        );
        let error = stats.tag("elsewhere").unwrap_err();
        assert!(
            matches!(&error, ActError::UnusableTag { tag, .. } if tag == "elsewhere"),
            "{error}"
        );
        let said = error.to_string();
        assert!(
            said.contains(words) && said.contains("norm_stats.json"),
            "{words}: {said}"
        );
        let listed: Vec<String> = stats.unusable().map(|error| error.to_string()).collect();
        assert_eq!(listed, [said]);
        // Alone it is all that there is, and the file is refused.
        raw["metadata_by_tag"] = json!({"elsewhere": damaged});
        let refused = NormStats::parse(&serde_json::to_vec(&raw).unwrap()).unwrap_err();
        assert!(refused.to_string().contains(words), "{words}: {refused}");
    }
}
