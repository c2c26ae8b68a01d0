//! Stop presses of one viewer: what is stopped is stopped at once, and how often presses are answered. Time is handed in.
//!
//! A press that finds its robots stopped changes nothing, yet each robot is told again and the answer lists all of them. A
//! viewer that presses without pause would keep the studio busy with that alone. So the answers have a quota: presses beyond
//! it wait, and the newest of each target is answered for all of them. No press is lost, and the stop itself never waits.

use crate::quota::Quota;
use std::{collections::BTreeMap, time::Instant};

/// Answers at once, and per second in the long run. A page sends a press again four times a second.
const ANSWERS_AT_ONCE: f64 = 10.0;
const ANSWERS_PER_SEC: f64 = 5.0;

/// Numbers of presses without an answer, at most one per robot and one for all.
#[derive(Debug)]
pub(super) struct WaitingPresses {
    quota: Quota,
    all: Option<u64>,
    robots: BTreeMap<String, u64>,
}

impl WaitingPresses {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            quota: Quota::new(ANSWERS_AT_ONCE, ANSWERS_PER_SEC, now),
            all: None,
            robots: BTreeMap::new(),
        }
    }

    /// A press for this robot, which exists, or for all of them.
    pub(super) fn add(&mut self, robot_id: Option<String>, press_id: u64) {
        match robot_id {
            Some(robot_id) => {
                self.robots.insert(robot_id, press_id);
            }
            None => self.all = Some(press_id),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_none() && self.robots.is_empty()
    }

    /// The time at which the waiting ones are to be answered.
    pub(super) fn due(&mut self, now: Instant) -> Instant {
        self.quota.next_at(now)
    }

    /// What is to be answered now, all together; nothing where the quota is used up. `None`: a press for all robots.
    pub(super) fn take(&mut self, now: Instant) -> Vec<(Option<String>, u64)> {
        if self.is_empty() || !self.quota.take(now) {
            return Vec::new();
        }
        let all = self.all.take().map(|press| (None, press));
        let robots = std::mem::take(&mut self.robots);
        let robots = robots.into_iter().map(|(id, press)| (Some(id), press));
        all.into_iter().chain(robots).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn beyond_the_quota_the_newest_press_of_each_target_is_answered_for_all() {
        let start = Instant::now();
        let mut presses = WaitingPresses::new(start);
        for press_id in 1..=10 {
            presses.add(None, press_id);
            assert_eq!(presses.take(start), [(None::<String>, press_id)]);
        }
        for press_id in 11..=1000 {
            presses.add(None, press_id);
            presses.add(Some("arm".to_owned()), 10_000 + press_id);
            assert!(presses.take(start).is_empty());
        }
        let due = presses.due(start);
        assert_eq!(due, start + Duration::from_millis(200));
        let both = [(None, 1000), (Some("arm".to_owned()), 11_000)];
        assert_eq!(presses.take(due + Duration::from_micros(1)), both);
        assert!(presses.is_empty());
        // Nothing waits, so nothing is taken from the quota either.
        assert!(presses.take(start + Duration::from_secs(60)).is_empty());
    }
}
