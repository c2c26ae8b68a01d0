//! Tests of `ask` from the command line, with the tiny vision-language checkpoints of `tests/goldens/molmo2`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use serde_json::Value;
use std::{
    path::PathBuf,
    process::{Command, Output},
};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/goldens/molmo2")
        .join(name)
}

fn ask(case: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .args(["ask", "--device", "cpu", "--policy"])
        .arg(golden(case).join("checkpoint"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)))
}

/// A smooth image, different for each size.
fn image_file(width: u32, height: u32) -> PathBuf {
    let path =
        std::env::temp_dir().join(format!("ask-{}-{width}x{height}.png", std::process::id()));
    image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([
            (x * 3 % 256) as u8,
            (y * 5 % 256) as u8,
            ((x + y) % 256) as u8,
        ])
    })
    .save(&path)
    .unwrap();
    path
}

#[test]
fn an_answer_equals_the_reference() {
    let rows: Vec<Value> =
        serde_json::from_slice(&std::fs::read(golden("tiled/answers.json")).unwrap()).unwrap();
    // The one question without an image.
    let row = &rows[2];
    let question = row["question"].as_str().unwrap();
    let answer = json(&ask("tiled", &["--json", "--max-tokens", "24", question]));
    assert_eq!(answer["ids"], row["new_ids"]);
    assert_eq!(answer["text"], row["text"]);
    assert_eq!(answer["prompt"], row["prompt"]);
    assert_eq!(answer["ended"], "max_tokens");
    let stages: Vec<&str> = answer["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["name"].as_str().unwrap())
        .collect();
    assert_eq!(stages, ["preprocess", "vision", "prefill", "decode"]);
}

#[test]
fn answers_about_images_are_streamed_and_drawn() {
    let (wide, tall) = (image_file(300, 90), image_file(64, 128));
    let drawn = std::env::temp_dir().join(format!("ask-{}-drawn.png", std::process::id()));
    let second = drawn.with_file_name(format!("ask-{}-drawn-2.png", std::process::id()));
    let common = [
        "--image",
        wide.to_str().unwrap(),
        "--image",
        tall.to_str().unwrap(),
        "--max-tokens",
        "12",
        "Where is the cup?",
    ];
    let whole = json(&ask("tiled", &[&["--json"], common.as_slice()].concat()));
    assert_eq!(whole["images"][0]["width"], 300);
    assert_eq!(whole["images"][1]["height"], 128);
    assert_eq!(whole["ids"].as_array().unwrap().len(), 12);

    let draw = ["--draw", drawn.to_str().unwrap()];
    let streamed = ask("tiled", &[draw.as_slice(), common.as_slice()].concat());
    assert!(streamed.status.success(), "{}", text(&streamed.stderr));
    assert_eq!(
        text(&streamed.stdout),
        format!("{}\n", whole["text"].as_str().unwrap())
    );
    let stderr = text(&streamed.stderr);
    assert!(stderr.contains("cut off after 12 tokens"), "{stderr}");
    assert!(stderr.contains("12 answer tokens; preprocess"), "{stderr}");
    assert_eq!(image::image_dimensions(&drawn).unwrap(), (300, 90));
    assert_eq!(image::image_dimensions(&second).unwrap(), (64, 128));

    // Sampled tokens depend on the seed.
    let warm = |seed: &str| {
        let options = ["--json", "--temperature", "1.5", "--seed", seed];
        json(&ask(
            "tiled",
            &[options.as_slice(), common.as_slice()].concat(),
        ))["ids"]
            .clone()
    };
    assert_eq!(warm("1"), warm("1"));
    assert_ne!(warm("1"), warm("2"));
    for path in [wide, tall, drawn, second] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_policy_with_a_chat_template_answers_too() {
    let answer = json(&ask(
        "policy",
        &["--json", "--max-tokens", "3", "What is there?"],
    ));
    assert_eq!(answer["ids"].as_array().unwrap().len(), 3);
}

#[test]
fn invalid_questions_are_refused_with_the_reason() {
    let refused = |output: Output, reason: &str| {
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(reason), "{stderr}");
        assert!(output.stdout.is_empty());
    };
    let nano = Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .args(["ask", "--device", "cpu", "Where is the cup?"])
        .output()
        .unwrap();
    refused(nano, "--policy DIR, such as Molmo2-ER");
    refused(
        ask("../molmoact2/one_camera", &["Where?"]),
        "no chat template",
    );
    refused(ask("tiled", &["--image", "no.png", "Where?"]), "no.png");
    refused(
        ask("tiled", &["--draw", "a.png", "Where?"]),
        "--image to draw on",
    );
    refused(ask("tiled", &[" "]), "the question is empty");
    refused(ask("tiled", &["an <im_patch> here"]), "<im_patch>");
    refused(ask("tiled", &["--top-p", "2", "Where?"]), "top_p is 2");
    assert_eq!(ask("tiled", &[]).status.code(), Some(2));
}
