//! Limits for encoding a robot's views for viewers: one observation per robot at a time, at a bounded rate and a bounded
//! share of a core, so that publishing never delays control.

use crate::health::{Health, Part, Rule, Work};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Minimum time between two published observations of a robot (12 Hz).
const VIEW_PERIOD: Duration = Duration::from_millis(80);
/// The next encoding is due this many times the duration of the last one after its start, so that a robot's views take at
/// most a fifth of one core.
const MIN_PERIOD_PER_DURATION: u32 = 5;
/// An observation whose views have more bytes than this is large.
const LARGE_BYTES: usize = 3 << 20;

/// Limit shared by all robots: one large observation is encoded at a time.
#[derive(Debug)]
pub(crate) struct EncodingLimit {
    large: Arc<Semaphore>,
    part: Arc<Part>,
}

impl EncodingLimit {
    pub(crate) fn new(health: &Health) -> Self {
        Self {
            large: Arc::new(Semaphore::new(1)),
            part: health.part("the compression of views", Rule::Learned),
        }
    }
}

#[derive(Debug, Default)]
struct ScheduleState {
    is_busy: AtomicBool,
    due_at: Mutex<Option<Instant>>,
}

impl ScheduleState {
    fn due_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One robot's encoding schedule.
#[derive(Debug, Default)]
pub(crate) struct EncodingSchedule(Arc<ScheduleState>);

impl EncodingSchedule {
    /// Claims the slot for an observation whose views have `bytes` bytes; `None` if the robot is not due or an encoding runs.
    pub(crate) fn try_start(
        &self,
        limit: &EncodingLimit,
        bytes: usize,
        now: Instant,
    ) -> Option<EncodingSlot> {
        if self.0.due_at().is_some_and(|due_at| now < due_at) {
            return None;
        }
        let large = if bytes > LARGE_BYTES {
            Some(limit.large.clone().try_acquire_owned().ok()?)
        } else {
            None
        };
        if self.0.is_busy.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some(EncodingSlot {
            state: self.0.clone(),
            started_at: now,
            _large: large,
            _work: limit.part.work("busy with one observation"),
        })
    }
}

/// Held while views are encoded. Dropping it, also on a panic, lets the next encoding start.
#[derive(Debug)]
pub(crate) struct EncodingSlot {
    state: Arc<ScheduleState>,
    started_at: Instant,
    _large: Option<OwnedSemaphorePermit>,
    _work: Work,
}

impl Drop for EncodingSlot {
    fn drop(&mut self) {
        let took = self.started_at.elapsed();
        *self.state.due_at() =
            Some(self.started_at + VIEW_PERIOD.max(took * MIN_PERIOD_PER_DURATION));
        self.state.is_busy.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::panics::caught;

    #[test]
    fn encodings_run_one_at_a_time_and_at_a_bounded_rate() {
        let limit = EncodingLimit::new(&Health::new());
        let schedule = EncodingSchedule::default();
        let now = Instant::now();
        let slot = schedule.try_start(&limit, 100, now).unwrap();
        assert!(
            schedule.try_start(&limit, 100, now).is_none(),
            "an encoding runs"
        );
        drop(slot);
        assert!(
            schedule.try_start(&limit, 100, now).is_none(),
            "not due yet"
        );
        assert!(
            schedule
                .try_start(&limit, 100, now + VIEW_PERIOD * 100)
                .is_some()
        );
    }

    #[test]
    fn large_observations_are_encoded_one_at_a_time() {
        let limit = EncodingLimit::new(&Health::new());
        let (one, other) = (EncodingSchedule::default(), EncodingSchedule::default());
        let now = Instant::now();
        let slot = one.try_start(&limit, LARGE_BYTES + 1, now).unwrap();
        assert!(other.try_start(&limit, LARGE_BYTES + 1, now).is_none());
        assert!(
            other.try_start(&limit, LARGE_BYTES, now).is_some(),
            "small ones are not limited"
        );
        drop(slot);
        let later = now + VIEW_PERIOD * 100;
        assert!(other.try_start(&limit, LARGE_BYTES + 1, later).is_some());
    }

    #[test]
    fn a_panic_during_encoding_frees_the_slot() {
        let limit = EncodingLimit::new(&Health::new());
        let schedule = EncodingSchedule::default();
        let now = Instant::now();
        let slot = schedule.try_start(&limit, LARGE_BYTES + 1, now).unwrap();
        caught(move || {
            let _slot = slot;
            std::panic::resume_unwind(Box::new("a broken view"));
        })
        .unwrap_err();
        let later = now + VIEW_PERIOD * 100;
        assert!(schedule.try_start(&limit, LARGE_BYTES + 1, later).is_some());
    }
}
