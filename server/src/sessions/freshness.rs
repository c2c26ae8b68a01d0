//! How much longer than usual an observation was on its way.
//!
//! The clocks of robot and studio are not compared, but the difference between capture and arrival is smallest for the
//! observation that travelled fastest; whatever a later one takes beyond that, it spent in a network or a queue. The
//! smallest difference rises slowly, so that clocks that drift apart are no delay. A plain value; time is handed in.

use std::time::{Duration, Instant};

/// A step back of the robot's clock up to this is disorder, not another clock [microseconds].
const JITTER_MICROS: u64 = 1_000_000;

/// Clocks of computers drift apart by less than this: half a millisecond a second.
const DRIFT: f64 = 500e-6;
/// Observations, and a span of time, after which it is known whether a robot's clock keeps time at all.
const JUDGED_AFTER: u32 = 2;
const JUDGED_OVER: Duration = Duration::from_millis(50);
/// A clock that keeps time goes this many times as fast as ours; links hiccup, so not too exactly.
const KEEPS_TIME: std::ops::RangeInclusive<f64> = 0.6..=1.6;

/// The smallest difference so far.
#[derive(Debug, Clone, Copy)]
struct Quickest {
    /// Arrival minus capture in microseconds, each on its own clock.
    offset_micros: f64,
    at: Instant,
}

/// One observation.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    captured_at_micros: u64,
    at: Instant,
}

/// The observations of one connection.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    first: Option<Arrival>,
    last: Option<Arrival>,
    quickest: Option<Quickest>,
    count: u32,
    /// The robot's clock was seen to keep time. What numbers its observations, or counts something else, says nothing
    /// about delays.
    keeps_time: bool,
}

impl Freshness {
    /// An observation that was captured at this time of the robot's clock arrives now. How much longer it took than the
    /// quickest one; nothing while that cannot be told.
    pub(crate) fn arrived(&mut self, captured_at_micros: u64, now: Instant) -> Duration {
        let arrival = Arrival {
            captured_at_micros,
            at: now,
        };
        let ran_back = self.last.is_some_and(|last| {
            captured_at_micros.saturating_add(JITTER_MICROS) < last.captured_at_micros
        });
        if ran_back {
            // The clock was set, or the robot restarted: another clock.
            *self = Self::default();
        }
        let first = *self.first.get_or_insert(arrival);
        let offset_micros = offset(first, arrival);
        let floor = match self.quickest {
            Some(quickest) => {
                let since = now.saturating_duration_since(quickest.at);
                offset_micros.min(quickest.offset_micros + since.as_secs_f64() * 1e6 * DRIFT)
            }
            None => offset_micros,
        };
        self.quickest = Some(Quickest {
            offset_micros: floor,
            at: now,
        });
        // Judged by the observations before this one, or a late one would speak for itself.
        if !self.keeps_time && self.count >= JUDGED_AFTER {
            self.keeps_time = self.last.is_some_and(|last| keeps_time(first, last));
        }
        self.last = Some(arrival);
        self.count = self.count.saturating_add(1);
        if self.keeps_time {
            Duration::from_secs_f64((offset_micros - floor).clamp(0.0, 1e12) * 1e-6)
        } else {
            Duration::ZERO
        }
    }
}

fn since_micros(first: Arrival, later: Arrival) -> (f64, f64) {
    let theirs = later
        .captured_at_micros
        .saturating_sub(first.captured_at_micros);
    let ours = later.at.saturating_duration_since(first.at);
    (theirs as f64, ours.as_secs_f64() * 1e6)
}

fn offset(first: Arrival, later: Arrival) -> f64 {
    let (theirs, ours) = since_micros(first, later);
    ours - theirs
}

