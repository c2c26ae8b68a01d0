//! A queue of requests to one thread, first come, first served. Each request receives its position.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// A request in the queue.
pub(crate) trait Queued {
    /// True if the request was cancelled.
    fn is_unwanted(&self) -> bool;

    /// Receives the number of requests before this one, the one being served included. Called under the queue's lock, so the
    /// newest call is valid; it must not block.
    fn moved_up(&self, ahead: usize);
}

/// First come, first served, with at most one request per key.
#[derive(Debug)]
pub(crate) struct FifoQueue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<(u64, T)>,
    is_serving: bool,
    closed: bool,
}

impl<T: Queued> State<T> {
    fn report_positions(&self) {
        let served = usize::from(self.is_serving);
        for (index, (_, item)) in self.waiting.iter().enumerate() {
            item.moved_up(served + index);
        }
    }
}

impl<T: Queued> FifoQueue<T> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                is_serving: false,
                closed: false,
            }),
            filled: Condvar::new(),
        }
    }

    /// Appends a request, or replaces the one that waits under the same key. Returns the replaced request, or `item` itself
    /// if it was cancelled, so that a delayed request never replaces its successor.
    pub(crate) fn join(&self, key: u64, item: T) -> Option<T> {
        let mut state = self.lock();
        if state.closed || item.is_unwanted() {
            return Some(item);
        }
        let older = match state.waiting.iter_mut().find(|(other, _)| *other == key) {
            Some((_, older)) => Some(std::mem::replace(older, item)),
            None => {
                state.waiting.push_back((key, item));
                None
            }
        };
        state.report_positions();
        drop(state);
        self.filled.notify_one();
        older
    }

    /// Removes the request under a key; the others move up.
    pub(crate) fn leave(&self, key: u64) -> Option<T> {
        let mut state = self.lock();
        let index = state.waiting.iter().position(|(other, _)| *other == key)?;
        let (_, item) = state.waiting.remove(index)?;
        state.report_positions();
        Some(item)
    }

    /// Marks the request before as served and waits for the next; `None` once closed.
    pub(crate) fn next(&self) -> Option<T> {
        let mut state = self.lock();
        state.is_serving = false;
        loop {
            if state.closed {
                return None;
            }
            if let Some((_, item)) = state.waiting.pop_front() {
                state.is_serving = true;
                state.report_positions();
                return Some(item);
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops all requests and makes [`next`](Self::next) return.
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
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    #[derive(Debug, Clone, Default)]
    struct Item {
        name: &'static str,
        ahead: Arc<AtomicUsize>,
        unwanted: Arc<AtomicBool>,
    }

    impl Item {
        fn named(name: &'static str) -> Self {
            Self {
                name,
                ahead: Arc::new(AtomicUsize::new(99)),
                ..Self::default()
            }
        }

        fn ahead(&self) -> usize {
            self.ahead.load(Ordering::SeqCst)
        }
    }

    impl Queued for Item {
        fn is_unwanted(&self) -> bool {
            self.unwanted.load(Ordering::SeqCst)
        }

        fn moved_up(&self, ahead: usize) {
            self.ahead.store(ahead, Ordering::SeqCst);
        }
    }

    fn name(item: Option<Item>) -> Option<&'static str> {
        item.map(|item| item.name)
    }

    #[test]
    fn each_request_receives_its_position_and_moves_up() {
        let queue = FifoQueue::new();
        let [a, b, c] = ["a", "b", "c"].map(Item::named);
        for (key, item) in [(1, &a), (2, &b), (3, &c)] {
            assert!(queue.join(key, item.clone()).is_none());
        }
        assert_eq!([a.ahead(), b.ahead(), c.ahead()], [0, 1, 2]);
        assert_eq!(name(queue.next()), Some("a"));
        assert_eq!([b.ahead(), c.ahead()], [1, 2]);
        assert_eq!(name(queue.leave(2)), Some("b"));
        assert!(queue.leave(2).is_none());
        assert_eq!(c.ahead(), 1);
        assert_eq!(name(queue.next()), Some("c"));
    }

    #[test]
    fn a_newer_request_replaces_the_older_and_a_cancelled_one_does_not() {
        let queue = FifoQueue::new();
        let [old, new, other] = ["old", "new", "other"].map(Item::named);
        queue.join(1, old);
        queue.join(2, other);
        assert_eq!(name(queue.join(1, new.clone())), Some("old"));
        assert_eq!(new.ahead(), 0);
        let late = Item::named("late");
        late.unwanted.store(true, Ordering::SeqCst);
        assert_eq!(name(queue.join(1, late)), Some("late"));
        assert_eq!(name(queue.next()), Some("new"));
        assert_eq!(name(queue.next()), Some("other"));
    }

    #[test]
    fn closing_wakes_the_reader_and_refuses_further_requests() {
        let queue = Arc::new(FifoQueue::<Item>::new());
        let waiting = std::thread::spawn({
            let queue = queue.clone();
            move || name(queue.next())
        });
        queue.close();
        assert_eq!(waiting.join().ok(), Some(None));
        assert_eq!(name(queue.join(1, Item::named("late"))), Some("late"));
    }
}
