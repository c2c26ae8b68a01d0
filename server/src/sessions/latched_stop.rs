//! The stop that holds a robot, and the releases that lift it.
//!
//! Several people may stop one robot. A release that was given before a later stop may arrive after it, and must not lift a
//! stop that its sender had not seen. Therefore each press has a number. Viewers are shown it, and a release names it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// A latched stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LatchedStop {
    /// Number of its newest press.
    pub(crate) number: u64,
    /// Time of its newest press.
    pub(crate) at: Instant,
}

impl LatchedStop {
    /// True if a release lifts this stop. `named` is the stop number in the release. `heard_at` is the time of the newest
    /// heartbeat that its sender had received. A release with neither comes from a simple client and lifts any stop.
    pub(crate) fn is_lifted_by(self, named: Option<u64>, heard_at: Option<Instant>) -> bool {
        match named {
            Some(number) => number == self.number,
            None => heard_at.is_none_or(|heard_at| heard_at >= self.at),
        }
    }
}

/// Outcome of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Released {
    /// The stop is lifted; the robot may be instructed again.
    Now,
    /// The named stop was lifted before; nothing changes.
    Before,
    /// The robot was stopped again since, and that stop holds.
    StoppedAgain,
}

/// The source of stop numbers of one studio.
#[derive(Debug)]
pub(crate) struct StopNumbers(AtomicU64);

impl Default for StopNumbers {
    /// Starts at the microseconds since 1970: numbers of earlier runs of the studio do not repeat, and all numbers are exact
    /// as 64-bit floats, which are the only numbers of some languages.
    fn default() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let micros = now.map_or(0, |since| since.as_micros());
        Self(AtomicU64::new(u64::try_from(micros).unwrap_or(0)))
    }
}

impl StopNumbers {
    /// Returns a number larger than all before.
    pub(crate) fn draw(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_release_lifts_the_stop_that_it_names_and_no_later_one() {
        let stop = LatchedStop {
            number: 7,
            at: Instant::now(),
        };
        let later = Some(stop.at + Duration::from_secs(1));
        assert!(stop.is_lifted_by(Some(7), None));
        // A number has precedence over a heartbeat: the status may still be on its way behind the heartbeat.
        assert!(!stop.is_lifted_by(Some(6), later));
        assert!(!stop.is_lifted_by(Some(8), later));
    }

    #[test]
    fn a_release_without_a_number_lifts_a_stop_that_its_sender_can_have_seen() {
        let at = Instant::now() + Duration::from_secs(10);
        let stop = LatchedStop { number: 7, at };
        let second = Duration::from_secs(1);
        assert!(stop.is_lifted_by(None, Some(at)));
        assert!(stop.is_lifted_by(None, Some(at + second)));
        assert!(!stop.is_lifted_by(None, at.checked_sub(second)));
        assert!(stop.is_lifted_by(None, None), "a client that sends neither");
    }

    #[test]
    fn numbers_grow_and_are_exact_as_floats() {
        let numbers = StopNumbers::default();
        let (first, second) = (numbers.draw(), numbers.draw());
        assert!(first < second && second < 1 << 53);
        assert!(
            first > 1_500_000_000_000_000,
            "microseconds of this century"
        );
    }
}
