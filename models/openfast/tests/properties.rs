//! What must hold for any input, on tokenizers fitted by the reference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::LazyLock;

use common::tokenizer;
use openfast::{DecodeError, FastTokenizer, Grammar, GrammarError, Shape, basis};
use proptest::prelude::*;

static TOKENIZERS: LazyLock<[FastTokenizer; 3]> =
    LazyLock::new(|| ["nano", "fine", "holes"].map(tokenizer));

fn any_tokenizer() -> impl Strategy<Value = FastTokenizer> {
    (0..TOKENIZERS.len()).prop_map(|index| TOKENIZERS[index].clone())
}

fn any_shape() -> impl Strategy<Value = Shape> {
    (1..=50usize, 1..=8usize).prop_map(|(horizon, dims)| Shape { horizon, dims })
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

/// Forward transform in float64, straight from the definition.
fn coefficient(chunk: &[f32], shape: Shape, k: usize, d: usize) -> f64 {
    let weight = if k == 0 { 1.0 } else { 2.0 } / shape.horizon as f64;
    let sum: f64 = (0..shape.horizon)
        .map(|t| {
            let turn = std::f64::consts::PI * ((2 * t + 1) * k) as f64;
            f64::from(chunk[t * shape.dims + d]) * (turn / (2 * shape.horizon) as f64).cos()
        })
        .sum();
    sum * weight.sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_ids_decode_or_give_an_error(
        tokenizer in any_tokenizer(),
        ids in any_ids(),
        horizon in prop_oneof![4 => 0..60usize, 1 => any::<usize>()],
        dims in prop_oneof![4 => 0..9usize, 1 => any::<usize>()],
    ) {
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
    fn a_stream_made_by_chance_under_the_grammar_decodes(
        tokenizer in any_tokenizer(),
        shape in any_shape(),
        choices in prop::collection::vec(any::<u32>(), 512),
    ) {
        let mut grammar = Grammar::new(&tokenizer, shape).unwrap();
        let mut ids = Vec::new();
        for choice in choices.iter().cycle() {
            if grammar.is_complete() {
                break;
            }
            let mask = grammar.mask();
            prop_assert_eq!(mask.len(), tokenizer.vocab_size());
            let allowed: Vec<u32> = (0..).zip(&mask).filter(|(_, ok)| **ok).map(|(id, _)| id).collect();
            prop_assert!(!allowed.is_empty(), "dead end with {} to go", grammar.remaining());
            let id = allowed[*choice as usize % allowed.len()];
            let before = grammar.remaining();
            grammar.push(id).unwrap();
            prop_assert_eq!(before - grammar.remaining(), tokenizer.token_len(id).unwrap());
            ids.push(id);
            // Half a stream is a beginning, never an error.
            if ids.len() % 16 == 0 {
                prop_assert!(tokenizer.decode_partial(&ids, shape).is_ok());
            }
        }
        prop_assert!(!grammar.mask().contains(&true), "nothing may follow a whole chunk");
        prop_assert_eq!(tokenizer.coefficients(&ids, shape).unwrap().len(), shape.horizon * shape.dims);
    }

    #[test]
    fn the_grammar_allows_exactly_what_can_still_decode(
        tokenizer in any_tokenizer(),
        shape in (1..=3usize, 1..=3usize).prop_map(|(horizon, dims)| Shape { horizon, dims }),
        ids in any_ids(),
    ) {
        // Every refused id makes the stream longer than it may be, or leaves a character broken.
        let mut grammar = Grammar::new(&tokenizer, shape).unwrap();
        let mut stream = Vec::new();
        for id in ids {
            let before = grammar.clone();
            match grammar.push(id) {
                Ok(()) => {
                    prop_assert!(before.allowed(id));
                    stream.push(id);
                    prop_assert!(tokenizer.decode_partial(&stream, shape).is_ok());
                    let whole = tokenizer.coefficients(&stream, shape).is_ok();
                    prop_assert_eq!(whole, grammar.is_complete());
                }
                Err(error) => {
                    prop_assert_eq!(error, GrammarError::NotAllowed { id, remaining: before.remaining() });
                    prop_assert_eq!(grammar.remaining(), before.remaining());
                    let mut longer = stream.clone();
                    longer.push(id);
                    prop_assert!(tokenizer.coefficients(&longer, shape).is_err());
                }
            }
        }
    }

    #[test]
    fn what_the_encoder_writes_the_grammar_allows(
        tokenizer in any_tokenizer(),
        (shape, chunk) in any_chunk(1.0),
    ) {
        let encoded = tokenizer.encode_nearest(&chunk, shape).unwrap();
        let mut grammar = Grammar::new(&tokenizer, shape).unwrap();
        for &id in &encoded.ids {
            grammar.push(id).unwrap();
        }
        prop_assert!(grammar.is_complete());
    }

    #[test]
    fn each_coefficient_is_off_by_half_a_step_at_most(
        tokenizer in any_tokenizer(),
        (shape, chunk) in any_chunk(1.0),
    ) {
        let scale = tokenizer.config().scale;
        let encoded = tokenizer.encode(&chunk, shape).unwrap();
        if encoded.lost.is_empty() {
            let back = tokenizer.coefficients(&encoded.ids, shape).unwrap();
            for (index, &got) in back.iter().enumerate() {
                let want = coefficient(&chunk, shape, index / shape.dims, index % shape.dims) * scale;
                // The margin is float32's: the encoder rounds there.
                prop_assert!((f64::from(got) - want).abs() <= 0.5 + 1e-5 * want.abs().max(1.0));
            }
        }
        prop_assert_eq!(encoded.decodes(), tokenizer.decode(&encoded.ids, shape).is_ok());
    }

    #[test]
    fn the_nearest_encoding_always_decodes_and_costs_what_it_says(
        tokenizer in any_tokenizer(),
        (shape, chunk) in any_chunk(30.0),
    ) {
        let scale = tokenizer.config().scale;
        let encoded = tokenizer.encode_nearest(&chunk, shape).unwrap();
        prop_assert!(encoded.decodes());
        let back = tokenizer.coefficients(&encoded.ids, shape).unwrap();
        let wanted = tokenizer.quantise(&chunk, shape).unwrap();
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
        tokenizer in any_tokenizer(),
        chunk in prop::collection::vec(any::<f32>(), 0..40),
        horizon in 0..8usize,
        dims in 0..8usize,
    ) {
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
    fn the_basis_decodes_as_the_decoder_does(tokenizer in any_tokenizer(), (shape, chunk) in any_chunk(1.0)) {
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
