//! `fast decode`: refused streams, ids of a model, robot units.

use crate::*;

#[test]
fn a_stream_that_does_not_decode_leaves_no_file() {
    let folder = Folder::new("faults");
    let tokenizer = goldens("openfast/nano");
    let out = folder.file("out.npy");
    let actions = folder.chunks("in.npy", [3, 16, 6], &waves(3, 16, 6));
    let tokens = folder.file("tokens.json");
    let encode = encode(&tokenizer, &actions, &tokens);
    assert!(fast(&encode).status.success());
    let good = ids(&tokens);
    let decode = decode(&tokenizer, &tokens, &out);
    let faults: [(&str, Vec<u32>, &str); 4] = [
        ("short", good[1][1..].to_vec(), "coefficients"),
        ("empty", vec![], "stands for 0 coefficients"),
        (
            "unknown",
            [&good[1][..], &[99_999]].concat(),
            "99999, which the vocabulary does not have",
        ),
        ("raw", [&[0], &good[1][..]].concat(), "no encoder emits"),
    ];
    for (name, stream, reason) in faults {
        assert!(fast(&encode).status.success());
        assert!(fast(&decode).status.success());
        assert!(folder.has("out.npy"));
        let streams = [good[0].clone(), stream, good[2].clone()];
        folder.write(
            "tokens.json",
            serde_json::to_string(&streams).unwrap().as_bytes(),
        );
        refused(&decode, 1, reason);
        refused(&decode, 1, "stream 1");
        assert!(!folder.has("out.npy"), "{name}");
        assert_eq!(
            fs::read_dir(&folder.0).unwrap().count(),
            2,
            "{name}: no other file is left"
        );

        let summary = json(&[&decode[..], &["--as-reference", "--json"]].concat());
        assert_eq!(summary["faulty_streams"], 1);
        let decoded = npy::read(Path::new(&out)).unwrap();
        let zeros = decoded.values[96..192].iter().all(|value| *value == 0.0);
        assert_eq!(zeros, summary["zero_chunks"] == 1, "{name}");
        // The reference skips unknown ids.
        assert_eq!(zeros, name != "unknown", "{name}");
    }
}

#[test]
fn bad_token_files_are_refused_with_the_position() {
    let folder = Folder::new("json");
    let tokenizer = goldens("openfast/nano");
    let out = folder.file("out.npy");
    for (content, reason) in [
        ("{\"a\": 1}", "it is an object, not a list"),
        ("[1, 2]", "[0] is 1, not a list"),
        ("[[1], [2, -3]]", "[1][1] is -3"),
        ("[[1], [2.5]]", "[1][0] is 2.5"),
        ("[[4294967296]]", "[0][0] is 4294967296"),
        ("[[1e99]]", "[0][0] is 1e+99"),
        ("[[\"7\"]]", "[0][0] is the text \"7\""),
        ("[[null]]", "[0][0] is null"),
        ("[[true]]", "[0][0] is true"),
        ("[[[1]]]", "[0][0] is a list"),
        ("[[1,", "never finished"),
        ("tokens", "expected"),
        ("", "has 0 bytes"),
    ] {
        let tokens = folder.write("tokens.json", content.as_bytes());
        let decode = decode(&tokenizer, &tokens, &out);
        refused(&decode, 1, reason);
        assert!(!folder.has("out.npy"));
    }
    let tokens = folder.write("tokens.json", b"[]");
    let decode = ["decode", "--tokens", &tokens, "--out", &out, "--tokenizer"];
    assert!(
        fast(&[&decode[..], &[&tokenizer]].concat())
            .status
            .success()
    );
    assert_eq!(npy::read(Path::new(&out)).unwrap().shape, [0, 16, 6]);
    // This tokenizer declares no shape.
    refused(
        &[&decode[..], &[&goldens("openfast/fine")]].concat(),
        1,
        "--horizon",
    );
    refused(
        &[&decode[..], &["/does/not/exist"]].concat(),
        1,
        "/does/not/exist",
    );
    refused(
        &[&decode[..], &[&tokenizer, "--horizon", "0"]].concat(),
        2,
        "--horizon",
    );
    refused(
        &[&decode[..], &[&tokenizer, "--horizon", "-3"]].concat(),
        2,
        "-3",
    );
    let same = crate::decode(&tokenizer, &tokens, &tokens);
    refused(&same, 1, "also an input");
    assert!(folder.has("tokens.json"), "an input is not removed");
}

