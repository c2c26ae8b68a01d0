//! Timing of the action codec in this tab.
//!
//! A browser's clock is coarse on purpose, so a round repeats the call until it is long enough to measure. Rounds are
//! short, so that on a busy machine most of them are not interrupted, and the median is reported. Chunks are smooth
//! motions, like a robot's.

use openfast::{FastTokenizer, Shape};
use protocol::worker::{CodecRun, CodecTiming};

use crate::clock::now_millis;

/// Rounds of each measurement.
const ROUNDS: usize = 41;
/// A round lasts at least this long: twenty ticks of the coarsest clock.
const ROUND_MILLIS: f64 = 2.0;
/// Attempts whose fastest determines the length of a round; a single one may have been interrupted.
const TRIES: usize = 4;
/// Upper bound of the calls of a round, in case the clock stands still.
const MAX_CALLS: u32 = 1 << 20;
/// Largest batch [chunks].
const MAX_BATCH: u32 = 4096;

/// Times encoding and decoding `run.batch` chunks at once.
///
/// # Errors
/// A message when the tokenizer cannot encode or decode chunks of that shape.
pub fn time_codec(run: CodecRun, tokenizer: &FastTokenizer) -> Result<CodecTiming, String> {
    let CodecRun { rows, dims, batch } = run;
    if !(1..=MAX_BATCH).contains(&batch) {
        return Err(format!("a batch has 1 to {MAX_BATCH} chunks, not {batch}"));
    }
    let shape = Shape {
        horizon: rows as usize,
        dims: dims as usize,
    };
    let chunks = motions(shape, batch as usize);
    let with_shape = |error: &dyn std::fmt::Display| format!("{rows}×{dims}: {error}");
    let values = shape.values().unwrap_or(1);
    // Decoding needs valid streams, so the chunks are encoded with the nearest coefficients of the vocabulary.
    let streams = chunks
        .chunks_exact(values)
        .map(|chunk| tokenizer.encode_nearest(chunk, shape).map(|e| e.ids))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| with_shape(&e))?;
    let tokens: usize = streams.iter().map(Vec::len).sum();
    let encode_millis = median_millis(|| {
        tokenizer
            .encode_batch(std::hint::black_box(&chunks), shape)
            .map(|encoded| encoded.len())
            .map_err(|e| with_shape(&e))
    })?;
    let decode_millis = median_millis(|| {
        tokenizer
            .decode_batch(std::hint::black_box(&streams), shape)
            .map(|decoded| decoded.len())
            .map_err(|e| with_shape(&e))
    })?;
    let per_chunk = 1e3 / f64::from(batch);
    Ok(CodecTiming {
        run,
        encode_micros: encode_millis * per_chunk,
        decode_micros: decode_millis * per_chunk,
        rounds: ROUNDS as u32,
        tokens: tokens as f64 / f64::from(batch),
    })
}

/// Median time of one call over all rounds. Finding the number of calls per round also warms up. A measured round reads
/// the clock only twice, because that costs more than a call.
fn median_millis(mut call: impl FnMut() -> Result<usize, String>) -> Result<f64, String> {
    let mut round = |calls: u32| -> Result<f64, String> {
        let started = now_millis();
        for _ in 0..calls {
            std::hint::black_box(call()?);
        }
        Ok(now_millis() - started)
    };
    let mut calls = 1;
    loop {
        let mut quickest = f64::INFINITY;
        for _ in 0..TRIES {
            quickest = quickest.min(round(calls)?);
        }
        if quickest >= ROUND_MILLIS || calls >= MAX_CALLS {
            break;
        }
        calls *= 2;
    }
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rounds.push(round(calls)? / f64::from(calls));
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds.get(ROUNDS / 2).copied().unwrap_or_default())
}

/// Smooth motions from one pose to another with a little sway, `[batch, rows, dims]`, normalized and deterministic.
/// The transform makes the coefficients of a long chunk larger, so long chunks move less: a tokenizer that was fitted
/// to short chunks has no larger coefficients.
fn motions(shape: Shape, batch: usize) -> Vec<f32> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    // SplitMix64, to a number in -1..1.
    let mut random = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 40) as f32) / ((1 << 23) as f32) - 1.0
    };
    let size = (16.0 / shape.horizon.max(16) as f32).sqrt();
    let mut chunks = Vec::with_capacity(batch * shape.horizon * shape.dims);
    for _ in 0..batch {
        let joints: Vec<[f32; 4]> = (0..shape.dims)
            .map(|_| {
                [
                    0.6 * random(),
                    0.25 * random(),
                    0.05 * random(),
                    3.0 * random(),
                ]
            })
            .collect();
        for step in 0..shape.horizon {
            let at = step as f32 / shape.horizon.max(1) as f32;
            let blend = at * at * (3.0 - 2.0 * at);
            chunks.extend(joints.iter().map(|[from, way, sway, phase]| {
                size * (from + way * blend + sway * (9.0 * at + phase).sin())
            }));
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn motions_are_smooth_and_always_the_same() {
        let shape = Shape {
            horizon: 16,
            dims: 6,
        };
        let chunks = motions(shape, 3);
        assert_eq!(chunks.len(), 3 * 96);
        assert_eq!(chunks, motions(shape, 3));
        assert!(chunks.iter().all(|value| value.abs() <= 1.0));
        let jumps = chunks
            .iter()
            .zip(chunks.iter().skip(6))
            .take(90)
            .map(|(a, b)| (a - b).abs());
        assert!(jumps.fold(0.0, f32::max) < 0.2);
    }

    #[test]
    fn a_timing_is_per_chunk_and_invalid_runs_are_refused() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/goldens/molmoact2/two_cameras/checkpoint/openfast"
        );
        let tokenizer = FastTokenizer::from_dir(folder.as_ref()).unwrap();
        let run = CodecRun {
            rows: 10,
            dims: 6,
            batch: 4,
        };
        let timing = time_codec(run, &tokenizer).unwrap();
        assert!(timing.encode_micros > 0.0 && timing.encode_micros < 1e5);
        assert!(timing.decode_micros > 0.0 && timing.decode_micros < 1e5);
        assert!(timing.tokens > 1.0);
        let none = time_codec(CodecRun { batch: 0, ..run }, &tokenizer).unwrap_err();
        assert!(none.contains("1 to 4096"), "{none}");
        let flat = time_codec(CodecRun { rows: 0, ..run }, &tokenizer).unwrap_err();
        assert!(flat.contains("0×6"), "{flat}");
    }
}
