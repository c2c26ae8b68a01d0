//! Stop presses of one viewer: those that were carried out, and those that wait for their answer. Stops are carried out at
//! once; only answers wait. Time is a parameter.
//!
//! A client repeats a press until it is answered, and it must stop only once. Clients choose the numbers of their presses, so
//! they are compared within one connection only: the number of another viewer is another press.
//!
//! A press of robots that are already stopped changes nothing, but each robot is sent the stop again and the answer lists
//! all of them. A viewer that presses continuously would occupy the studio with that alone. Answers therefore have a quota:
//! presses beyond it wait, and one answer to the newest press of each target covers all of them. No press is lost.

use crate::quota::Quota;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

/// Presses remembered. A repeated press is seconds old at most.
const REMEMBERED: usize = 1024;

/// Burst of answers.
const ANSWERS_AT_ONCE: f64 = 10.0;
/// Sustained rate of answers. A page repeats a press four times per second.
const ANSWERS_PER_SEC: f64 = 5.0;

/// Numbers of the last presses that were carried out.
#[derive(Debug, Default)]
pub(super) struct CarriedOut {
    newest_last: VecDeque<u64>,
}

impl CarriedOut {
    /// Adds a press. Returns `false` if it was there already; presses without a number (0) never are.
    pub(super) fn add(&mut self, press_id: u64) -> bool {
        if press_id == 0 {
            return true;
        }
        if self.newest_last.contains(&press_id) {
            return false;
        }
        if self.newest_last.len() >= REMEMBERED {
            self.newest_last.pop_front();
        }
        self.newest_last.push_back(press_id);
        true
    }
}

/// Presses without an answer, at most one per robot and one for all robots.
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

    /// Adds a press of one robot, which must exist, or of all robots.
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

    /// Time at which the quota allows the next answer.
    pub(super) fn due(&mut self, now: Instant) -> Instant {
        self.quota.next_at(now)
    }

    /// Takes the presses to answer now: none if the quota is used up, otherwise all that wait, as robot id (`None` for
    /// all robots) and press id.
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
    fn a_press_that_comes_again_is_not_new() {
        let mut presses = CarriedOut::default();
        assert!(presses.add(7) && !presses.add(7) && presses.add(8));
        assert!(presses.add(0) && presses.add(0));
        for press_id in 100..100 + REMEMBERED as u64 {
            assert!(presses.add(press_id));
        }
        assert_eq!(presses.newest_last.len(), REMEMBERED);
        assert!(presses.add(7), "as many others came since");
    }

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
        // Nothing waits, so nothing is taken from the quota.
        assert!(presses.take(start + Duration::from_secs(60)).is_empty());
    }
}
