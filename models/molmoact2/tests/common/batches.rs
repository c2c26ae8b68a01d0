//! Requests of several robots, and the comparison of a batch with its requests alone.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use molmoact2::{ActError, Action, Mode, Observation, Policy, Request};
use vision::RgbImage;

use super::Golden;
use super::scene::Scene;

/// Largest difference between a row of a batch and the same row alone, of values around 1.
const LIMIT: f32 = 1e-5;

/// Images and instructions that differ between robots, and with them the prompts and their lengths.
pub struct Robots {
    pub scene: Scene,
    pub images: Vec<Vec<RgbImage>>,
    pub states: Vec<Vec<f32>>,
    pub tasks: Vec<String>,
}

impl Robots {
    pub fn new(golden: &Golden, count: usize) -> Self {
        let scene = Scene::of(golden);
        let moved = |image: &RgbImage, robot: usize| {
            let mut pixels = image.data().to_vec();
            pixels.rotate_left(robot * 300 % image.data().len());
            RgbImage::new(image.width(), image.height(), pixels).unwrap()
        };
        Self {
            images: (0..count)
                .map(|robot| {
                    scene
                        .images
                        .iter()
                        .map(|image| moved(image, robot))
                        .collect()
                })
                .collect(),
            states: (0..count)
                .map(|robot| {
                    scene
                        .state
                        .iter()
                        .map(|x| x * (1.0 - 0.1 * robot as f32))
                        .collect()
                })
                .collect(),
            tasks: (0..count)
                .map(|robot| {
                    format!(
                        "{}{}",
                        scene.instruction,
                        " and again".repeat(robot * 5 % 7)
                    )
                })
                .collect(),
            scene,
        }
    }

    pub fn observation(&self, robot: usize) -> Observation<'_> {
        Observation {
            images: &self.images[robot],
            state: &self.states[robot],
            instruction: &self.tasks[robot],
            tag: &self.scene.tag,
        }
    }
}

/// The rest of a running chunk of `dims` columns.
pub fn left_over(dims: usize, rows: usize) -> Vec<f32> {
    (0..dims * rows).map(|at| (at as f32 * 0.7).sin()).collect()
}

/// Compares a row of a batch with the same row alone, and returns the largest difference of the chunk.
pub fn compare(case: &str, alone: &Action, row: &Action) -> f32 {
    assert_eq!(alone.prompt_ids, row.prompt_ids, "{case}");
    assert_eq!(alone.action_tokens, row.action_tokens, "{case}");
    assert_eq!(alone.generated_ids, row.generated_ids, "{case}");
    assert_eq!(
        (alone.rows, alone.dims, alone.horizon),
        (row.rows, row.dims, row.horizon)
    );
    let near = |what: &str, a: &[f32], b: &[f32], limit: f32| {
        assert_eq!(a.len(), b.len(), "{case}: {what}");
        let size = a.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
        let error = a.iter().zip(b).map(|(a, b)| (a - b).abs() / size);
        // A NaN must not get lost in the maximum.
        let error = error.fold(0.0, |most, x| if x > most || x.is_nan() { x } else { most });
        assert!(error <= limit, "{case}: {what} differ by {error:.2e}");
        error
    };
    let some = |what: &str, a: &Option<Vec<f32>>, b: &Option<Vec<f32>>| {
        assert_eq!(a.is_some(), b.is_some(), "{case}: {what}");
        if let (Some(a), Some(b)) = (a, b) {
            near(what, a, b, LIMIT);
        }
    };
    let flat = |rows: &Option<Vec<Vec<f32>>>| rows.as_ref().map(|rows| rows.concat());
    some("prompt scores", &alone.prompt_logits, &row.prompt_logits);
    some(
        "velocities",
        &flat(&alone.velocities),
        &flat(&row.velocities),
    );
    some("scores", &flat(&alone.logits), &flat(&row.logits));
    assert_eq!(alone.depth.is_some(), row.depth.is_some());
    if let (Some(a), Some(b)) = (&alone.depth, &row.depth) {
        assert_eq!((&a.codes, &a.tokens), (&b.codes, &b.tokens), "{case}");
        assert_eq!(
            (&a.regenerated, a.forwards),
            (&b.regenerated, b.forwards),
            "{case}"
        );
        assert_eq!(a.cache, b.cache);
        some("gates", &a.gates, &b.gates);
        some("scores of codes", &flat(&a.logits), &flat(&b.logits));
    }
    // Robot units are compared relative to the range of the joint.
    near("actions", &alone.actions, &row.actions, LIMIT);
    near(
        "chunk",
        &alone.chunk_normalized,
        &row.chunk_normalized,
        LIMIT,
    )
}

/// Answers `requests` in batches of 1, 2, 3 and 8 and compares every row with the same row alone.
pub fn compare_rows(case: &str, policy: &Policy, requests: &[Request<'_>]) -> Vec<Action> {
    let answers = compare_outcomes(case, policy, requests);
    answers.into_iter().map(Result::unwrap).collect()
}

/// Like [`compare_rows`], for rows that may fail, alone as in a batch.
pub fn compare_outcomes(
    case: &str,
    policy: &Policy,
    requests: &[Request<'_>],
) -> Vec<Result<Action, ActError>> {
    let alone: Vec<Result<Action, ActError>> = requests
        .iter()
        .map(|request| policy.act(&request.observation, request.options))
        .collect();
    // Identical rows would prove nothing.
    let chunks: Vec<&[f32]> = alone.iter().flatten().map(|a| a.chunk.as_slice()).collect();
    let differ = |at: usize| chunks[..at].iter().all(|other| *other != chunks[at]);
    let distinct = (0..chunks.len()).filter(|&at| differ(at)).count();
    let all = requests
        .iter()
        .all(|request| request.options.mode == Mode::Continuous);
    let enough = distinct > 1 && (distinct == chunks.len() || !all);
    assert!(
        enough,
        "{case}: {distinct} of {} answers differ",
        chunks.len()
    );
    for at_once in [1, 2, 3, 8] {
        let rows = policy.act_batch(requests, at_once);
        assert_eq!(rows.len(), requests.len());
        let case = format!("{case}, {at_once} at once");
        let mut worst = 0.0_f32;
        for (row, alone) in rows.iter().zip(&alone) {
            match (row, alone) {
                (Ok(row), Ok(alone)) => worst = worst.max(compare(&case, alone, row)),
                (Err(row), Err(alone)) => assert_eq!(row.to_string(), alone.to_string()),
                (row, alone) => panic!("{case}: {row:?} but alone {alone:?}"),
            }
        }
        println!(
            "{case:40} {} of {} rows: {worst:.1e}",
            chunks.len(),
            rows.len()
        );
    }
    alone
}
