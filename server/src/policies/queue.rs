//! What waits for the inference thread: at most one job per robot, served in turn.
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
}

impl<T> Default for LatestQueue<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
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

    /// Waits for the job whose turn it is; `None` once closed.
    pub(crate) fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some((_, job)) = state.waiting.pop_front() {
                return Some(job);
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
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
        assert_eq!(queue.take(), Some("new"));
    }

    #[test]
    fn robots_take_turns_however_often_one_of_them_sends() {
        let queue = LatestQueue::default();
        queue.put(1, "a1");
        queue.put(2, "b1");
        for job in ["a2", "a3", "a4"] {
            queue.put(1, job);
        }
        assert_eq!(queue.take(), Some("a4"));
        queue.put(1, "a5");
        assert_eq!(queue.take(), Some("b1"));
        assert_eq!(queue.take(), Some("a5"));
    }

    #[test]
    fn closing_wakes_the_one_who_waits() {
        let queue = std::sync::Arc::new(LatestQueue::<u8>::default());
        let waiting = std::thread::spawn({
            let queue = queue.clone();
            move || queue.take()
        });
        queue.close();
        assert_eq!(waiting.join().ok(), Some(None));
    }
}
