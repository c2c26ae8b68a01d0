//! Expected latency of the policy, estimated from its last calls.

use std::{collections::VecDeque, time::Duration};

/// Number of latencies in the estimate.
const REMEMBERED: usize = 10;

/// Latencies of the last calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    last: VecDeque<Duration>,
}

impl Latencies {
    /// Adds the latency of a call.
    pub fn add(&mut self, took: Duration) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(took);
    }

    /// Upper estimate for the next call: the second largest of the last ten latencies, so that a single hiccup (a device that
    /// warms up, a laptop that was suspended) does not commit rows for a second. The largest of fewer than three. `None`
    /// before the first call.
    pub fn expected(&self) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.last.iter().copied().collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let hiccups = usize::from(sorted.len() > 2);
        sorted.get(hiccups).copied()
    }
}

/// Rows that a robot with `rate_hz` rows per second begins in this time.
pub fn rows_in(time: Duration, rate_hz: f64) -> usize {
    let rows = time.as_secs_f64() * rate_hz;
    // 100 ms at 30 Hz are three rows in spite of rounding errors.
    (rows - 1e-6).ceil().max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: &[u64]) -> Option<u128> {
        let mut latencies = Latencies::default();
        for took in millis {
            latencies.add(Duration::from_millis(*took));
        }
        latencies.expected().map(|expected| expected.as_millis())
    }

    #[test]
    fn one_hiccup_does_not_count_and_old_latencies_are_forgotten() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[20]), Some(20));
        assert_eq!(of(&[900, 20]), Some(900));
        assert_eq!(of(&[900, 20, 30]), Some(30));
        let mut long = vec![900, 900];
        long.extend([40; 9]);
        assert_eq!(of(&long), Some(40));
    }

    #[test]
    fn a_row_that_has_begun_counts() {
        assert_eq!(rows_in(Duration::ZERO, 30.0), 0);
        assert_eq!(rows_in(Duration::from_millis(1), 30.0), 1);
        assert_eq!(rows_in(Duration::from_millis(100), 30.0), 3);
        assert_eq!(rows_in(Duration::from_millis(150), 30.0), 5);
        assert_eq!(rows_in(Duration::from_millis(200), 30.0), 6);
    }
}
