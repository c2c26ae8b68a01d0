//! Whatever a model prefers, what it generates under the grammar decodes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{NAMES, named};
use openfast::{FastTokenizer, Grammar, GrammarError, Shape};
use proptest::prelude::*;

/// A model: scores for every id, step by step.
#[derive(Debug, Clone, Copy)]
enum Model {
    /// Fresh noise at every step.
    Noise,
    /// The same noise at every step: it wants the same few ids over and over.
    Stubborn,
    /// The fewest coefficients first.
    Shortest,
    /// The most coefficients first.
    Longest,
    /// Whatever ends inside a character, and among those the shortest.
    Unfinished,
    /// Whatever no encoder emits or no vocabulary has, by far.
    Forbidden,
    /// Not a number, wherever it may.
    NotANumber,
}

const MODELS: [Model; 7] = [
    Model::Noise,
    Model::Stubborn,
    Model::Shortest,
    Model::Longest,
    Model::Unfinished,
    Model::Forbidden,
    Model::NotANumber,
];

/// xorshift64*: a uniform number in 0..1.
fn uniform(state: &mut u64) -> f32 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1 << 24) as f32
}

fn scores(model: Model, tokenizer: &FastTokenizer, state: &mut u64) -> Vec<f32> {
    // A VLM reserves more ids than the vocabulary has.
    let reserved = tokenizer.vocab_size() as u32 + 40;
    (0..reserved)
        .map(|id| {
            let noise = uniform(state);
            let length = tokenizer.token_len(id).map_or(0.0, |length| length as f32);
            match model {
                Model::Noise | Model::Stubborn => 20.0 * noise - 10.0,
                Model::Shortest => noise - length,
                Model::Longest => noise + length,
                Model::Unfinished => {
                    let pending = tokenizer.token_len(id).is_some()
                        && tokenizer.token_coefficients(id).is_none();
                    noise - length + if pending { 1e6 } else { 0.0 }
                }
                Model::Forbidden if tokenizer.token_len(id).is_none() => f32::MAX,
                Model::Forbidden => noise,
                Model::NotANumber => f32::NAN,
            }
        })
        .collect()
}

/// Generates greedily under the mask.
fn generate(model: Model, tokenizer: &FastTokenizer, shape: Shape, seed: u64) -> Vec<u32> {
    let mut state = seed | 1;
    let fixed = scores(model, tokenizer, &mut state);
    let mut grammar = Grammar::new(tokenizer, shape).unwrap();
    let mut ids = Vec::new();
    while !grammar.is_complete() {
        let mut logits = match model {
            Model::Noise => scores(model, tokenizer, &mut state),
            _ => fixed.clone(),
        };
        grammar.mask_logits(&mut logits);
        let open = (0..)
            .zip(&logits)
            .filter(|(_, score)| **score != f32::NEG_INFINITY);
        let best = open.max_by(|a, b| a.1.total_cmp(b.1)).map(|(id, _)| id);
        let id = best.unwrap_or_else(|| panic!("dead end with {} to go", grammar.remaining()));
        let before = grammar.remaining();
        grammar.push(id).unwrap();
        assert_eq!(
            before - grammar.remaining(),
            tokenizer.token_len(id).unwrap()
        );
        ids.push(id);
        // At most four bytes a character, at least one byte a token.
        assert!(ids.len() <= 4 * shape.horizon * shape.dims);
    }
    let mut logits = vec![0.0; tokenizer.vocab_size() + 40];
    grammar.mask_logits(&mut logits);
    assert!(logits.iter().all(|&score| score == f32::NEG_INFINITY));
    ids
}

