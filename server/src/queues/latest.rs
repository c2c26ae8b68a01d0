//! What waits for the inference thread: at most one job per robot, served in turn, several at once.
//!
//! A newer job of the same robot replaces the one that waits, in place, so a robot that sends often neither
//! grows the queue nor overtakes the others. The bound is the number of connected robots.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Fair, newest-wins, one slot per key.
#[derive(Debug)]
pub(crate) struct LatestQueue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<(u64, T)>,
    closed: bool,
    nudged: bool,
}

impl<T> Default for LatestQueue<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
                nudged: false,
            }),
            filled: Condvar::new(),
        }
    }
}

impl<T> LatestQueue<T> {
    /// Puts a job at the end, or in the place of the one that waits under the same key. Never waits.
    /// Returns whether an older one was replaced.
    pub(crate) fn put(&self, key: u64, job: T) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let replaced = match state.waiting.iter_mut().find(|(other, _)| *other == key) {
            Some((_, older)) => {
                *older = job;
                true
            }
            None => {
                state.waiting.push_back((key, job));
                false
            }
        };
        drop(state);
        self.filled.notify_one();
        replaced
    }

    /// Waits until there is a job, then takes what waits: at most `most` jobs (at least one), whose turn it is
    /// first. Never waits for more to come. Nothing at all after a [`nudge`](Self::nudge); `None` once closed.
    pub(crate) fn take(&self, most: usize) -> Option<Vec<T>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            let nudged = std::mem::take(&mut state.nudged);
            if nudged || !state.waiting.is_empty() {
                let count = state.waiting.len().min(most.max(1));
                return Some(state.waiting.drain(..count).map(|(_, job)| job).collect());
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets [`take`](Self::take) return once, even with nothing.
    pub(crate) fn nudge(&self) {
        self.lock().nudged = true;
        self.filled.notify_one();
    }

    /// Drops what waits under a key; whether something did.
    pub(crate) fn forget(&self, key: u64) -> bool {
        let mut state = self.lock();
        let Some(at) = state.waiting.iter().position(|(other, _)| *other == key) else {
            return false;
        };
        let forgotten = state.waiting.remove(at);
        drop(state);
        forgotten.is_some()
    }

    /// Drops what waits and lets [`take`](Self::take) return.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_job_of_a_robot_replaces_the_one_that_waits() {
        let queue = LatestQueue::default();
        assert!(!queue.put(1, "old"));
        assert!(queue.put(1, "new"));
        assert_eq!(queue.take(1), Some(vec!["new"]));
    }

    #[test]
    fn robots_take_turns_however_often_one_of_them_sends() {
        let queue = LatestQueue::default();
        queue.put(1, "a1");
        queue.put(2, "b1");
        for job in ["a2", "a3", "a4"] {
            queue.put(1, job);
        }
        assert_eq!(queue.take(1), Some(vec!["a4"]));
        queue.put(1, "a5");
        assert_eq!(queue.take(0), Some(vec!["b1"]), "none would be no turn");
        assert_eq!(queue.take(1), Some(vec!["a5"]));
    }

    #[test]
    fn what_waits_is_taken_together_the_oldest_first() {
        let queue = LatestQueue::default();
        for robot in 1..=5 {
            queue.put(robot, robot);
        }
        // A newer picture of the first does not send it to the end.
        queue.put(1, 10);
        assert_eq!(queue.take(3), Some(vec![10, 2, 3]));
        queue.put(1, 11);
        assert_eq!(queue.take(3), Some(vec![4, 5, 11]));
    }

    #[test]
    fn what_is_forgotten_is_not_served() {
        let queue = LatestQueue::default();
        queue.put(1, "a");
        queue.put(2, "b");
        assert!(queue.forget(1) && !queue.forget(1));
        assert_eq!(queue.take(4), Some(vec!["b"]));
        queue.nudge();
        assert_eq!(queue.take(4), Some(Vec::new()));
    }

    #[test]
    fn closing_wakes_the_one_who_waits() {
        let queue = std::sync::Arc::new(LatestQueue::<u8>::default());
        let waiting = std::thread::spawn({
            let queue = queue.clone();
            move || queue.take(4)
        });
        queue.close();
        assert_eq!(waiting.join().ok(), Some(None));
    }
}
