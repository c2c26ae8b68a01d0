//! Cost of each precision on the golden checkpoints: printed, and held to bounds wide enough for networks this
//! narrow, whose few weights average little out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{CASES, Golden, error};
use qwen3vl::{PackedSuffix, Precision, Segment, TokenQuery};

/// Of the log-probabilities of all tokens after the prompt, relative to the largest.
fn bound(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-5,
        Precision::F16 => 1e-2,
        Precision::Bf16 => 1e-2,
        Precision::Int8 => 1e-1,
        Precision::Int4 => 1.0,
    }
}

#[test]
fn every_precision_answers_near_the_reference() {
    for case in CASES {
        let golden = Golden::open(case);
        let vocab_rows = golden.floats("log_probs");
        let width = vocab_rows.len() / 4;
        let expected = &vocab_rows[3 * width..];
        for precision in Precision::ALL {
            let model = golden.load(precision);
            let script = golden.script(&model);
            let seen = model
                .network()
                .encode_video(&golden.blocks(&model))
                .unwrap();
            let segments: Vec<Segment<'_>> = script.video(&seen);
            let row = script.question.len() - 1;
            let queries: Vec<TokenQuery> = (0..u32::try_from(width).unwrap())
                .map(|id| TokenQuery { row, id })
                .collect();
            let suffix = PackedSuffix {
                after_segments: segments.len(),
                ids: &script.question,
                queries: &queries,
            };
            let found =
                layers::block_on(model.network().packed_log_probs(&segments, &[suffix])).unwrap();
            let (gap, largest) = error(&found[0], expected);
            let target = golden.number("target");
            let stored_short = model.info().dtype == "BF16";
            println!(
                "{case:14} {precision:5} log-probs off by {gap:.2e} of {largest:.1}, ` True` by {:+.2e}, {} bytes",
                found[0][target] - expected[target],
                model.info().weight_bytes
            );
            assert!(
                gap / largest < bound(precision),
                "{case}, {precision}: {gap}"
            );
            assert_eq!(model.info().precision, precision);
            // Loading weights in the bits they are stored in loses nothing; f16 holds what these have in bf16.
            let exact = precision == Precision::F32
                || (stored_short && matches!(precision, Precision::Bf16 | Precision::F16));
            assert!(exact || gap / largest > 1e-7, "{precision} changed nothing");
        }
    }
}
