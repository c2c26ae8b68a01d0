//! `fast train` and `fast inspect`.

use crate::*;

#[test]
fn a_trained_tokenizer_encodes_decodes_and_can_be_inspected() {
    let folder = Folder::new("train");
    let actions = folder.chunks("in.npy", [200, 12, 3], &waves(200, 12, 3));
    let tokenizer = folder.file("tokenizer");
    let train = [
        "train",
        "--actions",
        &actions,
        "--out",
        &tokenizer,
        "--json",
    ];
    let report = json(&[&train[..], &["--declare-shape", "--vocab-size", "256"]].concat());
    assert_eq!(report["chunks_trained_on"], 200);
    assert_eq!(report["chunks_held_out"], 20);
    assert_eq!(report["measured_on_held_out"], true);
    assert_eq!(report["quality"]["dims"].as_array().unwrap().len(), 3);
    assert!(report["quality"]["tokens"]["compression"].as_f64().unwrap() > 1.0);
    assert!(report["quality"]["rmse"].as_f64().unwrap() < 0.05);
    for file in [
        "tokenizer.json",
        "processor_config.json",
        "tokenizer_config.json",
        "metadata.json",
    ] {
        assert!(folder.has(&format!("tokenizer/{file}")), "{file}");
    }

    let (tokens, out) = (folder.file("tokens.json"), folder.file("out.npy"));
    let encode = encode(&tokenizer, &actions, &tokens);
    assert!(
        fast(&[&encode[..], &["--nearest"]].concat())
            .status
            .success()
    );
    let decode = decode(&tokenizer, &tokens, &out);
    assert!(fast(&decode).status.success());
    let decoded = npy::read(Path::new(&out)).unwrap();
    let original = npy::read(Path::new(&actions)).unwrap();
    assert_eq!(decoded.shape, original.shape);
    let largest = decoded.values.iter().zip(&original.values);
    let largest = largest.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest < 0.2, "{largest}");

    let picture = folder.file("error.svg");
    let inspect = [
        "inspect",
        "--tokenizer",
        &tokenizer,
        "--actions",
        &actions,
        "--picture",
        &picture,
    ];
    let findings = json(&[&inspect[..], &["--json"]].concat());
    assert_eq!(findings["vocabulary"]["declared_shape"]["horizon"], 12);
    assert_eq!(findings["vocabulary"]["ids_reserved"], 256);
    assert_eq!(findings["quality"]["chunks"], 200);
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("prefers-color-scheme: dark"));
    assert!(svg.contains("polyline") && svg.trim_end().ends_with("</svg>"));
    let text = fast(&inspect);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains('█') && text.contains("holes"), "{text}");

    // An existing folder is overwritten only with --force.
    refused(&train, 1, "--force");
    json(&[&train[..], &["--force", "--hold-out", "0"]].concat());

    // The written files do not depend on the held-out share.
    let held = folder.file("held");
    let report = json(
        &[
            &["train", "--out", &held, "--actions", &actions][..],
            &["--json"],
        ]
        .concat(),
    );
    assert_eq!(report["chunks_held_out"], 20);
    for file in ["tokenizer.json", "processor_config.json"] {
        let read = |folder: &str| fs::read(Path::new(folder).join(file)).unwrap();
        assert!(read(&held) == read(&tokenizer), "{file}");
    }

    // Two files, no held-out chunks; a complete alphabet has no holes.
    let complete = folder.file("complete");
    let more = [
        "--actions",
        &actions,
        "--complete-alphabet",
        "--hold-out",
        "0",
        "--json",
    ];
    let report = json(
        &[
            &["train", "--out", &complete, "--actions", &actions][..],
            &more,
        ]
        .concat(),
    );
    assert_eq!(report["chunks_trained_on"], 400);
    assert_eq!(report["measured_on_held_out"], false);
    assert!(report["vocabulary"]["holes"].as_array().unwrap().is_empty());
    assert_eq!(report["vocabulary"]["unreachable_ids"], 0);
    assert_eq!(report["quality"]["lossless_chunks"], 400);
}

