//! Every tokenizer against every shape and kind of chunk, in batches, as the reference did it
//! (`tests/goldens/openfast/grid.py`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;

use common::{NAMES, cases, difference, fnv1a, made, named, undecidable, values};
use openfast::{DecodeError, EncodeError, Encoded, Shape};
use serde::Deserialize;

/// Decoded values kept per chunk.
const SAMPLES: usize = 24;

#[derive(Debug, Deserialize)]
struct Grid {
    grid: Vec<Row>,
}

/// One chunk. The generator encodes all kinds of one tokenizer and shape as a batch.
#[derive(Debug, Deserialize)]
struct Row {
    tokenizer: String,
    kind: String,
    horizon: usize,
    dims: usize,
    ids: usize,
    hash: u32,
    fell_back: bool,
    samples: Option<usize>,
    sum: f64,
}

impl Row {
    fn shape(&self) -> Shape {
        Shape {
            horizon: self.horizon,
            dims: self.dims,
        }
    }

    fn name(&self) -> String {
        format!("{} {} {}", self.tokenizer, self.shape(), self.kind)
    }

    fn agrees(&self, encoded: &Encoded) -> bool {
        encoded.ids.len() == self.ids && fnv1a(&encoded.ids) == self.hash
    }
}

#[derive(Debug, Default)]
struct Tally {
    chunks: usize,
    ids: usize,
    ties: BTreeMap<String, usize>,
    fell_back: usize,
    garbled: usize,
    largest: f64,
}

/// Compares one batch with the reference.
fn check(batch: &[Row], values: &[f32], tally: &mut Tally) {
    let shape = batch[0].shape();
    let tokenizer = named(&batch[0].tokenizer);
    let scale = tokenizer.config().scale;
    let chunks: Vec<Vec<f32>> = (7..)
        .zip(batch)
        .map(|(chunk, row)| made(&row.kind, chunk, shape, scale))
        .collect();
    let encoded = tokenizer.encode_batch(&chunks.concat(), shape).unwrap();
    assert_eq!(encoded.len(), batch.len());
    let mut decodable = Vec::new();
    for ((row, chunk), encoded) in batch.iter().zip(&chunks).zip(&encoded) {
        assert_eq!(&tokenizer.encode(chunk, shape).unwrap(), encoded);
        tally.chunks += 1;
        tally.ids += encoded.ids.len();
        if !row.agrees(encoded) {
            let name = row.name();
            assert!(undecidable(chunk, shape, scale), "{name}: no tie");
            *tally.ties.entry(row.kind.clone()).or_insert(0) += 1;
            continue;
        }
        let strict = tokenizer.decode(&encoded.ids, shape);
        assert_eq!(encoded.decodes(), strict.is_ok(), "{}", row.name());
        let reference = tokenizer.decode_as_reference(&encoded.ids, shape).unwrap();
        assert_eq!(reference.zeros, row.fell_back, "{}", row.name());
        if row.fell_back {
            strict.unwrap_err();
            tally.fell_back += 1;
            continue;
        }
        let decoded = reference.chunk;
        let count = decoded.len().min(SAMPLES);
        let samples: Vec<f32> = (0..count)
            .map(|index| decoded[index * decoded.len() / count])
            .collect();
        let start = row.samples.unwrap();
        let error = difference(&samples, &values[start..start + count]);
        tally.largest = tally.largest.max(error);
        let sum: f64 = decoded.iter().copied().map(f64::from).sum();
        let largest = decoded.iter().fold(1.0f32, |most, v| most.max(v.abs()));
        assert!(
            (sum - row.sum).abs() <= 1e-6 * decoded.len() as f64 * f64::from(largest),
            "{}: the values add up to {sum}, the reference's to {}",
            row.name(),
            row.sum
        );
        match strict {
            Ok(strict) => {
                assert_eq!(strict, decoded, "{}", row.name());
                decodable.push((encoded.ids.clone(), decoded));
            }
            // Half a character was dropped and the other half stands for thousands: the count is
            // right, so the reference sees nothing wrong and sends this to the robot.
            Err(fault) => {
                assert!(
                    matches!(fault, DecodeError::BrokenCharacter { .. }),
                    "{fault}"
                );
                assert!(largest > 50.0, "{}: {largest}", row.name());
                tally.garbled += 1;
            }
        }
    }
    let (streams, want): (Vec<_>, Vec<_>) = decodable.into_iter().unzip();
    assert_eq!(
        tokenizer.decode_batch(&streams, shape).unwrap(),
        want.concat()
    );
}

#[test]
fn every_shape_scale_and_kind_agrees_with_the_reference() {
    let Grid { grid } = common::read("grid.json");
    let values = values();
    let mut tally = Tally::default();
    for batch in grid.chunk_by(|a, b| a.tokenizer == b.tokenizer && a.shape() == b.shape()) {
        check(batch, &values, &mut tally);
    }
    println!("{tally:?}");
    assert_eq!(tally.chunks, 12 * 25 * 9);
    // Every outcome must occur, and only the chunks built to sit on ties may differ.
    assert!(tally.fell_back > 200 && tally.garbled > 0);
    assert!(tally.ties.keys().all(|kind| kind == "tie"), "{tally:?}");
    assert!(tally.largest <= 1e-6, "{}", tally.largest);
}

#[derive(Debug, Deserialize)]
struct FactsFile {
    facts: Vec<Facts>,
}

