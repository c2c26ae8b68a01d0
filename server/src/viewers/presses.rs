//! Stop presses of one viewer: what is stopped is stopped at once, and how often presses are answered. Time is handed in.
//!
//! A press that finds its robots stopped changes nothing, yet each robot is told again and the answer lists all of them. A
//! viewer that presses without pause would keep the studio busy with that alone. So the answers have a quota: presses beyond
//! it wait, and the newest of each target is answered for all of them. No press is lost, and the stop itself never waits.

use crate::{data::latches::Change, quota::Quota};
use std::{collections::BTreeMap, time::Instant};

/// Answers at once, and per second in the long run. A page sends a press again four times a second.
const ANSWERS_AT_ONCE: f64 = 10.0;
const ANSWERS_PER_SEC: f64 = 5.0;

/// A press that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Press {
    pub(super) press_id: u64,
    /// What it changed, to wait for; without one, whatever was changed before the answer.
    pub(super) change: Option<Change>,
}

/// Presses without an answer, at most one per robot and one for all.
#[derive(Debug)]
pub(super) struct WaitingPresses {
    quota: Quota,
    all: Option<Press>,
    robots: BTreeMap<String, Press>,
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
    pub(super) fn add(&mut self, robot_id: Option<String>, press: Press) {
        let waiting = match robot_id {
            Some(robot_id) => self.robots.entry(robot_id).or_insert(press),
            None => self.all.get_or_insert(press),
        };
        let changes = waiting.change.zip(press.change);
        *waiting = Press {
            change: changes.map(|(older, newer)| older.max(newer)),
            ..press
        };
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_none() && self.robots.is_empty()
    }

    /// The time at which the waiting ones are to be answered.
    pub(super) fn due(&mut self, now: Instant) -> Instant {
        self.quota.next_at(now)
    }

    /// What is to be answered now, all together; nothing where the quota is used up. `None`: a press for all robots.
    pub(super) fn take(&mut self, now: Instant) -> Vec<(Option<String>, Press)> {
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

    fn press(press_id: u64) -> Press {
        Press {
            press_id,
            change: None,
        }
    }

    #[test]
    fn beyond_the_quota_the_newest_press_of_each_target_is_answered_for_all() {
        let start = Instant::now();
        let mut presses = WaitingPresses::new(start);
        for press_id in 1..=10 {
            presses.add(None, press(press_id));
            assert_eq!(presses.take(start), [(None::<String>, press(press_id))]);
        }
        for press_id in 11..=1000 {
            presses.add(None, press(press_id));
            presses.add(Some("arm".to_owned()), press(10_000 + press_id));
            assert!(presses.take(start).is_empty());
        }
        let due = presses.due(start);
        assert_eq!(due, start + Duration::from_millis(200));
        let both = [(None, press(1000)), (Some("arm".to_owned()), press(11_000))];
        assert_eq!(presses.take(due + Duration::from_micros(1)), both);
        assert!(presses.is_empty());
        // Nothing waits, so nothing is taken from the quota either.
        assert!(presses.take(start + Duration::from_secs(60)).is_empty());
    }
}