#[test]
fn training_refuses_unusable_input() {
    let folder = Folder::new("train-bad");
    let out = folder.file("tokenizer");
    let three = folder.chunks("three.npy", [4, 12, 3], &waves(4, 12, 3));
    let four = folder.chunks("four.npy", [4, 12, 4], &waves(4, 12, 4));
    let none = folder.chunks("none.npy", [0, 12, 3], &[]);
    let degrees: Vec<f32> = waves(4, 12, 3).iter().map(|value| value * 500.0).collect();
    let degrees = folder.chunks("degrees.npy", [4, 12, 3], &degrees);
    let mut broken = waves(4, 12, 3);
    broken[36 + 5] = f32::INFINITY;
    let broken = folder.chunks("broken.npy", [4, 12, 3], &broken);
    let train = ["train", "--out", &out, "--hold-out", "0"];
    for (more, status, reason) in [
        (
            &["--actions", &three, "--actions", &four][..],
            1,
            "4 dimensions",
        ),
        (&["--actions", &none], 1, "no chunk"),
        (&["--actions", &degrees], 1, "normalised"),
        (
            &["--actions", &three, "--actions", &broken],
            1,
            "broken.npy: chunk 1: the action at step 1, dimension 2 is inf; only finite values can be encoded\n",
        ),
        (&["--actions", &three, "--scale", "0"], 1, "scale"),
        (&["--actions", &three, "--scale", "-4"], 1, "scale is -4"),
        (&["--actions", &three, "--scale", "ten"], 2, "--scale"),
        (
            &["--actions", &three, "--horizon", "5"],
            2,
            "cannot be used with",
        ),
        (&["--actions", &three, "--hold-out", "1"], 2, "below 1"),
        (&[], 2, "--actions"),
        (&["--dataset", "/does/not/exist"], 2, "--horizon"),
        (
            &["--dataset", "/does/not/exist", "--horizon", "5"],
            1,
            "/does/not/exist",
        ),
    ] {
        let arguments = if more.contains(&"--hold-out") {
            [&train[..3], more].concat()
        } else {
            [&train[..], more].concat()
        };
        refused(&arguments, status, reason);
        assert!(!folder.has("tokenizer"), "{more:?}");
    }
}

#[test]
fn a_data_set_is_cut_normalised_and_used_for_training() {
    let folder = Folder::new("dataset");
    for (name, dims) in [("v3", "0:6"), ("v21", "0:3,4:7")] {
        let data_set = goldens(&format!("lerobot/{name}"));
        let out = folder.file(name);
        let report = json(&[
            "train",
            "--dataset",
            &data_set,
            "--horizon",
            "10",
            "--out",
            &out,
            "--dims",
            dims,
            "--sample-fraction",
            "1",
            "--hold-out",
            "0.25",
            "--complete-alphabet",
            "--json",
        ]);
        // Five episodes, one of them too short; one of the other four is held out.
        assert_eq!(report["chunks_trained_on"], 21 + 3 + 36 + 12);
        let unseen = report["chunks_held_out"].as_u64().unwrap();
        assert!([21, 3, 36, 12].contains(&unseen), "{unseen}");
        assert_eq!(report["dim_names"][0], "joint_0_deg");
        assert_eq!(report["dim_names"].as_array().unwrap().len(), 6);
        let units = &report["data_units_per_normalised_unit"];
        assert!(units[0].as_f64().unwrap() > 1.0, "{units}");
        assert_eq!(report["origin"]["normalization_mode"], "QUANTILES");
        let output = fast(&["inspect", "--tokenizer", &out]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let data_set = goldens("lerobot/v3");
    let train = ["train", "--dataset", &data_set, "--horizon"];
    let out = folder.file("other");
    for (more, status, reason) in [
        (&["10", "--dims", "0:9"][..], 1, "dimension 7"),
        (&["10", "--dims", "6:6"], 2, "range"),
        (&["10", "--dims", "0:3,2:4"], 2, "twice"),
        (&["10", "--action-key", "torque"], 1, "no column \"torque\""),
        (&["10", "--relative-dims", "9"], 1, "dimension 9"),
        (&["10", "--sample-fraction", "0"], 2, "above 0"),
        (&["900"], 1, "shorter --horizon"),
    ] {
        refused(
            &[&train[..], more, &["--out", &out]].concat(),
            status,
            reason,
        );
        assert!(!folder.has("other"), "{more:?}");
    }
    // Relative to the state, not normalised, two episodes.
    let more = [
        "5",
        "--relative-dims",
        "0,1",
        "--normalise",
        "none",
        "--max-episodes",
        "2",
        "--dims",
        "0:2",
        "--hold-out",
        "0",
        "--scale",
        "4",
        "--sample-fraction",
        "1",
        "--json",
        "--out",
        &out,
    ];
    let report = json(&[&train[..], &more].concat());
    assert_eq!(report["chunks_trained_on"], 26 + 8);
    assert_eq!(report["origin"]["normalization_mode"], "IDENTITY");
}
