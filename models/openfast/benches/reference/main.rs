//! How fast chunks are encoded and decoded, and how much faster than the reference.
//!
//! ```text
//! cargo bench -p openfast --profile dev --features bench
//! POLICY_STUDIO_PYTHON=.../bin/python cargo bench -p openfast --profile dev --features bench
//! ```
//!
//! The second form names a Python that has lerobot 0.6.1. It first runs the reference and this crate
//! in turns on the same chunks, checks that both give the same ids and values, and prints a table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod chunks;
mod comparison;
mod processor_time;

use std::hint::black_box;
use std::time::Duration;

use chunks::{SHAPES, Sample};
use criterion::{BenchmarkId, Criterion, Throughput};
use openfast::{Grammar, Shape};
use processor_time::ProcessorTime;

const BATCHES: [usize; 2] = [1, 256];

fn encode_and_decode(criterion: &mut Criterion<ProcessorTime>) {
    let tokenizer = chunks::tokenizer();
    for shape in SHAPES {
        let sample = Sample::new(&tokenizer, shape, 256);
        for batch in BATCHES {
            let chunks = sample.first(batch);
            let streams = &sample.streams[..batch];
            let mut group = criterion.benchmark_group("encode");
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::new(shape.to_string(), batch), |bencher| {
                bencher.iter(|| tokenizer.encode_batch(black_box(chunks), shape).unwrap());
            });
            group.finish();
            let mut group = criterion.benchmark_group("decode");
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::new(shape.to_string(), batch), |bencher| {
                bencher.iter(|| tokenizer.decode_batch(black_box(streams), shape).unwrap());
            });
            group.finish();
        }
    }
}

/// Time per 16 chunks as they grow in both directions.
fn growth(criterion: &mut Criterion<ProcessorTime>) {
    let tokenizer = chunks::tokenizer();
    for (horizon, dims) in [8, 16, 32, 64, 128, 256]
        .map(|horizon| (horizon, 8))
        .into_iter()
        .chain([2, 4, 16, 32, 64].map(|dims| (32, dims)))
    {
        let shape = Shape { horizon, dims };
        let sample = Sample::new(&tokenizer, shape, 16);
        let mut group = criterion.benchmark_group("growth");
        group.throughput(Throughput::Elements((16 * horizon * dims) as u64));
        group.bench_function(BenchmarkId::new("encode", shape), |bencher| {
            bencher.iter(|| {
                tokenizer
                    .encode_batch(black_box(&sample.values), shape)
                    .unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("decode", shape), |bencher| {
            bencher.iter(|| {
                tokenizer
                    .decode_batch(black_box(&sample.streams), shape)
                    .unwrap()
            });
        });
        group.finish();
    }
}

/// What the grammar adds to one step of generation.
fn grammar(criterion: &mut Criterion<ProcessorTime>) {
    let tokenizer = chunks::tokenizer();
    let shape = Shape {
        horizon: 30,
        dims: 14,
    };
    let sample = Sample::new(&tokenizer, shape, 1);
    let stream = &sample.streams[0];
    let mut group = criterion.benchmark_group("grammar");
    group.bench_function(BenchmarkId::new("new", shape), |bencher| {
        bencher.iter(|| Grammar::new(black_box(&tokenizer), shape).unwrap());
    });
    let mut middle = Grammar::new(&tokenizer, shape).unwrap();
    for &id in &stream[..stream.len() / 2] {
        middle.push(id).unwrap();
    }
    let mut logits = vec![0.0f32; tokenizer.vocab_size()];
    group.bench_function(BenchmarkId::new("mask_logits", logits.len()), |bencher| {
        bencher.iter(|| middle.mask_logits(black_box(&mut logits)));
    });
    let start = Grammar::new(&tokenizer, shape).unwrap();
    group.throughput(Throughput::Elements(stream.len() as u64));
    group.bench_function("mask_logits and push, whole chunk", |bencher| {
        bencher.iter(|| {
            let mut grammar = start.clone();
            for &id in stream {
                grammar.mask_logits(black_box(&mut logits));
                grammar.push(id).unwrap();
            }
            assert!(grammar.is_complete());
        });
    });
    group.finish();
}

fn main() {
    if let Some(python) = std::env::var_os("POLICY_STUDIO_PYTHON") {
        comparison::run(&python);
    }
    let mut criterion = Criterion::default()
        .with_measurement(ProcessorTime)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    encode_and_decode(&mut criterion);
    growth(&mut criterion);
    grammar(&mut criterion);
    criterion.final_summary();
}
