//! Questions about images: prompts, patches, features, logits and greedy answers against the reference
//! (`tests/goldens/molmo2`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::ops::ControlFlow;
use std::path::PathBuf;

use burn_tensor::{Tensor, TensorData};
use common::Table;
use layers::ConfigError;
use molmoact2::{AskError, AskOptions, Files, FinishReason, LoadError, Policy, PoolPlan, Vlm};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use vision::RgbImage;

const CASES: [&str; 4] = ["tiled", "uneven", "policy", "no_expert"];

fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens/molmo2")
        .join(case)
}

fn files(case: &str) -> Files {
    Files::open_dir(&folder(case).join("checkpoint")).unwrap()
}

fn vlm(case: &str) -> Vlm {
    Vlm::load(&files(case), &layers::device::cpu()).unwrap()
}

/// One question of a case, as the reference answered it.
struct Question {
    index: usize,
    row: Value,
    tensors: Vec<u8>,
}

impl Question {
    fn all(case: &str) -> Vec<Self> {
        let rows: Vec<Value> =
            serde_json::from_slice(&std::fs::read(folder(case).join("answers.json")).unwrap())
                .unwrap();
        assert_eq!(rows.len(), 3);
        let tensors = std::fs::read(folder(case).join("golden.safetensors")).unwrap();
        rows.into_iter()
            .enumerate()
            .map(|(index, row)| Self {
                index,
                row,
                tensors: tensors.clone(),
            })
            .collect()
    }

    fn with<T>(&self, name: &str, dtype: Dtype, read: impl Fn(&[u8], &[usize]) -> T) -> T {
        let tensors = SafeTensors::deserialize(&self.tensors).unwrap();
        let name = format!("{}.{name}", self.index);
        let tensor = tensors.tensor(&name).expect(&name);
        assert_eq!(tensor.dtype(), dtype, "{name}");
        read(tensor.data(), tensor.shape())
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.with(name, Dtype::F32, |data, _| {
            let (words, _) = data.as_chunks::<4>();
            words.iter().map(|word| f32::from_le_bytes(*word)).collect()
        })
    }

    fn ints(&self, name: &str) -> Vec<i32> {
        self.with(name, Dtype::I32, |data, _| {
            let (words, _) = data.as_chunks::<4>();
            words.iter().map(|word| i32::from_le_bytes(*word)).collect()
        })
    }

    fn bytes(&self, name: &str) -> (Vec<u8>, Vec<usize>) {
        self.with(name, Dtype::U8, |data, shape| {
            (data.to_vec(), shape.to_vec())
        })
    }

    fn words(&self) -> &str {
        self.row["question"].as_str().unwrap()
    }

    fn images(&self) -> Vec<RgbImage> {
        (0..self.row["images"].as_u64().unwrap())
            .map(|k| {
                let (data, shape) = self.bytes(&format!("image.{k}"));
                RgbImage::new(shape[1], shape[0], data).unwrap()
            })
            .collect()
    }

    fn new_ids(&self) -> Vec<u32> {
        serde_json::from_value(self.row["new_ids"].clone()).unwrap()
    }
}

fn options() -> AskOptions {
    AskOptions {
        max_tokens: 24,
        dumps: true,
        ..AskOptions::default()
    }
}

#[test]
fn greedy_answers_are_those_of_the_reference() {
    for case in CASES {
        let vlm = vlm(case);
        assert!(vlm.can_answer());
        let mut table = Table::new(case);
        let mut ended = Vec::new();
        for question in Question::all(case) {
            let about = format!("{case} {}", question.index);
            let mut pieces = String::new();
            let reply = vlm
                .ask(
                    question.words(),
                    &question.images(),
                    &options(),
                    &mut |piece| {
                        pieces.push_str(piece);
                        ControlFlow::Continue(())
                    },
                )
                .unwrap();
            assert_eq!(
                reply.prompt,
                question.row["prompt"].as_str().unwrap(),
                "{about}"
            );
            let ids: Vec<u32> = question
                .ints("input_ids")
                .iter()
                .map(|id| u32::try_from(*id).unwrap())
                .collect();
            assert_eq!(reply.prompt_ids, ids, "{about}");
            assert_eq!(reply.ids, question.new_ids(), "{about}");
            assert_eq!(
                reply.text,
                question.row["text"].as_str().unwrap(),
                "{about}"
            );
            assert_eq!(pieces, reply.text, "{about}");
            assert_eq!(
                serde_json::to_value(reply.finish_reason).unwrap(),
                question.row["ended"],
                "{about}"
            );
            let logits = reply.logits.unwrap().concat();
            let stage = format!("{}.logits", question.index);
            table.relative(&stage, &logits, &question.floats("logits"), 1e-4);
            ended.push(reply.finish_reason);
        }
        table.finish();
        // One case ends by itself, the others reach the limit.
        assert_eq!(
            ended.contains(&FinishReason::EndOfText),
            case == "uneven",
            "{case}"
        );
    }
}

