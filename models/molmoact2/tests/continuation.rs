//! Chunks that continue a running one, against lerobot's real-time chunking
//! (`tests/goldens/molmoact2/generate_rtc.py`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::scene::Scene;
use common::{Golden, Table};
use molmoact2::{ActError, ActOptions, Continuation, Files, Mode, Policy, Schedule};
use safetensors::SafeTensors;
use serde::Deserialize;

#[derive(Deserialize)]
struct Run {
    case: String,
    schedule: Schedule,
    delay: usize,
    horizon: usize,
    largest: f32,
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = tensors.tensor(name).unwrap();
    let (values, _) = tensor.data().as_chunks::<4>();
    values.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
}

fn policy(golden: &Golden) -> Policy {
    let files = Files::open_dir(&golden.checkpoint()).unwrap();
    Policy::load(&files, &golden.device).unwrap()
}

#[test]
fn a_continued_chunk_equals_the_reference() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/goldens/molmoact2/rtc.safetensors"
    );
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let runs: Vec<Run> =
        serde_json::from_str(&metadata.metadata().clone().unwrap()["runs"]).unwrap();
    assert_eq!(runs.len(), 7);
    let mut table = Table::new("continued");
    for (index, run) in runs.into_iter().enumerate() {
        let golden = Golden::open(&run.case);
        let scene = Scene::of(&golden);
        let left_over = floats(&tensors, &format!("{index}.left_over"));
        let want = floats(&tensors, &format!("{index}.chunk_normalised"));
        let options = ActOptions {
            noise: Some(golden.floats("noise")),
            continuation: Some(Continuation {
                delay: run.delay,
                overlap: run.horizon,
                schedule: run.schedule,
                max_guidance: run.largest,
                ..Continuation::new(left_over, 0)
            }),
            ..ActOptions::default()
        };
        let got = policy(&golden).act(&scene.observation(), &options).unwrap();
        let name = format!("{index} {} {:?}", run.case, run.schedule);
        table.absolute(&name, &got.chunk_normalized, &want, 1e-4);
    }
    table.finish();
}

#[test]
fn a_running_chunk_that_cannot_be_continued_is_said_in_words() {
    let golden = Golden::open("one_camera");
    let scene = Scene::of(&golden);
    let policy = policy(&golden);
    let dims = policy.info().tags[0].action_dim;
    let ask = |continuation: Continuation, mode: Mode| {
        let options = ActOptions {
            mode,
            continuation: Some(continuation),
            ..ActOptions::default()
        };
        policy.act(&scene.observation(), &options)
    };
    for (left_over, words) in [
        (vec![0.0; dims + 1], "not whole rows"),
        (vec![f32::NAN; dims], "not finite"),
    ] {
        let error = ask(Continuation::new(left_over, 1), Mode::Continuous).unwrap_err();
        assert!(matches!(error, ActError::BadContinuation { .. }));
        assert!(error.to_string().contains(words), "{error}");
    }
    let without_limit = Continuation {
        max_guidance: 0.0,
        ..Continuation::new(vec![0.0; dims], 1)
    };
    assert!(ask(without_limit, Mode::Continuous).is_err());
    // An empty rest continues nothing.
    let free = policy
        .act(&scene.observation(), &ActOptions::default())
        .unwrap();
    let none = ask(Continuation::new(Vec::new(), 3), Mode::Continuous).unwrap();
    assert_eq!(free.actions, none.actions);
    // More rows than a chunk has are cut to its length.
    let many = Continuation::new(vec![0.5; dims * 4 * free.horizon], 2);
    assert!(ask(many, Mode::Continuous).is_ok());
}
