//! The thread that writes into the log which parts do not answer, and when they answer again.

use super::{Health, Problem, lock};
use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(250);
/// What goes on is told again at most this often.
const AGAIN: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Ended {
    ended: Mutex<bool>,
    changed: Condvar,
}

/// The watchdog, until it is dropped. A thread of its own, because what it watches includes the runtime on which
/// everything else would be told.
#[derive(Debug)]
pub(crate) struct Watchdog {
    ended: Arc<Ended>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts watching.
    pub(crate) fn start(health: Arc<Health>) -> std::io::Result<Self> {
        let ended = Arc::<Ended>::default();
        let thread = std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn({
                let ended = ended.clone();
                move || watch(&health, &ended)
            })?;
        Ok(Self {
            ended,
            thread: Some(thread),
        })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *lock(&self.ended.ended) = true;
        self.ended.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn watch(health: &Health, ended: &Ended) {
    let mut told = Told::default();
    let mut is_ended = lock(&ended.ended);
    while !*is_ended {
        for line in told.news(&health.report()) {
            match line {
                Line::Wrong(words) => tracing::error!("{words}"),
                Line::Well(words) => tracing::info!("{words}"),
            }
        }
        is_ended = ended
            .changed
            .wait_timeout(is_ended, PERIOD)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Wrong(String),
    Well(String),
}

/// What is in the log already: by part, which silence and how long it was then.
#[derive(Debug, Default)]
struct Told(HashMap<&'static str, (u64, f64)>);

impl Told {
    fn news(&mut self, report: &[Problem]) -> Vec<Line> {
        let mut lines = Vec::new();
        self.0.retain(|part, (episode, _)| {
            let goes_on = report
                .iter()
                .any(|problem| problem.part == *part && problem.episode == *episode);
            if !goes_on {
                lines.push(Line::Well(format!("{part} gets on again")));
            }
            goes_on
        });
        for problem in report {
            let last = self.0.get(problem.part).map(|(_, secs)| *secs);
            if last.is_none_or(|secs| problem.for_secs >= secs + AGAIN.as_secs_f64()) {
                self.0
                    .insert(problem.part, (problem.episode, problem.for_secs));
                lines.push(Line::Wrong(problem.message.clone()));
            }
        }
        lines
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
    fn the_log_hears_of_a_silence_once_then_twice_a_minute_and_of_its_end() {
        let mut told = Told::default();
        let wrong = |secs: f64| vec![Line::Wrong(format!("silent for {secs} s"))];
        assert_eq!(told.news(&[problem(1, 1.5)]), wrong(1.5));
        assert_eq!(told.news(&[problem(1, 2.0)]), []);
        assert_eq!(told.news(&[problem(1, 31.5)]), wrong(31.5));
        let well = || Line::Well("the policy gets on again".to_owned());
        assert_eq!(told.news(&[]), [well()]);
        assert_eq!(told.news(&[]), []);
        told.news(&[problem(2, 1.5)]);
        // Between two looks one silence ended and another began.
        let mut both = vec![well()];
        both.extend(wrong(1.5));
        assert_eq!(told.news(&[problem(3, 1.5)]), both);
    }

    #[test]
    fn a_watchdog_ends_when_it_is_dropped() -> std::io::Result<()> {
        drop(Watchdog::start(Health::new())?);
        Ok(())
    }
}
