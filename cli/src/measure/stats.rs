//! Medians and 95th percentiles.

use serde::Serialize;
use std::time::{Duration, Instant};

/// A distribution of times in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Millis {
    /// Median.
    pub(crate) median: f64,
    /// 95th percentile.
    pub(crate) p95: f64,
    /// Number of measurements.
    pub(crate) n: usize,
}

impl Millis {
    /// The distribution of measurements in milliseconds.
    pub(crate) fn of(mut millis: Vec<f64>) -> Self {
        millis.sort_by(f64::total_cmp);
        Self {
            median: quantile(&millis, 0.5),
            p95: quantile(&millis, 0.95),
            n: millis.len(),
        }
    }
}

/// Nearest-rank quantile; 0 without measurements.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// Milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Times `n` runs after one warm-up run.
pub(crate) fn time<T>(n: usize, mut work: impl FnMut() -> T) -> Millis {
    std::hint::black_box(work());
    let measured = (0..n).map(|_| {
        let started = Instant::now();
        std::hint::black_box(work());
        millis(started.elapsed())
    });
    Millis::of(measured.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_p95_are_nearest_ranks() {
        let of = Millis::of((1..=100).rev().map(f64::from).collect());
        assert_eq!((of.median, of.p95, of.n), (50.0, 95.0, 100));
        assert_eq!(Millis::of(vec![7.0]).p95, 7.0);
        assert_eq!(Millis::of(Vec::new()), Millis::default());
    }
}
