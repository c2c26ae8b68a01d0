//! A token bucket: a burst, and a rate in the long run. Time is passed in.

use std::time::{Duration, Instant};

/// A token bucket that starts full.
#[derive(Debug)]
pub(crate) struct Quota {
    burst: f64,
    per_sec: f64,
    tokens: f64,
    counted_at: Instant,
}

impl Quota {
    /// A bucket for `burst` tokens that gets back `per_sec`, which is larger than zero.
    pub(crate) fn new(burst: f64, per_sec: f64, now: Instant) -> Self {
        Self {
            burst,
            per_sec,
            tokens: burst,
            counted_at: now,
        }
    }

    /// Takes a token. Returns `false` if there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }

    /// Returns the time from which on there is a token.
    pub(crate) fn next_at(&mut self, now: Instant) -> Instant {
        self.fill(now);
        now + Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / self.per_sec)
    }

    /// True if none of its tokens are taken.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= self.burst
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted_at);
        self.tokens = (self.tokens + passed.as_secs_f64() * self.per_sec).min(self.burst);
        self.counted_at = self.counted_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_at_once_and_then_five_per_second() {
        let start = Instant::now();
        let mut quota = Quota::new(10.0, 5.0, start);
        assert_eq!((0..100).filter(|_| quota.take(start)).count(), 10);
        let next = quota.next_at(start);
        assert_eq!(next, start + Duration::from_millis(200));
        assert!(!quota.take(start + Duration::from_millis(199)));
        // A little later, because sums are rounded.
        assert!(quota.take(next + Duration::from_micros(1)));
        let later = start + Duration::from_secs(3600);
        assert_eq!(quota.next_at(later), later);
        assert_eq!((0..100).filter(|_| quota.take(later)).count(), 10);
    }

    #[test]
    fn a_time_that_is_passed_in_late_refills_nothing_twice() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let mut quota = Quota::new(1.0, 1.0, start);
        assert!(quota.take(later));
        assert!(!quota.take(start) && !quota.take(later));
    }
}
