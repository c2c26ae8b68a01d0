//! Errors of each precision against the reference on every golden checkpoint, printed as the table of
//! `models/molmoact2/README.md` and bounded.
//!
//! These networks are tiny and their weights random, so little averages out and many scores lie close together;
//! `policy-studio eval --dtype` measures the cost for a trained policy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use burn_tensor::Tensor;
use common::scene::Scene;
use common::{CASES, Golden, values};
use molmoact2::{
    ActError, ActOptions, Depth, DepthCache, Files, LoadOptions, Policy, Precision, Until,
    prefill_bias,
};

const THINK: [&str; 4] = [
    "think_per_layer",
    "think_shared",
    "think_three_cameras",
    "think_ungated",
];

/// Minimum and maximum of a value.
#[derive(Clone, Copy)]
struct Range(f64, f64);

impl Range {
    const NONE: Self = Self(f64::INFINITY, 0.0);

    fn see(&mut self, value: f64) {
        assert!(value.is_finite());
        *self = Self(self.0.min(value), self.1.max(value));
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0e} to {:.0e}", self.0, self.1)
    }
}

/// A count of a total.
#[derive(Default)]
struct Share(usize, usize);

impl Share {
    fn see(&mut self, same: impl IntoIterator<Item = bool>) {
        for same in same {
            self.0 += usize::from(same);
            self.1 += 1;
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.0, self.1)
    }
}

struct Row {
    velocity: Range,
    chunk: Range,
    tokens: Share,
    think_chunk: Range,
    cells: Share,
    /// Think checkpoints that wrote no `<depth_end>`.
    endless: usize,
}

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

/// The first dimensions of every row of the padded golden.
fn velocity(golden: &Golden, dims: usize) -> Vec<f32> {
    let padded = golden.shape("velocity")[2];
    golden
        .floats("velocity")
        .chunks(padded)
        .flat_map(|row| row[..dims].to_vec())
        .collect()
}

fn best(row: &[f32]) -> usize {
    let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.unwrap().0
}

/// The likeliest token after each of the reference's forced ones.
fn likeliest(golden: &Golden, policy: &Policy) -> Vec<usize> {
    let text = policy.network().text();
    let flags: Vec<bool> = golden
        .ints("token_type_ids")
        .iter()
        .map(|&t| t == 1)
        .collect();
    let bias = prefill_bias(&flags, &golden.device);
    let mut cache = policy.network().new_cache();
    let embedded: Tensor<2> = golden.tensor("inputs_embeds");
    let hidden = text.forward(embedded, Some(&bias), &mut cache, Until::LastToken);
    let mut picks = vec![best(&values(text.logits(hidden.unwrap())))];
    for id in golden.ints("forced_ids") {
        let embedded = text.embed(&[id as u32]);
        let hidden = text.forward(embedded, None, &mut cache, Until::LastToken);
        picks.push(best(&values(text.logits(hidden.unwrap()))));
    }
    picks
}

fn load(golden: &Golden, precision: Precision) -> Policy {
    let files = Files::open_dir(&golden.checkpoint()).unwrap();
    let options = LoadOptions {
        precision,
        ..LoadOptions::default()
    };
    Policy::load_with(&files, &golden.device, &options).unwrap()
}

fn act(row: &mut Row, golden: &Golden, precision: Precision) {
    let policy = load(golden, precision);
    let question = ActOptions {
        noise: Some(golden.floats("noise")),
        dumps: true,
        ..ActOptions::default()
    };
    let action = policy
        .act(&Scene::of(golden).observation(), &question)
        .unwrap();
    let chunk = golden.floats("chunk_normalised");
    row.chunk.see(difference(&action.chunk_normalized, &chunk));
    let expected = velocity(golden, action.dims);
    let found = action.velocities.unwrap().concat();
    row.velocity
        .see(difference(&found, &expected) / largest(&expected));
    if golden.has("forced_ids") {
        let vocabulary = golden.shape("decode_logits")[1];
        let rows = golden.floats("decode_logits");
        let picks = likeliest(golden, &policy);
        row.tokens.see(
            rows.chunks(vocabulary)
                .zip(picks)
                .map(|(row, pick)| best(row) == pick),
        );
    }
}

/// Once with the reference's map, so that the chunk shows the precision alone, and once with a generated map.
fn think(row: &mut Row, golden: &Golden, precision: Precision) {
    let policy = load(golden, precision);
    let scene = Scene::of(golden);
    let codes: Vec<u32> = golden
        .ints("full.depth_codes")
        .iter()
        .map(|&code| code as u32)
        .collect();
    let cache = DepthCache {
        image: scene.images[0].clone(),
        codes: codes.clone(),
    };
    let ask = |depth| {
        let question = ActOptions {
            noise: Some(golden.floats("noise")),
            depth,
            ..ActOptions::default()
        };
        policy.act(&scene.observation(), &question)
    };
    match ask(Depth::Adaptive { cache: Some(cache) }) {
        Ok(action) => {
            let chunk = golden.floats("full.chunk_normalised");
            let error = difference(&action.chunk_normalized, &chunk);
            row.think_chunk.see(error);
        }
        // The generator gave <depth_end> the direction of the reference's last hidden state; other random rows lie
        // closer to one that is far enough off.
        Err(ActError::NoDepthEnd { .. }) => row.endless += 1,
        Err(other) => panic!("{precision}: {other}"),
    }
    if let Ok(action) = ask(Depth::Full) {
        let found = action.depth.unwrap().codes;
        row.cells.see(found.iter().zip(&codes).map(|(a, b)| a == b));
    }
}

#[test]
fn what_each_precision_costs() {
    println!("| | velocity | chunk | tokens | Think: chunk | Think: cells |");
    for (precision, most, tokens) in [
        (Precision::F32, 1e-5, 1.0),
        (Precision::F16, 5e-3, 0.9),
        (Precision::Bf16, 5e-2, 0.8),
        (Precision::Int8, 1e-1, 0.7),
        (Precision::Int4, 5e-1, 0.3),
    ] {
        if let Err(error) = precision.check(&Golden::open(CASES[0]).device) {
            println!("| {precision} | {error} |");
            continue;
        }
        let mut row = Row {
            velocity: Range::NONE,
            chunk: Range::NONE,
            tokens: Share::default(),
            think_chunk: Range::NONE,
            cells: Share::default(),
            endless: 0,
        };
        for case in CASES {
            act(&mut row, &Golden::open(case), precision);
        }
        for case in THINK {
            think(&mut row, &Golden::open(case), precision);
        }
        println!(
            "| {precision} | {} | {} | {} | {} | {} | {} without an end",
            row.velocity, row.chunk, row.tokens, row.think_chunk, row.cells, row.endless
        );
        for range in [row.velocity, row.chunk, row.think_chunk] {
            assert!(range.1 < most, "{precision}: {range}");
            assert!(
                precision == Precision::F32 || range.0 > 1e-6,
                "{precision} changed nothing"
            );
        }
        let agreed = row.tokens.0 as f64 / row.tokens.1 as f64;
        assert!(agreed >= tokens, "{precision}: {}", row.tokens);
        assert!(
            row.endless <= usize::from(precision == Precision::Int4),
            "{precision}"
        );
    }
}
