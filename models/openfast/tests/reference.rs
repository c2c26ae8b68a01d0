//! Held against the reference Python: `tests/goldens/openfast/generate.py`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;

use common::{Case, cases, difference, fnv1a, named, sweep_chunk, undecidable};
use openfast::{DecodeError, EncodeError, Shape};

#[test]
fn encodes_to_the_ids_of_the_reference() {
    let (cases, values) = cases();
    let mut compared = BTreeMap::new();
    let mut ties = BTreeMap::new();
    for case in cases
        .encode
        .iter()
        .filter(|case| case.error.is_none() && case.dims > 0)
    {
        let chunk = case.block(case.input, &values);
        let tokenizer = named(&case.tokenizer);
        let encoded = tokenizer
            .encode(chunk, case.shape())
            .unwrap_or_else(|error| {
                panic!("{}: {error}", case.name());
            });
        *compared.entry(case.kind.as_str()).or_insert(0) += 1;
        if encoded.ids != case.ids {
            assert!(
                undecidable(chunk, case.shape(), tokenizer.config().scale),
                "{}: other ids and no tie",
                case.name()
            );
            *ties.entry(case.kind.as_str()).or_insert(0) += 1;
        } else {
            assert_eq!(
                encoded.decodes(),
                !case.fell_back,
                "{}: loss report",
                case.name()
            );
        }
    }
    println!("encode cases: {compared:?}; other ids, all at float32 ties: {ties:?}");
    assert!(compared.values().sum::<usize>() > 200);
    // Only chunks built to sit on ties may differ.
    assert!(ties.keys().all(|&kind| kind == "near_tie"), "{ties:?}");
}

#[test]
fn refuses_what_makes_the_reference_raise() {
    let (cases, values) = cases();
    let mut refused = 0;
    for case in cases
        .encode
        .iter()
        .filter(|case| case.error.is_some() || case.dims == 0)
    {
        let chunk = case.block(case.input, &values);
        let error = named(&case.tokenizer)
            .encode(chunk, case.shape())
            .unwrap_err();
        match case.kind.as_str() {
            "not_finite" => assert!(matches!(error, EncodeError::NotFinite { .. }), "{error}"),
            "empty" => assert_eq!(error, EncodeError::BadShape(case.shape())),
            "beyond_unicode" => assert!(matches!(error, EncodeError::NoCharacter { .. })),
            kind => panic!("{kind}: {error}"),
        }
        refused += 1;
    }
    assert_eq!(refused, 27);
}

#[test]
fn decodes_within_1e_6_of_the_reference() {
    let (cases, values) = cases();
    let mut decoded = 0;
    let mut fell_back = 0;
    let mut largest = 0.0f64;
    for case in cases
        .encode
        .iter()
        .filter(|case| case.error.is_none() && case.dims > 0)
    {
        let got = named(&case.tokenizer).decode(&case.ids, case.shape());
        if case.fell_back {
            assert!(
                matches!(
                    got,
                    Err(DecodeError::WrongCount { .. }
                        | DecodeError::BrokenCharacter { .. }
                        | DecodeError::UnfinishedCharacter)
                ),
                "{}: {got:?}",
                case.name()
            );
            fell_back += 1;
            continue;
        }
        let got = got.unwrap_or_else(|error| panic!("{}: {error}", case.name()));
        largest = largest.max(difference(&got, case.block(case.decoded, &values)));
        decoded += 1;
    }
    println!(
        "decoded {decoded}, reference fell back to zeros {fell_back}, largest difference {largest:e}"
    );
    assert!(decoded > 150 && fell_back > 10);
    assert!(largest <= 1e-6);
}

#[test]
fn the_compatible_decoder_answers_every_stream_as_the_reference_does() {
    let (cases, values) = cases();
    let mut zeros = 0;
    let mut faults = 0;
    let mut largest = 0.0f64;
    let check = |case: &Case| {
        let tokenizer = named(&case.tokenizer);
        let answer = tokenizer
            .decode_as_reference(&case.ids, case.shape())
            .unwrap();
        assert_eq!(
            answer.zeros,
            case.fell_back,
            "{} {:?}",
            case.name(),
            case.ids
        );
        let strict = tokenizer.decode(&case.ids, case.shape());
        assert_eq!(answer.fault.as_ref(), strict.as_ref().err());
        if let Ok(chunk) = &strict {
            assert!(!answer.zeros);
            assert_eq!(chunk, &answer.chunk);
        }
        if answer.zeros {
            assert!(strict.is_err());
            assert!(answer.chunk.iter().all(|&value| value == 0.0));
            return (true, strict.is_err(), 0.0);
        }
        let want = case.block(case.decoded, &values);
        (false, strict.is_err(), difference(&answer.chunk, want))
    };
    let encoded = cases
        .encode
        .iter()
        .filter(|case| case.error.is_none() && case.dims > 0);
    for case in cases.stream.iter().chain(encoded) {
        let (zero, fault, error) = check(case);
        zeros += usize::from(zero);
        faults += usize::from(fault);
        largest = largest.max(error);
    }
    println!("zeros {zeros}, strict faults {faults}, largest difference {largest:e}");
    assert!(zeros > 100 && faults > zeros);
    assert!(largest <= 1e-6);
}

#[test]
fn five_thousand_chunks_encode_to_the_same_ids() {
    let (cases, _) = cases();
    let bytes = std::fs::read(common::goldens().join("sweep.u32")).unwrap();
    let mut hashes = bytes
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes(b.try_into().unwrap()));
    let mut compared = 0;
    let mut other = 0;
    for sweep in &cases.sweep {
        let shape = Shape {
            horizon: sweep.horizon,
            dims: sweep.dims,
        };
        let tokenizer = named(&sweep.tokenizer);
        for chunk in 0..sweep.chunks {
            let actions = sweep_chunk(chunk, shape);
            let ids = tokenizer.encode(&actions, shape).unwrap().ids;
            compared += 1;
            if fnv1a(&ids) != hashes.next().unwrap() {
                assert!(
                    undecidable(&actions, shape, tokenizer.config().scale),
                    "chunk {chunk}"
                );
                other += 1;
            }
        }
    }
    println!("{compared} chunks, {other} with other ids, all at float32 ties");
    assert_eq!(compared, 5000);
    assert!(other <= 5, "{other}");
}
