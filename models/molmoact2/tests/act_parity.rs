//! `Policy::act` from images, state and an instruction to robot units, against the reference's `predict_action` on
//! the same checkpoint, and the same answer from files in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::borrow::Cow;

use common::scene::Scene;
use common::{CASES, Golden, Table};
use molmoact2::{ActOptions, Action, Decoding, Files, Mode, Policy};

fn continuous(golden: &Golden) -> ActOptions {
    ActOptions {
        noise: Some(golden.floats("noise")),
        dumps: true,
        ..ActOptions::default()
    }
}

/// Differences in robot units relative to the range of each column.
fn compare_actions(table: &mut Table, golden: &Golden, action: &Action, name: &str, limit: f64) {
    let [rows, dims] = golden.shape(name)[..] else {
        panic!()
    };
    assert_eq!((action.rows, action.dims), (rows, dims));
    table.relative(name, &action.actions, &golden.floats(name), limit);
}

#[test]
fn a_continuous_answer_equals_the_reference() {
    for case in CASES {
        let golden = Golden::open(case);
        let mut table = Table::new(case);
        let files = Files::open_dir(&golden.checkpoint()).unwrap();
        let policy = Policy::load(&files, &golden.device).unwrap();
        let scene = Scene::of(&golden);
        let action = policy
            .act(&scene.observation(), &continuous(&golden))
            .unwrap();

        let expected: Vec<u32> = golden
            .ints("input_ids")
            .iter()
            .map(|&id| id as u32)
            .collect();
        assert_eq!(action.prompt_ids, expected, "{case}");
        assert!(action.action_tokens.is_empty());
        let expected = golden.floats("chunk_normalised");
        table.absolute(
            "chunk, end to end",
            &action.chunk_normalized,
            &expected,
            1e-4,
        );
        compare_actions(&mut table, &golden, &action, "actions", 1e-4);
        let names: Vec<&str> = action.stages.iter().map(|stage| stage.name).collect();
        assert_eq!(
            names,
            ["preprocess", "vision", "prefill", "flow", "postprocess"]
        );
        let steps = golden.shape("velocity")[0];
        assert_eq!(action.velocities.unwrap().len(), steps);
        table.finish();
    }
}

#[test]
fn a_masked_discrete_answer_is_a_whole_chunk_made_of_likeliest_tokens() {
    for case in CASES {
        let golden = Golden::open(case);
        if !golden.has("fast_ids") {
            continue;
        }
        let files = Files::open_dir(&golden.checkpoint()).unwrap();
        let policy = Policy::load(&files, &golden.device).unwrap();
        let scene = Scene::of(&golden);
        let options = ActOptions {
            mode: Mode::Discrete,
            dumps: true,
            ..ActOptions::default()
        };
        let mut told: Vec<Vec<u32>> = Vec::new();
        let action = policy
            .act_streaming(&scene.observation(), &options, &mut |so_far| {
                told.push(so_far.to_vec());
            })
            .unwrap();
        let beginnings: Vec<Vec<u32>> = (1..=action.action_tokens.len())
            .map(|count| action.action_tokens[..count].to_vec())
            .collect();
        assert_eq!(
            told, beginnings,
            "one call per token, with everything so far"
        );

        // Repeat the stream with the grammar alone: every token is the likeliest allowed one.
        let fast =
            openfast::FastTokenizer::from_dir(&golden.checkpoint().join("openfast")).unwrap();
        let shape = openfast::Shape {
            horizon: action.horizon,
            dims: action.dims,
        };
        let mut grammar = openfast::Grammar::new(&fast, shape).unwrap();
        let logits = action.logits.unwrap();
        assert_eq!(logits.len(), action.action_tokens.len());
        for (scores, &id) in logits.iter().zip(&action.action_tokens) {
            let best = (0_u32..)
                .zip(scores)
                .filter(|(id, _)| grammar.allowed(*id))
                .max_by(|a, b| a.1.total_cmp(b.1))
                .unwrap();
            assert_eq!(best.0, id);
            grammar.push(id).unwrap();
        }
        assert!(grammar.is_complete());
        let chunk = fast.decode(&action.action_tokens, shape).unwrap();
        assert_eq!(chunk, action.chunk_normalized);
        // The first token uses the reference's logits after <action_start>.
        let config: serde_json::Value = serde_json::from_slice(
            &std::fs::read(golden.checkpoint().join("config.json")).unwrap(),
        )
        .unwrap();
        let first = config["action_token_start_id"].as_u64().unwrap() as usize;
        let [_, vocab] = golden.shape("decode_logits")[..] else {
            panic!()
        };
        let reference = golden.floats("decode_logits");
        let row = &reference[vocab + first..vocab + first + logits[0].len()];
        let mut table = Table::new(case);
        table.relative("first token's scores", &logits[0], row, 1e-4);
        table.finish();
        println!(
            "{case}: {} tokens, {:?}",
            action.action_tokens.len(),
            action.stages
        );
    }
}

#[test]
fn strict_decoding_of_random_weights_is_an_error_and_not_a_pose() {
    let golden = Golden::open("one_camera");
    let files = Files::open_dir(&golden.checkpoint()).unwrap();
    let policy = Policy::load(&files, &golden.device).unwrap();
    let scene = Scene::of(&golden);
    let options = ActOptions {
        mode: Mode::Discrete,
        decoding: Decoding::Strict,
        ..ActOptions::default()
    };
    let error = policy.act(&scene.observation(), &options).unwrap_err();
    println!("{error}");
}

#[test]
fn a_policy_from_memory_answers_the_same() {
    for case in ["two_cameras", "masked_gripper"] {
        let golden = Golden::open(case);
        let scene = Scene::of(&golden);
        let options = continuous(&golden);
        let folder = golden.checkpoint();
        let from_disk = Policy::load(&Files::open_dir(&folder).unwrap(), &golden.device).unwrap();
        let mut files = Vec::new();
        for entry in walk(&folder) {
            let name = entry
                .strip_prefix(&folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            files.push((name, Cow::Owned(std::fs::read(&entry).unwrap())));
        }
        let from_memory = Policy::load(&Files::from_memory(files), &golden.device).unwrap();
        let a = from_disk.act(&scene.observation(), &options).unwrap();
        let b = from_memory.act(&scene.observation(), &options).unwrap();
        assert_eq!(a.actions, b.actions);
        assert_eq!(from_disk.info().tags, from_memory.info().tags);
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