fn keeps_time(first: Arrival, last: Arrival) -> bool {
    let (theirs, ours) = since_micros(first, last);
    ours >= JUDGED_OVER.as_secs_f64() * 1e6 && KEEPS_TIME.contains(&(theirs / ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Link {
        freshness: Freshness,
        start: Instant,
    }

    impl Link {
        fn new() -> Self {
            Self {
                freshness: Freshness::default(),
                start: Instant::now(),
            }
        }

        /// Captured and arrived at these times, in milliseconds of either clock; what it took beyond the quickest.
        fn arrives(&mut self, captured: u64, arrived: u64) -> u128 {
            let now = self.start + Duration::from_millis(arrived);
            self.freshness.arrived(captured * 1000, now).as_millis()
        }

        /// Ten a second of a clock that is 7 s ahead, 20 ms on their way.
        fn settled(until: u64) -> Self {
            let mut link = Self::new();
            for at in (0..until).step_by(100) {
                assert_eq!(link.arrives(7000 + at, at + 20), 0);
            }
            link
        }
    }

    #[test]
    fn what_a_clogged_link_held_back_is_as_old_as_it_is() {
        let mut link = Link::settled(1000);
        assert_eq!(
            link.arrives(8000, 2820),
            1799,
            "and a fifth of a millisecond of drift"
        );
        assert!(link.arrives(8100, 2821) >= 1699);
        assert!(
            link.arrives(9800, 2822) <= 2,
            "the newest of the jam is fresh"
        );
        assert_eq!(link.arrives(9900, 2920), 0);
    }

    #[test]
    fn the_third_observation_can_be_late_already() {
        let mut link = Link::new();
        assert_eq!(link.arrives(0, 0), 0);
        assert_eq!(link.arrives(100, 100), 0);
        assert!(link.arrives(200, 2000) >= 1799);
    }

    #[test]
    fn a_first_observation_that_was_slow_is_forgotten_with_the_first_quick_one() {
        let mut link = Link::new();
        link.arrives(0, 500);
        for at in (100..1000).step_by(100) {
            assert_eq!(link.arrives(at, 500 + at), 0);
        }
        // The jam is over: everything before was 480 ms late, and now it shows.
        assert_eq!(link.arrives(1000, 1020), 0);
        assert!(link.arrives(1100, 1600) >= 479);
    }

    #[test]
    fn clocks_that_drift_apart_are_no_delay() {
        for (ours, theirs) in [(1_000_000, 999_700), (999_700, 1_000_000)] {
            let mut link = Link::new();
            for n in 0..36_000_u64 {
                let late = link.arrives(n * 100 * theirs / 1_000_000, n * 100 * ours / 1_000_000);
                assert!(late <= 1, "{late} ms after {n}");
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_starts_anew() {
        let mut link = Link::settled(1000);
        assert_eq!(link.arrives(3, 1100), 0, "back: the robot restarted");
        assert_eq!(link.arrives(103, 1200), 0);
        assert_eq!(link.arrives(203, 1300), 0);
        assert!(link.arrives(303, 3000) >= 1590);
        let mut link = Link::settled(1000);
        assert_eq!(link.arrives(50_000, 1100), 0, "ahead");
        assert_eq!(link.arrives(50_100, 1200), 0);
        assert!(link.arrives(50_200, 3000) >= 1690);
        // One wild value and back again.
        let mut link = Link::settled(1000);
        link.arrives(1 << 50, 1100);
        assert_eq!(link.arrives(8200, 1220), 0);
    }

    #[test]
    fn numbers_that_are_no_clock_say_nothing() {
        let mut link = Link::new();
        for n in 0..100 {
            assert_eq!(
                link.arrives(n, 50 * n),
                0,
                "one thousandth of a second a picture"
            );
        }
        let mut link = Link::new();
        for n in 0..100 {
            assert_eq!(link.arrives(0, 50 * n), 0, "no clock at all");
        }
    }

    #[test]
    fn the_ends_of_the_range_are_no_trouble() {
        let mut freshness = Freshness::default();
        let now = Instant::now();
        for captured in [0, u64::MAX, u64::MAX - 1, 1 << 63, 0, u64::MAX] {
            freshness.arrived(captured, now);
            freshness.arrived(captured, now + Duration::from_secs(1));
        }
    }
}
