//! A line of those who wait to be served by one thread, in the order in which they came, each told its place.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Something that waits and can be told how many are before it.
pub(crate) trait Queued {
    /// Whether nobody wants it any more.
    fn is_unwanted(&self) -> bool;

    /// Takes note of the number before it, the one being served included. Called under the line's lock, so the
    /// newest call is the truth; it must not wait.
    fn moved_up(&self, ahead: usize);
}

/// First come, first served; one place per key.
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
    fn tell_places(&self) {
        let before = usize::from(self.is_serving);
        for (place, (_, item)) in self.waiting.iter().enumerate() {
            item.moved_up(before + place);
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

    /// Goes to the end, or takes the place of the one that waits under the same key; that one is given back, as is
    /// `item` itself if it is unwanted. An item that was slow to come is thus never put in the place of its successor.
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
        state.tell_places();
        drop(state);
        self.filled.notify_one();
        older
    }

    /// Takes out what waits under a key; the others move up.
    pub(crate) fn leave(&self, key: u64) -> Option<T> {
        let mut state = self.lock();
        let at = state.waiting.iter().position(|(other, _)| *other == key)?;
        let (_, item) = state.waiting.remove(at)?;
        state.tell_places();
        Some(item)
    }

    /// Says that the one before is served and waits for the next; `None` once closed.
    pub(crate) fn next(&self) -> Option<T> {
        let mut state = self.lock();
        state.is_serving = false;
        loop {
            if state.closed {
                return None;
            }
            if let Some((_, item)) = state.waiting.pop_front() {
                state.is_serving = true;
                state.tell_places();
                return Some(item);
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops what waits and lets [`next`](Self::next) return.
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
    fn everybody_knows_their_place_and_moves_up() {
        let line = FifoQueue::new();
        let [a, b, c] = ["a", "b", "c"].map(Item::named);
        for (key, item) in [(1, &a), (2, &b), (3, &c)] {
            assert!(line.join(key, item.clone()).is_none());
        }
        assert_eq!([a.ahead(), b.ahead(), c.ahead()], [0, 1, 2]);
        assert_eq!(name(line.next()), Some("a"));
        assert_eq!([b.ahead(), c.ahead()], [1, 2]);
        assert_eq!(name(line.leave(2)), Some("b"));
        assert!(line.leave(2).is_none());
        assert_eq!(c.ahead(), 1);
        assert_eq!(name(line.next()), Some("c"));
    }

    #[test]
    fn a_newer_question_takes_the_place_of_the_older_and_a_late_one_does_not() {
        let line = FifoQueue::new();
        let [old, new, other] = ["old", "new", "other"].map(Item::named);
        line.join(1, old);
        line.join(2, other);
        assert_eq!(name(line.join(1, new.clone())), Some("old"));
        assert_eq!(new.ahead(), 0);
        let late = Item::named("late");
        late.unwanted.store(true, Ordering::SeqCst);
        assert_eq!(name(line.join(1, late)), Some("late"));
        assert_eq!(name(line.next()), Some("new"));
        assert_eq!(name(line.next()), Some("other"));
    }

    #[test]
    fn closing_wakes_the_one_who_waits_and_takes_nobody_more() {
        let line = Arc::new(FifoQueue::<Item>::new());
        let waiting = std::thread::spawn({
            let line = line.clone();
            move || name(line.next())
        });
        line.close();
        assert_eq!(waiting.join().ok(), Some(None));
        assert_eq!(name(line.join(1, Item::named("late"))), Some("late"));
    }
}
