//! Health of every part of the studio, for `/healthz`, for viewers and for the log.
//!
//! - [`Health`]: all parts and their current problems
//! - [`Part`]: one part, which reports the beginning, the progress and the end of its work
//! - [`track`]: the rule that distinguishes a stalled part from a slow one, a plain value
//! - [`watchdog`]: the thread that logs problems and recoveries
//!
//! Parts report on their own and are never queried, so a part that hangs is recognized by its silence. No lock is held while
//! a part works.

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

/// Problem of a part.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Problem {
    /// Name of the part, such as `the policy`.
    pub(crate) part: &'static str,
    /// `busy`: the part works without reporting progress; `crashed`: its thread has ended.
    pub(crate) state: &'static str,
    /// One sentence for people.
    pub(crate) message: String,
    /// Seconds since its last report, or since its end.
    pub(crate) for_secs: f64,
    /// Time of its last report or its end, in seconds since 1970.
    pub(crate) since_unix_secs: u64,
    /// Identifies this silence among all silences of the part.
    #[serde(skip)]
    episode: u64,
}

/// All parts of one studio.
#[derive(Debug, Default)]
pub(crate) struct Health {
    parts: Mutex<Vec<Arc<Part>>>,
    closing: AtomicBool,
}

impl Health {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a part. `name` is the subject of sentences, such as `the policy`.
    pub(crate) fn part(&self, name: &'static str, rule: Rule) -> Arc<Part> {
        let part = Arc::new(Part {
            name,
            track: Mutex::new(Track::new(rule)),
            next: AtomicU64::new(0),
        });
        lock(&self.parts).push(part.clone());
        part
    }

    /// Current problems, one sentence each; empty if there is none, and while the studio stops.
    pub(crate) fn problems(&self) -> Vec<String> {
        let problems = self.report().into_iter();
        problems.map(|problem| problem.message).collect()
    }

    /// Current problems with all their data.
    pub(crate) fn report(&self) -> Vec<Problem> {
        if self.is_closing() {
            return Vec::new();
        }
        let now = Instant::now();
        let parts = lock(&self.parts);
        parts.iter().filter_map(|part| part.problem(now)).collect()
    }

    /// Announces that the studio stops: from now on the end of a part is no problem.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// A long-lived part of the studio, on one thread or on several.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    track: Mutex<Track>,
    next: AtomicU64,
}

impl Part {
    /// Guard for the thread of this part. When it is dropped, the part counts as crashed.
    pub(crate) fn thread(self: &Arc<Self>) -> Alive {
        Alive { part: self.clone() }
    }

    /// Guard for one piece of work. `activity` is a phrase such as `computing a chunk`.
    pub(crate) fn work(self: &Arc<Self>, activity: &'static str) -> Work {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.track).begin(id, activity, Instant::now());
        Work {
            part: self.clone(),
            id,
        }
    }

    /// Message about the end of this part, if it has crashed.
    pub(crate) fn gone(&self) -> Option<String> {
        let now = Instant::now();
        let problem = self.problem(now)?;
        (problem.state == track::CRASHED).then_some(problem.message)
    }

    fn problem(&self, now: Instant) -> Option<Problem> {
        let finding = lock(&self.track).problem(self.name, now)?;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        let silent = finding.silent;
        Some(Problem {
            part: self.name,
            state: finding.state,
            message: finding.message,
            for_secs: (silent.as_secs_f64() * 1e3).round() / 1e3,
            since_unix_secs: unix
                .unwrap_or(Duration::ZERO)
                .saturating_sub(silent)
                .as_secs(),
            episode: finding.episode,
        })
    }
}

/// Guard for the thread of a part; see [`Part::thread`].
#[derive(Debug)]
pub(crate) struct Alive {
    part: Arc<Part>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        lock(&self.part.track).crashed(Instant::now());
    }
}

/// Guard for one piece of work; see [`Part::work`].
#[derive(Debug)]
pub(crate) struct Work {
    part: Arc<Part>,
    id: u64,
}

impl Work {
    /// Reports progress.
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
    fn a_thread_that_panics_is_reported_at_once_unless_the_studio_stops() {
        let health = Health::new();
        let part = health.part("the policy", Rule::Learned);
        assert!(health.problems().is_empty() && part.gone().is_none());
        let thread = std::thread::spawn({
            let part = part.clone();
            move || {
                let _alive = part.thread();
                let _work = part.work("computing a chunk");
                std::panic::resume_unwind(Box::new("a bug"));
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
    fn work_that_ends_is_no_problem_even_if_it_was_done_concurrently() {
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
