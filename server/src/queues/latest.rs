//! A queue with at most one job per robot, taken in turn, several at once.
//!
//! A newer job of a robot replaces the one that waits, in the same position, so a robot that sends often neither grows the
//! queue nor overtakes others. The bound is the number of connected robots.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// A fair queue with one slot per key, in which the newest job wins.
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
    /// Appends a job, or replaces the one that waits under the same key. Never waits. Returns `true` if a job was replaced.
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

    /// Waits for a job, then takes at most `max_jobs` (at least one) without waiting for more, in the order of the queue.
    /// After a [`nudge`](Self::nudge) the result may be empty; `None` once closed.
    pub(crate) fn take(&self, max_jobs: usize) -> Option<Vec<T>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            let nudged = std::mem::take(&mut state.nudged);
            if nudged || !state.waiting.is_empty() {
                let count = state.waiting.len().min(max_jobs.max(1));
                return Some(state.waiting.drain(..count).map(|(_, job)| job).collect());
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes [`take`](Self::take) return once, even without a job.
    pub(crate) fn nudge(&self) {
        self.lock().nudged = true;
        self.filled.notify_one();
    }

    /// Drops the job under a key. Returns `true` if there was one.
    pub(crate) fn forget(&self, key: u64) -> bool {
        let mut state = self.lock();
        let Some(index) = state.waiting.iter().position(|(other, _)| *other == key) else {
            return false;
        };
        let forgotten = state.waiting.remove(index);
        drop(state);
        forgotten.is_some()
    }

    /// Drops all jobs and makes [`take`](Self::take) return.
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
        assert_eq!(queue.take(0), Some(vec!["b1"]), "at least one job");
        assert_eq!(queue.take(1), Some(vec!["a5"]));
    }

    #[test]
    fn several_jobs_are_taken_together_the_oldest_first() {
        let queue = LatestQueue::default();
        for robot in 1..=5 {
            queue.put(robot, robot);
        }
        // A newer job of the first robot keeps its position.
        queue.put(1, 10);
        assert_eq!(queue.take(3), Some(vec![10, 2, 3]));
        queue.put(1, 11);
        assert_eq!(queue.take(3), Some(vec![4, 5, 11]));
    }

    #[test]
    fn a_forgotten_job_is_not_taken() {
        let queue = LatestQueue::default();
        queue.put(1, "a");
        queue.put(2, "b");
        assert!(queue.forget(1) && !queue.forget(1));
        assert_eq!(queue.take(4), Some(vec!["b"]));
        queue.nudge();
        assert_eq!(queue.take(4), Some(Vec::new()));
    }

    #[test]
    fn closing_wakes_the_reader() {
        let queue = std::sync::Arc::new(LatestQueue::<u8>::default());
        let waiting = std::thread::spawn({
            let queue = queue.clone();
            move || queue.take(4)
        });
        queue.close();
        assert_eq!(waiting.join().ok(), Some(None));
    }
}
