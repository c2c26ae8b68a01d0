//! Errors of each precision on the golden checkpoints, printed and bounded. The bounds are wide because errors of
//! such narrow networks average out little.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::scene::Scene;
use common::{CASES, Golden};
use molmoact2::inspect::inspect;
use molmoact2::{ActOptions, Files, LoadOptions, Policy, Precision};

fn largest(values: &[f32]) -> f64 {
    values
        .iter()
        .fold(0.0, |most, x| f64::from(x.abs()).max(most))
}

fn difference(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let gaps: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    assert!(gaps.iter().all(|gap| gap.is_finite()));
    largest(&gaps)
}

/// Relative to the largest value of the chunk.
fn bound(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-4,
        Precision::F16 => 1e-2,
        Precision::Bf16 => 5e-2,
        Precision::Int8 => 1e-1,
        Precision::Int4 => 1.0,
    }
}

#[test]
fn every_precision_answers_near_the_reference_and_takes_the_memory_it_says() {
    for case in CASES {
        let golden = Golden::open(case);
        let files = Files::open_dir(&golden.checkpoint()).unwrap();
        let scene = Scene::of(&golden);
        let expected = golden.floats("chunk_normalised");
        let memory = inspect(&files).unwrap().memory;
        for precision in Precision::ALL {
            if let Err(error) = precision.check(&golden.device) {
                println!("{case:24} {precision:5} {error}");
                continue;
            }
            let options = LoadOptions {
                precision,
                ..LoadOptions::default()
            };
            let policy = Policy::load_with(&files, &golden.device, &options).unwrap();
            let question = ActOptions {
                noise: Some(golden.floats("noise")),
                ..ActOptions::default()
            };
            let action = policy.act(&scene.observation(), &question).unwrap();
            let error = difference(&action.chunk_normalized, &expected) / largest(&expected);
            let bytes = policy.info().weight_bytes;
            println!(
                "{case:24} {precision:5} chunk off by {error:.2e} of its largest value, {bytes} bytes"
            );
            assert!(error < bound(precision), "{case}, {precision}: {error}");
            assert!(
                precision == Precision::F32 || error > 1e-7,
                "{precision} changed nothing"
            );
            assert_eq!(policy.info().precision, precision);
            let said = memory
                .iter()
                .find(|memory| memory.precision == precision)
                .unwrap();
            assert_eq!(said.weights, bytes, "{case}, {precision}");
        }
    }
}

#[test]
fn action_tokens_come_out_in_every_precision() {
    let golden = Golden::open("two_cameras");
    let files = Files::open_dir(&golden.checkpoint()).unwrap();
    let scene = Scene::of(&golden);
    let question = ActOptions {
        mode: molmoact2::Mode::Discrete,
        dumps: true,
        ..ActOptions::default()
    };
    let mut exact: Vec<f32> = Vec::new();
    for precision in Precision::ALL {
        if precision.check(&golden.device).is_err() {
            continue;
        }
        let options = LoadOptions {
            precision,
            ..LoadOptions::default()
        };
        let policy = Policy::load_with(&files, &golden.device, &options).unwrap();
        let action = policy.act(&scene.observation(), &question).unwrap();
        let first = action.logits.unwrap().swap_remove(0);
        if precision == Precision::F32 {
            exact.clone_from(&first);
        }
        let error = difference(&first, &exact) / largest(&exact);
        println!("{precision:5} first token's scores off by {error:.2e} of the largest");
        assert!(error < bound(precision), "{precision}: {error}");
    }
}

#[test]
fn loading_tells_every_byte_once() {
    let golden = Golden::open("two_cameras");
    let files = Files::open_dir(&golden.checkpoint()).unwrap();
    let told = std::cell::RefCell::new(Vec::new());
    let progress = |read, total| told.borrow_mut().push((read, total));
    let options = LoadOptions {
        progress: Some(&progress),
        ..LoadOptions::default()
    };
    Policy::load_with(&files, &golden.device, &options).unwrap();
    let told = told.into_inner();
    let bytes = inspect(&files).unwrap().bytes;
    assert!(told.len() > 100 && told.is_sorted());
    assert_eq!(told.last(), Some(&(bytes, bytes)));
}