#[test]
fn patches_windows_and_features_are_those_of_the_reference() {
    for case in CASES {
        let vlm = vlm(case);
        assert_eq!(vlm.info().tiled, case != "policy");
        let mut table = Table::new(case);
        for question in Question::all(case) {
            let about = format!("{case} {}", question.index);
            let images = question.images();
            if images.is_empty() {
                continue;
            }
            let batch = vlm.images().prepare(&images).unwrap();
            let (bytes, shape) = question.bytes("pixel_values");
            assert_eq!(
                shape,
                [batch.crops, batch.patches, batch.patch_len],
                "{about}"
            );
            let pixel = |byte: &u8| f32::from(*byte) / 255.0 * 2.0 - 1.0;
            assert!(
                bytes.iter().map(pixel).eq(batch.values.iter().copied()),
                "{about}"
            );
            assert_eq!(batch.pool_indices, question.ints("pool_indices"), "{about}");
            let grids: Vec<i32> = batch
                .grids
                .iter()
                .flat_map(|grid| [grid.whole, grid.crops.unwrap_or([0, 0])])
                .flatten()
                .map(|side| i32::try_from(side).unwrap())
                .collect();
            assert_eq!(grids, question.ints("image_grids"), "{about}");
            let patches = Tensor::<3>::from_data(
                TensorData::new(batch.values, [batch.crops, batch.patches, batch.patch_len]),
                vlm.network().device(),
            );
            let plan = PoolPlan::new(batch.pool_indices, batch.window);
            let features = common::values(vlm.network().encode_images(patches, &plan));
            let stage = format!("{}.projected", question.index);
            table.relative(&stage, &features, &question.floats("projected"), 1e-4);
        }
        table.finish();
    }
}

#[test]
fn a_policy_with_a_template_answers_as_its_language_model_does() {
    let policy = Policy::load(&files("policy"), &layers::device::cpu()).unwrap();
    assert!(policy.can_answer());
    for question in Question::all("policy") {
        let reply = policy
            .ask(
                question.words(),
                &question.images(),
                &options(),
                &mut |_| ControlFlow::Continue(()),
            )
            .unwrap();
        assert_eq!(reply.ids, question.new_ids());
    }
}

#[test]
fn a_policy_without_a_template_says_that_it_cannot_talk() {
    let folder = folder("").join("../molmoact2/one_camera/checkpoint");
    let files = Files::open_dir(&folder).unwrap();
    let policy = Policy::load(&files, &layers::device::cpu()).unwrap();
    assert!(!policy.can_answer());
    let told = &mut |_: &str| ControlFlow::Continue(());
    let error = policy.ask("Why?", &[], &options(), told).unwrap_err();
    assert!(matches!(error, AskError::ActionsOnly), "{error}");
    assert!(
        !Vlm::load(&files, &layers::device::cpu())
            .unwrap()
            .can_answer()
    );
}

#[test]
fn a_plain_vlm_is_no_policy() {
    for case in ["tiled", "no_expert"] {
        let error = Policy::load(&files(case), &layers::device::cpu()).unwrap_err();
        assert!(
            matches!(error, LoadError::Config(ConfigError::Unsupported { .. })),
            "{error}"
        );
        assert!(error.to_string().contains("moves no robot"), "{error}");
    }
}

#[test]
fn whoever_asks_can_stop_the_answer() {
    let question = &Question::all("tiled")[0];
    let mut heard = 0;
    let reply = vlm("tiled")
        .ask(
            question.words(),
            &question.images(),
            &options(),
            &mut |_| {
                heard += 1;
                if heard == 3 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        )
        .unwrap();
    assert_eq!((reply.finish_reason, heard), (FinishReason::Stopped, 3));
    assert_eq!(reply.ids, question.new_ids()[..reply.ids.len()]);
    assert!(reply.ids.len() < 24);
}

#[test]
fn draws_follow_their_seed() {
    let question = &Question::all("no_expert")[0];
    let vlm = vlm("no_expert");
    let draw = |temperature, seed| {
        let options = AskOptions {
            temperature,
            seed,
            ..options()
        };
        let told = &mut |_: &str| ControlFlow::Continue(());
        vlm.ask(question.words(), &question.images(), &options, told)
            .unwrap()
            .ids
    };
    assert_eq!(draw(1.0, 4), draw(1.0, 4));
    assert_ne!(draw(1.0, 4), draw(1.0, 5));
    assert_eq!(draw(1e-6, 4), question.new_ids());
}

#[test]
fn an_answer_ends_at_the_last_position() {
    let vlm = vlm("tiled");
    let question = &Question::all("tiled")[2];
    let options = AskOptions {
        max_tokens: usize::MAX,
        ..AskOptions::default()
    };
    let told = &mut |_: &str| ControlFlow::Continue(());
    let reply = vlm.ask(question.words(), &[], &options, told).unwrap();
    assert_eq!(reply.finish_reason, FinishReason::Positions);
    // The last token is generated but not fed back.
    assert_eq!(
        reply.prompt_ids.len() + reply.ids.len(),
        vlm.info().max_positions + 1
    );
    let long = "word ".repeat(600);
    let error = vlm.ask(&long, &[], &options, told).unwrap_err();
    assert!(error.to_string().contains("do not fit"), "{error}");
}
