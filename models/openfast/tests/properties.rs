//! Properties of any input, on tokenizers fitted by the reference.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{NAMES, coefficient, float32_error, named};
use openfast::{DecodeError, FastTokenizer, Grammar, Shape, basis};
use proptest::prelude::*;

/// By name, so that a failure says which in a word.
fn any_tokenizer() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn any_shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        9 => (1..=50usize, 1..=8usize),
        1 => (1..=50usize, 1..=32usize),
    ]
    .prop_map(|(horizon, dims)| Shape { horizon, dims })
}

fn any_chunk(reach: f32) -> impl Strategy<Value = (Shape, Vec<f32>)> {
    any_shape().prop_flat_map(move |shape| {
        let values = prop::collection::vec(-reach..reach, shape.horizon * shape.dims);
        (Just(shape), values)
    })
}

/// Ids mostly inside the vocabulary, some just outside, some anywhere.
fn any_ids() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(prop_oneof![8 => 0..1100u32, 1 => any::<u32>()], 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_ids_decode_or_give_an_error(
        name in any_tokenizer(),
        ids in any_ids(),
        horizon in prop_oneof![4 => 0..60usize, 1 => any::<usize>()],
        dims in prop_oneof![4 => 0..9usize, 1 => any::<usize>()],
    ) {
        let tokenizer = named(name);
        let shape = Shape { horizon, dims };
        let strict = tokenizer.decode(&ids, shape);
        let partial = tokenizer.decode_partial(&ids, shape);
        match tokenizer.decode_as_reference(&ids, shape) {
            Ok(answer) => {
                prop_assert_eq!(answer.fault, strict.as_ref().err().cloned());
                prop_assert_eq!(answer.chunk.len(), horizon * dims);
            }
            Err(error) => prop_assert_eq!(error, DecodeError::BadShape(shape)),
        }
        if let Ok(chunk) = strict {
            let partial = partial.unwrap();
            prop_assert_eq!(partial.known, horizon * dims);
            prop_assert_eq!(partial.chunk, chunk);
        }
    }

    #[test]
    fn each_coefficient_is_off_by_half_a_step_at_most(
        name in any_tokenizer(),
        (shape, chunk) in any_chunk(1.0),
    ) {
        let tokenizer = named(name);
        let scale = tokenizer.config().scale;
        let encoded = tokenizer.encode_nearest(&chunk, shape).unwrap();
        let back = tokenizer.coefficients(&encoded.ids, shape).unwrap();
        let lost: Vec<usize> = encoded.lost.iter().map(|lost| lost.frequency * shape.dims + lost.dim).collect();
        for (index, &got) in back.iter().enumerate() {
            if lost.contains(&index) {
                continue;
            }
            let (k, d) = (index / shape.dims, index % shape.dims);
            let want = coefficient(&chunk, shape, k, d) * scale;
            let off = (f64::from(got) - want).abs();
            prop_assert!(off <= 0.5 + float32_error(&chunk, shape, d, scale), "{off} at {k}, {d}");
        }
        // Without losses the reference's encoding is this one.
        let plain = tokenizer.encode(&chunk, shape).unwrap();
        prop_assert_eq!(plain.decodes(), tokenizer.decode(&plain.ids, shape).is_ok());
        if lost.is_empty() {
            prop_assert_eq!(plain, encoded);
        }
    }

    #[test]
    fn the_whole_chunk_is_off_by_half_a_step_per_coefficient_at_most(
        name in any_tokenizer(),
        (shape, chunk) in any_chunk(1.0),
    ) {
        let tokenizer = named(name);
        // The transform is orthonormal: per dimension the squared errors add up alike on both sides.
        let scale = tokenizer.config().scale;
        let encoded = tokenizer.encode_nearest(&chunk, shape).unwrap();
        let decoded = tokenizer.decode(&encoded.ids, shape).unwrap();
        for d in 0..shape.dims {
            let error: f64 = (0..shape.horizon)
                .map(|t| t * shape.dims + d)
                .map(|index| (f64::from(chunk[index]) - f64::from(decoded[index])).powi(2))
                .sum();
            let lost: f64 = encoded.lost.iter().filter(|lost| lost.dim == d)
                .map(|lost| (f64::from(lost.wanted) - f64::from(lost.kept.unwrap())) / scale)
                .map(|off| off * off)
                .sum();
            let half = 0.5 / scale * (shape.horizon as f64).sqrt();
            prop_assert!(error.sqrt() <= half + lost.sqrt() + 1e-4, "dimension {d}");
        }
    }

    #[test]
    fn a_batch_is_its_chunks_one_by_one(
        name in any_tokenizer(),
        shape in (1..=20usize, 1..=7usize).prop_map(|(horizon, dims)| Shape { horizon, dims }),
        count in 0..5usize,
        values in prop::collection::vec(-3.0..3.0f32, 5 * 140),
    ) {
        let tokenizer = named(name);
        let size = shape.horizon * shape.dims;
        let chunks = &values[..count * size];
        let batch = tokenizer.encode_batch(chunks, shape).unwrap();
        let alone: Vec<_> = chunks.chunks(size).map(|chunk| tokenizer.encode(chunk, shape).unwrap()).collect();
        prop_assert_eq!(&batch, &alone);
        let streams: Vec<Vec<u32>> = batch.into_iter().map(|encoded| encoded.ids).collect();
        let singles: Vec<_> = streams.iter().map(|ids| tokenizer.decode(ids, shape)).collect();
        match tokenizer.decode_batch(&streams, shape) {
            Ok(together) => {
                let each: Vec<f32> = singles.into_iter().flat_map(Result::unwrap).collect();
                prop_assert_eq!(together, each);
            }
            Err(error) => {
                let first = singles.iter().position(Result::is_err).unwrap();
                prop_assert_eq!(error.index, first);
                prop_assert_eq!(Some(&error.source), singles[first].as_ref().err());
            }
        }
    }

    #[test]
    fn the_nearest_encoding_always_decodes_and_costs_what_it_says(
        name in any_tokenizer(),
        (shape, chunk) in any_chunk(30.0),
    ) {
        let tokenizer = named(name);
        let scale = tokenizer.config().scale;
        let encoded = tokenizer.encode_nearest(&chunk, shape).unwrap();
        prop_assert!(encoded.decodes());
        let back = tokenizer.coefficients(&encoded.ids, shape).unwrap();
        let wanted = tokenizer.quantize(&chunk, shape).unwrap();
        let mut lost = encoded.lost.iter();
        let mut cost = 0.0;
        for (index, (&got, &want)) in back.iter().zip(&wanted).enumerate() {
            if f64::from(got) != f64::from(want) {
                let report = lost.next().expect("a loss unreported");
                prop_assert_eq!(report.frequency * shape.dims + report.dim, index);
                prop_assert_eq!(report.kept, Some(got));
                prop_assert_eq!(report.wanted, want as i32);
                prop_assert!(!tokenizer.can_express(report.wanted));
                // Nothing expressible lies nearer.
                let distance = (report.wanted - got).abs();
                for nearer in 1..distance.min(300) {
                    prop_assert!(!tokenizer.can_express(report.wanted - nearer));
                    prop_assert!(!tokenizer.can_express(report.wanted + nearer));
                }
                cost += (f64::from(distance) / scale).powi(2);
            }
        }
        prop_assert!(lost.next().is_none(), "a loss reported that is none");
        prop_assert!((encoded.lost_norm(scale).unwrap() - cost.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn any_floats_encode_or_give_an_error(
        name in any_tokenizer(),
        chunk in prop::collection::vec(any::<f32>(), 0..40),
        horizon in 0..8usize,
        dims in 0..8usize,
    ) {
        let tokenizer = named(name);
        let shape = Shape { horizon, dims };
        let _ = tokenizer.encode(&chunk, shape);
        let _ = tokenizer.encode_nearest(&chunk, shape);
        let full = chunk.iter().copied().cycle().take(horizon * dims).collect::<Vec<_>>();
        let finite = full.iter().all(|value| value.is_finite());
        if finite && full.len() == horizon * dims && !full.is_empty() {
            prop_assert!(tokenizer.encode_nearest(&full, shape).unwrap().decodes());
        }
    }

    #[test]
    fn the_basis_decodes_as_the_decoder_does(name in any_tokenizer(), (shape, chunk) in any_chunk(1.0)) {
        let tokenizer = named(name);
        let encoded = tokenizer.encode_nearest(&chunk, shape).unwrap();
        let coefficients = tokenizer.coefficients(&encoded.ids, shape).unwrap();
        let decoded = tokenizer.decode(&encoded.ids, shape).unwrap();
        let basis = basis(shape.horizon);
        let scale = tokenizer.config().scale as f32;
        for (index, &want) in decoded.iter().enumerate() {
            let (t, d) = (index / shape.dims, index % shape.dims);
            let got: f32 = (0..shape.horizon)
                .map(|k| basis[k * shape.horizon + t] * coefficients[k * shape.dims + d] as f32 / scale)
                .sum();
            prop_assert!((got - want).abs() < 1e-4, "{got} {want}");
        }
    }

    #[test]
    fn damaged_files_load_or_give_an_error(
        cut in any::<prop::sample::Index>(),
        change in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let dir = common::goldens().join("holes");
        let mut file = std::fs::read(dir.join("tokenizer.json")).unwrap();
        let mut config = std::fs::read(dir.join("processor_config.json")).unwrap();
        // Without the newline after the last brace every cut is a real one.
        for json in [&mut file, &mut config] {
            json.truncate(json.trim_ascii_end().len());
        }
        let at = change.index(file.len());
        prop_assert!(FastTokenizer::from_bytes(&file[..cut.index(file.len())], &config).is_err());
        prop_assert!(FastTokenizer::from_bytes(&file, &config[..cut.index(config.len())]).is_err());
        file[at] = byte;
        if let Ok(tokenizer) = FastTokenizer::from_bytes(&file, &config) {
            let shape = Shape { horizon: 10, dims: 7 };
            let _ = tokenizer.encode(&[0.3; 70], shape);
            if let Ok(mut grammar) = Grammar::new(&tokenizer, shape) {
                while !grammar.is_complete() {
                    let id = grammar.mask().iter().position(|&ok| ok).expect("dead end");
                    grammar.push(id as u32).unwrap();
                }
            }
        }
    }
}
