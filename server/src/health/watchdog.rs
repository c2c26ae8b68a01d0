//! Thread that logs which parts do not respond, and when they recover.

use super::{Health, Problem, lock};
use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

/// Period of the checks.
const PERIOD: Duration = Duration::from_millis(250);
/// Interval between two lines about the same silence.
const REPEAT_AFTER: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct StopFlag {
    is_set: Mutex<bool>,
    changed: Condvar,
}

/// Watchdog, which runs until it is dropped. It has a separate thread because it also watches the runtime.
#[derive(Debug)]
pub(crate) struct Watchdog {
    stop: Arc<StopFlag>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts watching.
    pub(crate) fn start(health: Arc<Health>) -> std::io::Result<Self> {
        let stop = Arc::<StopFlag>::default();
        let thread = std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn({
                let stop = stop.clone();
                move || watch(&health, &stop)
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *lock(&self.stop.is_set) = true;
        self.stop.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn watch(health: &Health, stop: &StopFlag) {
    let mut logged = LoggedProblems::default();
    let mut is_stopped = lock(&stop.is_set);
    while !*is_stopped {
        for entry in logged.new_entries(&health.report()) {
            match entry {
                LogEntry::Problem(text) => tracing::error!("{text}"),
                LogEntry::Recovery(text) => tracing::info!("{text}"),
            }
        }
        is_stopped = stop
            .changed
            .wait_timeout(is_stopped, PERIOD)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

#[derive(Debug, PartialEq, Eq)]
enum LogEntry {
    Problem(String),
    Recovery(String),
}

/// Problems that the log has already: for each part, the silence and its length in seconds when it was last logged.
#[derive(Debug, Default)]
struct LoggedProblems(HashMap<&'static str, (u64, f64)>);

impl LoggedProblems {
    fn new_entries(&mut self, report: &[Problem]) -> Vec<LogEntry> {
        let mut entries = Vec::new();
        self.0.retain(|part, (episode, _)| {
            let goes_on = report
                .iter()
                .any(|problem| problem.part == *part && problem.episode == *episode);
            if !goes_on {
                entries.push(LogEntry::Recovery(format!("{part} responds again")));
            }
            goes_on
        });
        for problem in report {
            let last = self.0.get(problem.part).map(|(_, secs)| *secs);
            if last.is_none_or(|secs| problem.for_secs >= secs + REPEAT_AFTER.as_secs_f64()) {
                self.0
                    .insert(problem.part, (problem.episode, problem.for_secs));
                entries.push(LogEntry::Problem(problem.message.clone()));
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(episode: u64, for_secs: f64) -> Problem {
        Problem {
            part: "the policy",
            state: "busy",
            message: format!("silent for {for_secs} s"),
            for_secs,
            since_unix_secs: 0,
            episode,
        }
    }

    #[test]
    fn a_silence_is_logged_once_then_twice_a_minute_and_so_is_its_end() {
        let mut logged = LoggedProblems::default();
        let silence = |secs: f64| vec![LogEntry::Problem(format!("silent for {secs} s"))];
        assert_eq!(logged.new_entries(&[problem(1, 1.5)]), silence(1.5));
        assert_eq!(logged.new_entries(&[problem(1, 2.0)]), []);
        assert_eq!(logged.new_entries(&[problem(1, 31.5)]), silence(31.5));
        let recovery = || LogEntry::Recovery("the policy responds again".to_owned());
        assert_eq!(logged.new_entries(&[]), [recovery()]);
        assert_eq!(logged.new_entries(&[]), []);
        logged.new_entries(&[problem(2, 1.5)]);
        // Between two checks one silence ended and another began.
        let mut both = vec![recovery()];
        both.extend(silence(1.5));
        assert_eq!(logged.new_entries(&[problem(3, 1.5)]), both);
    }

    #[test]
    fn a_watchdog_ends_when_it_is_dropped() -> std::io::Result<()> {
        drop(Watchdog::start(Health::new())?);
        Ok(())
    }
}
