//! When a robot's views are made ready for people: one observation of a robot at a time, not too often, and never so
//! that it is in the way of driving.

use crate::health::{Health, Part, Rule, Work};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Views to viewers at most this often: 12 a second.
const VIEW_PERIOD: Duration = Duration::from_millis(80);
/// A robot's views take at most this part of one core: they are due again so many times later than they took.
const SHARE: u32 = 5;
/// Bytes of the views of an observation beyond which they are large.
const LARGE: usize = 3 << 20;

/// What all robots have in common: one observation with large views is made ready at a time.
#[derive(Debug)]
pub(crate) struct Easel {
    large: Arc<Semaphore>,
    part: Arc<Part>,
}

impl Easel {
    pub(crate) fn new(health: &Health) -> Self {
        Self {
            large: Arc::new(Semaphore::new(1)),
            part: health.part("the compression of views", Rule::Learned),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    is_busy: AtomicBool,
    due_at: Mutex<Option<Instant>>,
}

impl State {
    fn due_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One robot's turns.
#[derive(Debug, Default)]
pub(crate) struct Turns(Arc<State>);

impl Turns {
    /// A turn for an observation whose views have so many bytes; `None` when it is not due or somebody is at it.
    pub(crate) fn take(&self, easel: &Easel, bytes: usize, now: Instant) -> Option<Turn> {
        if self.0.due_at().is_some_and(|due_at| now < due_at) {
            return None;
        }
        let large = if bytes > LARGE {
            Some(easel.large.clone().try_acquire_owned().ok()?)
        } else {
            None
        };
        if self.0.is_busy.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some(Turn {
            state: self.0.clone(),
            begun_at: now,
            _large: large,
            _work: easel.part.work("busy with one observation"),
        })
    }
}

/// Held while views are made ready. Dropped, also by a panic, the next turn can come.
#[derive(Debug)]
pub(crate) struct Turn {
    state: Arc<State>,
    begun_at: Instant,
    _large: Option<OwnedSemaphorePermit>,
    _work: Work,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let took = self.begun_at.elapsed();
        *self.state.due_at() = Some(self.begun_at + VIEW_PERIOD.max(took * SHARE));
        self.state.is_busy.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::panics::caught;

    #[test]
    fn turns_come_one_at_a_time_and_not_too_often() {
        let easel = Easel::new(&Health::new());
        let turns = Turns::default();
        let now = Instant::now();
        let turn = turns.take(&easel, 100, now).unwrap();
        assert!(turns.take(&easel, 100, now).is_none(), "somebody is at it");
        drop(turn);
        assert!(turns.take(&easel, 100, now).is_none(), "it is not due");
        assert!(turns.take(&easel, 100, now + VIEW_PERIOD * 100).is_some());
    }

    #[test]
    fn large_views_of_two_robots_do_not_meet() {
        let easel = Easel::new(&Health::new());
        let (one, other) = (Turns::default(), Turns::default());
        let now = Instant::now();
        let turn = one.take(&easel, LARGE + 1, now).unwrap();
        assert!(other.take(&easel, LARGE + 1, now).is_none());
        assert!(other.take(&easel, LARGE, now).is_some(), "small ones do");
        drop(turn);
        let later = now + VIEW_PERIOD * 100;
        assert!(other.take(&easel, LARGE + 1, later).is_some());
    }

    #[test]
    fn a_panic_in_a_turn_does_not_take_the_views_for_ever() {
        let easel = Easel::new(&Health::new());
        let turns = Turns::default();
        let now = Instant::now();
        let turn = turns.take(&easel, LARGE + 1, now).unwrap();
        caught(move || {
            let _turn = turn;
            std::panic::resume_unwind(Box::new("a strange view"));
        })
        .unwrap_err();
        let later = now + VIEW_PERIOD * 100;
        assert!(turns.take(&easel, LARGE + 1, later).is_some());
    }
}
