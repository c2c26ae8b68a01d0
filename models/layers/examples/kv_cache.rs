//! Cost of one more token in the cache, beside joining tensors anew each time.
//!
//! ```text
//! cargo run -p layers --example kv_cache -- (tokens) [more]
//! ```
//! One layer of MolmoAct2's size (8 heads of 128): a prompt of `tokens` tokens, then `more` one by one. Prints the
//! mean microseconds per token and layer of both ways, which take turns.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use burn_tensor::Tensor;
use layers::KvCache;

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|n| n.parse().ok());
    let tokens: usize = arguments.next().unwrap_or(700);
    let more: usize = arguments.next().unwrap_or(200);
    let device = layers::device::cpu();
    let rows = |count: usize| Tensor::<3>::ones([8, count, 128], &device);
    let one = rows(1);
    let mut cache = KvCache::new();
    cache.extend(0, rows(tokens), rows(tokens));
    let mut joined = (rows(tokens), rows(tokens));
    let (mut in_place, mut anew) = (Vec::new(), Vec::new());
    for _ in 0..more {
        let started = Instant::now();
        std::hint::black_box(cache.extend(0, one.clone(), one.clone()));
        in_place.push(started.elapsed().as_micros());
        let started = Instant::now();
        let (key, value) = joined;
        joined = (
            Tensor::cat(vec![key, one.clone()], 1),
            Tensor::cat(vec![value, one.clone()], 1),
        );
        anew.push(started.elapsed().as_micros());
    }
    assert_eq!(cache.len(), tokens + more);
    // The mean, because growing is rare and dear.
    let mean = |micros: &[u128]| micros.iter().sum::<u128>() as f64 / micros.len().max(1) as f64;
    println!(
        "{tokens} tokens and {more} more: {:.1} us in place, {:.1} us joined anew",
        mean(&in_place),
        mean(&anew)
    );
}
