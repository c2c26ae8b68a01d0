//! The extra delay of an observation: its time on the way beyond that of the fastest one.
//!
//! The clocks of robot and studio are not synchronized. The difference between capture and arrival is smallest for the
//! observation that travelled fastest; anything beyond that was spent in a network or a queue. The smallest difference
//! rises slowly, so that clock drift does not count as delay. A plain value; time is passed in.

use std::time::{Duration, Instant};

/// Largest step back of the robot's clock that is reordering rather than a new clock [microseconds].
const JITTER_MICROS: u64 = 1_000_000;

/// Largest drift between two computer clocks: half a millisecond per second.
const DRIFT: f64 = 500e-6;
/// Observations after which a robot's clock is checked for keeping time.
const CHECKED_AFTER: u32 = 2;
/// Shortest time over which it is checked.
const CHECKED_OVER: Duration = Duration::from_millis(50);
/// Speed of a clock that keeps time, relative to the studio's. The range is wide because links have hiccups.
const KEEPS_TIME: std::ops::RangeInclusive<f64> = 0.6..=1.6;

/// The smallest difference so far.
#[derive(Debug, Clone, Copy)]
struct Fastest {
    /// Arrival minus capture in microseconds, each on its own clock.
    offset_micros: f64,
    at: Instant,
}

/// Capture and arrival of one observation.
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
    fastest: Option<Fastest>,
    count: u32,
    /// True once the robot's clock was seen to keep time. A counter instead of a clock cannot measure delays.
    keeps_time: bool,
}

impl Freshness {
    /// Records an observation that was captured at this time of the robot's clock and arrives now. Returns its extra delay,
    /// zero while that is unknown.
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
        let floor = match self.fastest {
            Some(fastest) => {
                let since = now.saturating_duration_since(fastest.at);
                offset_micros.min(fastest.offset_micros + since.as_secs_f64() * 1e6 * DRIFT)
            }
            None => offset_micros,
        };
        self.fastest = Some(Fastest {
            offset_micros: floor,
            at: now,
        });
        // Checked on the observations before this one: a late one would make its own clock look slow.
        if !self.keeps_time && self.count >= CHECKED_AFTER {
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

/// Time from `first` to `later` in microseconds, on the clocks of the robot and of the studio.
fn since_micros(first: Arrival, later: Arrival) -> (f64, f64) {
    let robot_micros = later
        .captured_at_micros
        .saturating_sub(first.captured_at_micros);
    let studio_time = later.at.saturating_duration_since(first.at);
    (robot_micros as f64, studio_time.as_secs_f64() * 1e6)
}

fn offset(first: Arrival, later: Arrival) -> f64 {
    let (robot, studio) = since_micros(first, later);
    studio - robot
}

fn keeps_time(first: Arrival, last: Arrival) -> bool {
    let (robot, studio) = since_micros(first, last);
    studio >= CHECKED_OVER.as_secs_f64() * 1e6 && KEEPS_TIME.contains(&(robot / studio))
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

        /// Extra delay in milliseconds of an observation with these times of capture and arrival, in milliseconds of either
        /// clock.
        fn arrives(&mut self, captured: u64, arrived: u64) -> u128 {
            let now = self.start + Duration::from_millis(arrived);
            self.freshness.arrived(captured * 1000, now).as_millis()
        }

        /// A link with ten observations per second, a robot clock 7 s ahead, and 20 ms of travel.
        fn settled(until: u64) -> Self {
            let mut link = Self::new();
            for at in (0..until).step_by(100) {
                assert_eq!(link.arrives(7000 + at, at + 20), 0);
            }
            link
        }
    }

    #[test]
    fn the_delay_of_a_clogged_link_is_counted() {
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
    fn a_slow_first_observation_is_forgotten_with_the_first_fast_one() {
        let mut link = Link::new();
        link.arrives(0, 500);
        for at in (100..1000).step_by(100) {
            assert_eq!(link.arrives(at, 500 + at), 0);
        }
        // The jam is over: everything before was 480 ms late, which is visible only now.
        assert_eq!(link.arrives(1000, 1020), 0);
        assert!(link.arrives(1100, 1600) >= 479);
    }

    #[test]
    fn clocks_that_drift_apart_are_no_delay() {
        for (studio, robot) in [(1_000_000, 999_700), (999_700, 1_000_000)] {
            let mut link = Link::new();
            for n in 0..36_000_u64 {
                let late = link.arrives(n * 100 * robot / 1_000_000, n * 100 * studio / 1_000_000);
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
    fn counters_that_are_no_clock_give_no_delay() {
        let mut link = Link::new();
        for n in 0..100 {
            assert_eq!(
                link.arrives(n, 50 * n),
                0,
                "one thousandth of a second per image"
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
