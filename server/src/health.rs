//! Whether every part of the studio still answers: seen by `/healthz`, by viewers and in the log.
//!
//! - [`Health`]: all parts, and what is wrong with them now, in words
//! - [`Part`]: one of them, which says when it works, that it gets on, and that it is gone
//! - [`track`]: the rule by which a silent part is told from a slow one, a plain value
//! - [`watchdog`]: the thread that writes it into the log
//!
//! Parts say what they do; nobody asks them, so one that hangs is noticed by what it does not say. No lock is held
//! while a part works.

mod track;
mod watchdog;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use track::Track;

pub(crate) use track::Rule;
pub(crate) use watchdog::Watchdog;

/// What is wrong with a part.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Problem {
    /// Which part: `the policy`.
    pub(crate) part: &'static str,
    /// `busy`: it works and has not been heard of; `crashed`: it is gone.
    pub(crate) state: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
    /// Seconds since it was heard of last, or since it was gone.
    pub(crate) for_secs: f64,
    /// The same as seconds since 1970.
    pub(crate) since_unix_secs: u64,
    /// Names this time of silence among all of its part.
    #[serde(skip)]
    episode: u64,
}

/// Every part of one studio.
#[derive(Debug, Default)]
pub(crate) struct Health {
    parts: Mutex<Vec<Arc<Part>>>,
    closing: AtomicBool,
}

impl Health {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// One more part. `name` is the subject of sentences: `the policy`.
    pub(crate) fn part(&self, name: &'static str, rule: Rule) -> Arc<Part> {
        let part = Arc::new(Part {
            name,
            track: Mutex::new(Track::new(rule)),
            next: AtomicU64::new(0),
        });
        lock(&self.parts).push(part.clone());
        part
    }

    /// What is wrong now, one sentence each; empty when all is well, and while the studio stops.
    pub(crate) fn problems(&self) -> Vec<String> {
        let problems = self.report().into_iter();
        problems.map(|problem| problem.message).collect()
    }

    /// The same with everything that is known of it.
    pub(crate) fn report(&self) -> Vec<Problem> {
        if self.is_closing() {
            return Vec::new();
        }
        let now = Instant::now();
        let parts = lock(&self.parts);
        parts.iter().filter_map(|part| part.problem(now)).collect()
    }

    /// The studio stops: parts may end from now on.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// Something that works for long, on one thread or on several.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    track: Mutex<Track>,
    next: AtomicU64,
}

impl Part {
    /// Held by the thread that is this part for as long as it lives; dropped, the part counts as gone.
    pub(crate) fn thread(self: &Arc<Self>) -> Alive {
        Alive { part: self.clone() }
    }

    /// Held while the part does `what`, as in `computing a chunk`.
    pub(crate) fn work(self: &Arc<Self>, what: &'static str) -> Work {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.track).begin(id, what, Instant::now());
        Work {
            part: self.clone(),
            id,
        }
    }

    /// Why the part will not answer any more, in words, if it is gone.
    pub(crate) fn gone(&self) -> Option<String> {
        let now = Instant::now();
        let problem = self.problem(now)?;
        (problem.state == track::CRASHED).then_some(problem.message)
    }

    fn problem(&self, now: Instant) -> Option<Problem> {
        let found = lock(&self.track).problem(self.name, now)?;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        let silent = found.silent;
        Some(Problem {
            part: self.name,
            state: found.state,
            message: found.words,
            for_secs: (silent.as_secs_f64() * 1e3).round() / 1e3,
            since_unix_secs: unix
                .unwrap_or(Duration::ZERO)
                .saturating_sub(silent)
                .as_secs(),
            episode: found.episode,
        })
    }
}

/// A thread that is a part; see [`Part::thread`].
#[derive(Debug)]
pub(crate) struct Alive {
    part: Arc<Part>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        lock(&self.part.track).gone(Instant::now());
    }
}

/// Work under way; see [`Part::work`].
#[derive(Debug)]
pub(crate) struct Work {
    part: Arc<Part>,
    id: u64,
}

impl Work {
    /// It gets on.
    pub(crate) fn beat(&self) {
        lock(&self.part.track).beat(self.id, Instant::now());
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        lock(&self.part.track).end(self.id, Instant::now());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every value here is complete after each statement, so a panic elsewhere leaves it usable.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_thread_that_panics_is_told_at_once_and_one_of_a_studio_that_stops_is_not() {
        let health = Health::new();
        let part = health.part("the policy", Rule::Learned);
        assert!(health.problems().is_empty() && part.gone().is_none());
        let thread = std::thread::spawn({
            let part = part.clone();
            move || {
                let _alive = part.thread();
                let _work = part.work("computing a chunk");
                std::panic::resume_unwind(Box::new("outside of everything"));
            }
        });
        thread.join().unwrap_err();
        let report = health.report();
        assert_eq!((report.len(), report[0].state), (1, "crashed"));
        assert!(report[0].message.starts_with("the policy"), "{report:?}");
        assert!(part.gone().unwrap().contains("restart the studio"));
        health.close();
        assert!(health.problems().is_empty());
    }

    #[test]
    fn work_that_ends_is_no_problem_however_many_did_it_at_once() {
        let health = Health::new();
        let part = health.part("decoding", Rule::Learned);
        let (first, second) = (part.work("decoding"), part.work("decoding"));
        first.beat();
        drop(first);
        second.beat();
        drop(second);
        assert!(health.report().is_empty());
    }
}