#[test]
fn ids_of_a_model_and_robot_units_go_both_ways() {
    let folder = Folder::new("vlm");
    let nano = nano();
    let tokenizer = format!("{nano}/openfast");
    let config: Value =
        serde_json::from_slice(&fs::read(format!("{nano}/config.json")).unwrap()).unwrap();
    let first = u32::try_from(config["action_token_start_id"].as_u64().unwrap()).unwrap();
    let start = u32::try_from(config["action_start_token_id"].as_u64().unwrap()).unwrap();
    let end = u32::try_from(config["action_end_token_id"].as_u64().unwrap()).unwrap();
    let actions = folder.chunks("in.npy", [4, 16, 6], &waves(4, 16, 6));
    let run_encode = |out: &str, more: &[&str]| {
        let encode = encode(&tokenizer, &actions, out);
        let output = fast(&[&encode[..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        ids(out)
    };
    let plain = run_encode(&folder.file("plain.json"), &[]);
    let bare = run_encode(&folder.file("bare.json"), &["--vlm", &nano]);
    let wrapped = run_encode(&folder.file("wrapped.json"), &["--vlm", &nano, "--wrap"]);
    for ((plain, bare), wrapped) in plain.iter().zip(&bare).zip(&wrapped) {
        let mapped: Vec<u32> = plain.iter().map(|id| id + first).collect();
        assert_eq!(*bare, mapped);
        assert_eq!(*wrapped, [&[start][..], &mapped, &[end]].concat());
    }
    let run_decode = |tokens: &str, out: &str, more: &[&str]| {
        let (tokens, out) = (folder.file(tokens), folder.file(out));
        let decode = [
            "decode",
            "--tokenizer",
            &tokenizer,
            "--tokens",
            &tokens,
            "--horizon",
            "16",
            "--dim",
            "6",
            "--out",
            &out,
        ];
        fast(&[&decode[..], more].concat())
    };
    assert!(run_decode("plain.json", "a.npy", &[]).status.success());
    assert!(
        run_decode("bare.json", "b.npy", &["--vlm", &nano])
            .status
            .success()
    );
    assert!(
        run_decode("wrapped.json", "c.npy", &["--vlm", &nano])
            .status
            .success()
    );
    let read = |name: &str| npy::read(&folder.0.join(name)).unwrap().values;
    assert_eq!(read("a.npy"), read("b.npy"));
    assert_eq!(read("a.npy"), read("c.npy"));
    // A model's complete answer ends with the end-of-text token. Any other token around it is refused, and skipped only
    // with --as-reference.
    let end_of_text = u32::try_from(config["eos_token_id"].as_u64().unwrap()).unwrap();
    let answers: Vec<Vec<u32>> = wrapped
        .iter()
        .map(|wrapped| [&wrapped[..], &[end_of_text]].concat())
        .collect();
    let write = |answers: &[Vec<u32>]| {
        let json = serde_json::to_string(answers).unwrap();
        folder.write("answers.json", json.as_bytes());
    };
    write(&answers);
    assert!(
        run_decode("answers.json", "d.npy", &["--vlm", &nano])
            .status
            .success()
    );
    assert_eq!(read("a.npy"), read("d.npy"));
    let mut noisy = answers;
    noisy[2].insert(0, 5);
    noisy[2].insert(4, end);
    write(&noisy);
    let output = run_decode("answers.json", "d.npy", &["--vlm", &nano]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("stream 2"), "{}", stderr(&output));
    assert!(!folder.has("d.npy"));
    let compatible = ["--vlm", &nano, "--as-reference", "--json"];
    let output = run_decode("answers.json", "d.npy", &compatible);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("stream 2"), "{}", stderr(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["faulty_streams"], 1);
    // The end token comes too early: the two tokens before it are too few.
    assert_eq!(summary["zero_chunks"], 1);
    assert_eq!(read("d.npy")[..192], read("a.npy")[..192]);

    let refused = run_decode("plain.json", "d.npy", &["--vlm", &nano]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("no action token"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(fast(&["encode", "--wrap"]).status.code(), Some(2));

    // Robot units: decoded with the tag's statistics and encoded again.
    let units = ["--norm-stats", &nano];
    assert!(
        run_decode("plain.json", "degrees.npy", &units)
            .status
            .success()
    );
    let (degrees, normalised) = (read("degrees.npy"), read("a.npy"));
    assert!(
        degrees
            .iter()
            .zip(&normalised)
            .any(|(a, b)| (a - b).abs() > 5.0)
    );
    let degrees = folder.file("degrees.npy");
    let again = folder.file("again.json");
    let encode = encode(&tokenizer, &degrees, &again);
    let output = fast(&[&encode[..], &units, &["--strict"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(run_decode("again.json", "e.npy", &[]).status.success());
    for (a, b) in read("e.npy").iter().zip(&normalised) {
        assert!((a - b).abs() < 0.1, "{a} {b}");
    }
    let wrong = fast(&[&encode[..], &units, &["--tag", "no_such_tag"]].concat());
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("no_such_tag"), "{}", stderr(&wrong));
}