/// Answers of the reference's tokenizer, character by character and id by id.
#[derive(Debug, Deserialize)]
struct Facts {
    tokenizer: String,
    ids: usize,
    scale: f64,
    min_token: i32,
    vocab_size: u32,
    time_horizon: Option<usize>,
    action_dim: Option<usize>,
    /// Characters that it can write, as ranges, among all below 0x7FF and [`BEYOND`].
    expressible: Vec<[u32; 2]>,
    /// Characters per id, where the id is whole characters.
    lengths: Vec<Option<usize>>,
}

const BEYOND: [u32; 10] = [
    0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF,
];

#[test]
fn every_layout_loads_and_says_of_itself_what_the_reference_says() {
    let FactsFile { facts } = common::read("facts.json");
    let names: Vec<&str> = facts.iter().map(|fact| fact.tokenizer.as_str()).collect();
    assert_eq!(names, NAMES);
    for fact in facts {
        let name = &fact.tokenizer;
        let tokenizer = named(name);
        assert_eq!(tokenizer.vocab_size(), fact.ids, "{name}");
        let config = tokenizer.config();
        assert_eq!(config.scale, fact.scale, "{name}");
        assert_eq!(config.min_token, fact.min_token, "{name}");
        assert_eq!(config.vocab_size, Some(fact.vocab_size), "{name}");
        assert_eq!(config.time_horizon, fact.time_horizon, "{name}");
        assert_eq!(config.action_dim, fact.action_dim, "{name}");

        let can = |character: u32| {
            let mut ranges = fact.expressible.iter();
            ranges.any(|&[first, last]| (first..=last).contains(&character))
        };
        for character in (0..0x7FF).chain(BEYOND) {
            let coefficient = character as i32 + fact.min_token;
            assert_eq!(
                tokenizer.can_express(coefficient),
                can(character),
                "{name}: character {character:#X}"
            );
        }
        assert!(!tokenizer.can_express(fact.min_token - 1));
        let (low, high) = tokenizer.expressible_range().unwrap();
        assert!(tokenizer.can_express(low) && tokenizer.can_express(high));
        // The range ends with Unicode's basic plane: a vocabulary with all bytes writes more.
        let end = 0xFFFF + fact.min_token;
        assert!(!tokenizer.can_express(low - 1));
        assert!(high == end || !tokenizer.can_express(high + 1), "{name}");
        let holes: Vec<i32> = (low..=high)
            .filter(|&c| !tokenizer.can_express(c))
            .collect();
        assert_eq!(tokenizer.holes(), holes, "{name}");

        let mut reachable = 0;
        for (id, length) in (0..).zip(&fact.lengths) {
            let Some(ours) = tokenizer.token_len(id) else {
                assert_eq!(tokenizer.token_coefficients(id), None);
                continue;
            };
            reachable += 1;
            let alone = tokenizer.token_coefficients(id).map(|list| list.len());
            assert_eq!(alone, *length, "{name}: id {id}");
            assert!(
                length.is_none_or(|length| length == ours),
                "{name}: id {id}"
            );
        }
        assert_eq!(tokenizer.reachable_ids(), reachable, "{name}");
        assert_eq!(tokenizer.token_len(fact.ids as u32), None);
    }
}

#[test]
fn the_released_molmoact2_tokenizer_has_seven_holes() {
    let tokenizer = named("molmoact2");
    assert_eq!(tokenizer.vocab_size(), 1005);
    assert_eq!(tokenizer.config().vocab_size, Some(2048));
    assert_eq!(tokenizer.expressible_range(), Some((-55, 66)));
    assert_eq!(tokenizer.holes(), [-52, -46, -43, -41, -36, -33, -28]);
}

#[test]
fn one_bad_chunk_refuses_its_batch_and_is_named() {
    let (cases, values) = cases();
    let shape = Shape {
        horizon: 5,
        dims: 3,
    };
    let tokenizer = named("nano");
    assert_eq!(cases.refused_batch.len(), 4);
    for row in &cases.refused_batch {
        let batch = &values[row.input..row.input + 5 * 15];
        let error = tokenizer.encode_batch(batch, shape).unwrap_err();
        assert_eq!(error.index, row.index);
        match error.source {
            EncodeError::NotFinite { step, dim, .. } => assert_eq!((step, dim), (2, 1)),
            EncodeError::NoCharacter { dim, .. } => assert_eq!(dim, 1),
            other => panic!("{other}"),
        }
        assert!(
            error
                .to_string()
                .starts_with(&format!("chunk {}: ", row.index))
        );
    }
}

#[test]
fn an_empty_batch_is_no_error_and_half_a_chunk_is_one() {
    let tokenizer = named("nano");
    let shape = Shape {
        horizon: 2,
        dims: 3,
    };
    assert_eq!(tokenizer.encode_batch(&[], shape).unwrap(), []);
    assert!(tokenizer.decode_batch(&[], shape).unwrap().is_empty());
    let error = tokenizer.encode_batch(&[0.0; 9], shape).unwrap_err();
    assert_eq!(error.index, 1);
    assert_eq!(
        error.source,
        EncodeError::WrongLength {
            got: 3,
            want: 6,
            shape
        }
    );
    let good = tokenizer.encode(&[0.0; 6], shape).unwrap().ids;
    let error = tokenizer
        .decode_batch(&[good.clone(), good, vec![]], shape)
        .unwrap_err();
    assert_eq!(error.index, 2);
    assert!(matches!(
        error.source,
        DecodeError::WrongCount { got: 0, .. }
    ));
}