#[test]
fn every_model_writes_a_chunk_with_every_vocabulary() {
    let shapes = [
        (1, 1),
        (1, 7),
        (5, 1),
        (3, 7),
        (15, 7),
        (16, 6),
        (30, 14),
        (50, 32),
    ];
    let mut longest = 0;
    for (seed, name) in (1..).zip(NAMES) {
        let tokenizer = named(name);
        for (horizon, dims) in shapes {
            // Noise takes a step per id and score; the large shapes show the same without it.
            for model in MODELS.into_iter().skip(usize::from(horizon * dims > 420)) {
                let shape = Shape { horizon, dims };
                let ids = generate(model, tokenizer, shape, seed);
                let chunk = tokenizer.decode(&ids, shape);
                assert!(chunk.is_ok(), "{name} {shape} {model:?}: {chunk:?}");
                longest = longest.max(ids.len());
            }
        }
    }
    // Unfinished characters cost more tokens than there are coefficients.
    assert!(longest > 1600, "{longest}");
}

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_model_writes_a_chunk_of_any_shape(
        name in any_tokenizer(),
        shape in any_shape(),
        model in prop::sample::select(&MODELS),
        seed in any::<u64>(),
    ) {
        let tokenizer = named(name);
        let ids = generate(model, tokenizer, shape, seed);
        let coefficients = tokenizer.coefficients(&ids, shape).unwrap();
        prop_assert_eq!(coefficients.len(), shape.horizon * shape.dims);
    }

    #[test]
    fn every_beginning_of_a_stream_draws_more_of_the_same_chunk(
        name in any_tokenizer(),
        shape in (1..=20usize, 1..=7usize).prop_map(|(horizon, dims)| Shape { horizon, dims }),
        model in prop::sample::select(&MODELS),
        seed in any::<u64>(),
    ) {
        let tokenizer = named(name);
        let ids = generate(model, tokenizer, shape, seed);
        let whole = tokenizer.coefficients(&ids, shape).unwrap();
        let mut known = 0;
        for end in 0..=ids.len() {
            let partial = tokenizer.decode_partial(&ids[..end], shape).unwrap();
            prop_assert!(partial.known >= known, "{} after {known}", partial.known);
            known = partial.known;
            // What is known stays known, the rest counts as zero.
            let mut coefficients = whole[..known].to_vec();
            coefficients.resize(whole.len(), 0);
            prop_assert_eq!(&partial.coefficients, &coefficients);
            let chunk = tokenizer.inverse_dct(&coefficients, shape).unwrap();
            prop_assert_eq!(&partial.chunk, &chunk);
        }
        prop_assert_eq!(known, whole.len());
        let partial = tokenizer.decode_partial(&ids, shape).unwrap();
        prop_assert_eq!(partial.chunk, tokenizer.decode(&ids, shape).unwrap());
    }

    #[test]
    fn the_mask_the_logits_and_each_answer_agree(
        name in any_tokenizer(),
        shape in any_shape(),
        seed in any::<u64>(),
        steps in 0..40usize,
    ) {
        let tokenizer = named(name);
        let stream = generate(Model::Stubborn, tokenizer, shape, seed);
        let mut grammar = Grammar::new(tokenizer, shape).unwrap();
        for &id in stream.iter().take(steps) {
            grammar.push(id).unwrap();
        }
        let mask = grammar.mask();
        let mut logits = vec![1.0; tokenizer.vocab_size() + 3];
        grammar.mask_logits(&mut logits);
        prop_assert_eq!(mask.len(), tokenizer.vocab_size());
        for (id, &score) in (0..).zip(&logits) {
            let allowed = mask.get(id as usize).copied().unwrap_or_default();
            prop_assert_eq!(allowed, grammar.allowed(id));
            prop_assert_eq!(score, if allowed { 1.0 } else { f32::NEG_INFINITY });
        }
        // Fewer logits than ids: those that there are.
        let mut few = vec![1.0; tokenizer.vocab_size() / 2];
        grammar.mask_logits(&mut few);
        prop_assert_eq!(&few[..], &logits[..few.len()]);
    }

    #[test]
    fn the_grammar_allows_exactly_what_can_still_decode(
        name in any_tokenizer(),
        shape in (1..=3usize, 1..=3usize).prop_map(|(horizon, dims)| Shape { horizon, dims }),
        ids in prop::collection::vec(prop_oneof![8 => 0..1100u32, 1 => any::<u32>()], 0..200),
    ) {
        let tokenizer = named(name);
        // Every refused id makes the stream longer than it may be, or leaves a character broken.
        let mut grammar = Grammar::new(tokenizer, shape).unwrap();
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
        name in any_tokenizer(),
        (shape, chunk) in any_shape().prop_flat_map(|shape| {
            (Just(shape), prop::collection::vec(-1.0..1.0f32, shape.horizon * shape.dims))
        }),
    ) {
        let tokenizer = named(name);
        let encoded = tokenizer.encode_nearest(&chunk, shape).unwrap();
        let mut grammar = Grammar::new(tokenizer, shape).unwrap();
        for &id in &encoded.ids {
            grammar.push(id).unwrap();
        }
        prop_assert!(grammar.is_complete());
    }
}
