//! From a robot's normalised chunk to the ids of a VLM and back, as the reference does it
//! (`tests/goldens/openfast/vlm.py`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::path::PathBuf;

use common::{named, values};
use openfast::{Shape, VlmVocabulary};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
struct Goldens {
    embodiments: Vec<Embodiment>,
    mappings: Vec<Mapping>,
    pi0_fast: Vec<Pi0Fast>,
}

/// A chunk normalised by LeRobot's steps, then encoded. (That our normalising gives the same bits
/// is shown where that lives: `models/molmoact2/tests/action_tokens.rs`.)
#[derive(Debug, Deserialize)]
struct Embodiment {
    tag: String,
    tokenizer: String,
    horizon: usize,
    dims: usize,
    normalised: usize,
    ids: Vec<u32>,
    padded_dims: usize,
    padded_ids: Vec<u32>,
}

#[derive(Debug, Deserialize)]
struct Mapping {
    checkpoint: String,
    count: usize,
    first: u32,
    start: u32,
    end: u32,
    chunks: Vec<Span>,
    answers: Vec<Span>,
}

#[derive(Debug, Deserialize)]
struct Span {
    ids: Vec<u32>,
    vlm: Vec<u32>,
}

#[derive(Debug, Deserialize)]
struct Pi0Fast {
    checkpoint: String,
    fast_skip_tokens: u32,
    ids: Vec<u32>,
    vlm: Vec<u32>,
}

fn goldens() -> Goldens {
    common::read("vlm.json")
}

fn checkpoint(name: &str) -> PathBuf {
    common::goldens()
        .join("../molmoact2")
        .join(name)
        .join("checkpoint")
}

#[test]
fn every_embodiment_encodes_as_the_reference_does() {
    let values = values();
    let mut lossless = 0;
    for case in goldens().embodiments {
        let name = format!("{} {}", case.tag, case.tokenizer);
        let tokenizer = named(&case.tokenizer);
        let shape = Shape {
            horizon: case.horizon,
            dims: case.dims,
        };
        let chunk = &values[case.normalised..case.normalised + case.horizon * case.dims];
        assert!(chunk.iter().all(|value| value.abs() <= 1.0));
        let encoded = tokenizer.encode(chunk, shape).unwrap();
        assert_eq!(encoded.ids, case.ids, "{name}");

        // Padded to the model's width, as in training across embodiments.
        let wide = Shape {
            horizon: case.horizon,
            dims: case.padded_dims,
        };
        let padded: Vec<f32> = chunk
            .chunks_exact(case.dims)
            .flat_map(|row| {
                let zeros = std::iter::repeat_n(&0.0, case.padded_dims - case.dims);
                row.iter().chain(zeros).copied()
            })
            .collect();
        let wide_ids = tokenizer.encode(&padded, wide).unwrap().ids;
        assert_eq!(wide_ids, case.padded_ids, "{name}, padded");
        if !encoded.decodes() {
            // A hole of the released vocabulary: the reference would send zeros.
            assert_eq!(case.tokenizer, "molmoact2", "{name}");
            tokenizer.decode(&encoded.ids, shape).unwrap_err();
            continue;
        }
        lossless += 1;
        // The padding stays zero, and the robot's own dimensions are what they are without it.
        let narrow = tokenizer.decode(&encoded.ids, shape).unwrap();
        let decoded = tokenizer.decode(&wide_ids, wide).unwrap();
        let rows = decoded.chunks_exact(case.padded_dims);
        for (row, want) in rows.zip(narrow.chunks_exact(case.dims)) {
            let (own, padding) = row.split_at(case.dims);
            assert_eq!(own, want, "{name}");
            assert!(padding.iter().all(|&value| value == 0.0), "{name}");
        }
    }
    assert!(lossless >= 9, "{lossless} of 12");
}

#[test]
fn ids_map_to_the_tokens_that_the_vlm_makes_of_the_reference_answer() {
    let goldens = goldens();
    assert_eq!(goldens.mappings.len(), 3);
    for mapping in goldens.mappings {
        let vlm = VlmVocabulary::from_dir(&checkpoint(&mapping.checkpoint)).unwrap();
        assert_eq!((vlm.first(), vlm.count()), (mapping.first, mapping.count));
        assert_eq!(vlm.start(), Some(mapping.start));
        assert_eq!(vlm.end(), Some(mapping.end));
        for chunk in mapping.chunks {
            assert_eq!(vlm.wrap(&chunk.ids).unwrap(), chunk.vlm);
            let bare = &chunk.vlm[1..chunk.vlm.len() - 1];
            assert_eq!(vlm.to_vlm(&chunk.ids).unwrap(), bare);
            assert_eq!(vlm.from_vlm(&chunk.vlm).unwrap(), chunk.ids);
        }
    }
}

#[test]
fn an_answer_is_read_as_the_reference_reads_it_or_refused() {
    for mapping in goldens().mappings {
        let folder = checkpoint(&mapping.checkpoint);
        let vlm = VlmVocabulary::from_dir(&folder).unwrap();
        let config = std::fs::read(folder.join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        let eos = u32::try_from(config["eos_token_id"].as_u64().unwrap()).unwrap();
        let mut read = 0;
        for answer in &mapping.answers {
            assert_eq!(
                vlm.from_vlm_as_reference(&answer.vlm),
                answer.ids,
                "{answer:?}"
            );
            let begins = answer.vlm.first() == Some(&mapping.start);
            let end = answer.vlm.iter().position(|&id| id == mapping.end);
            let inside = match end {
                Some(end) if begins && [&[][..], &[eos]].contains(&&answer.vlm[end + 1..]) => {
                    &answer.vlm[1..end]
                }
                _ => &answer.vlm[..],
            };
            // Taken is what is nothing but action tokens, framed (with the end of text or without) or bare.
            let clean = inside.iter().all(|&id| vlm.fast_id(id).is_some());
            match vlm.from_vlm(&answer.vlm) {
                Ok(ids) => {
                    assert!(clean, "{answer:?}");
                    assert_eq!(ids, answer.ids);
                    read += 1;
                }
                Err(error) => assert!(!clean, "{answer:?}: {error}"),
            }
        }
        assert_eq!((read, mapping.answers.len()), (4, 13));
    }
}

#[test]
fn pi0_fast_counts_down_as_lerobot_does() {
    for case in goldens().pi0_fast {
        let text = std::fs::read(checkpoint(&case.checkpoint).join("tokenizer.json")).unwrap();
        let config = json!({"type": "pi0_fast", "fast_skip_tokens": case.fast_skip_tokens});
        let vlm = VlmVocabulary::from_pi0_fast(config.to_string().as_bytes(), &text).unwrap();
        assert_eq!(vlm.to_vlm(&case.ids).unwrap(), case.vlm);
        assert_eq!(vlm.from_vlm(&case.vlm).unwrap(), case.ids);
    }
}
