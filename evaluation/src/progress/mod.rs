//! How well does a progress scorer judge the built-in robot? Episodes of the simulator with a known end, scored as any
//! video is, and held against what the physics says.
//!
//! - [`episode`]: one episode as a video: its frames, its end, and the true progress in every frame
//! - [`outcome`]: what the scorer made of it
//! - [`report`]: figures per family and per behaviour
//!
//! Half of the episodes are solved by the scripted expert, the others go wrong in every way that the simulator can play.
//! Three controls guard against numbers that mean nothing: the frozen first frame, on which a sound curve does not rise;
//! the wrong instruction, which has to score lower; and the simulator's own progress as the curve, which is the most that
//! any scorer can reach where an episode goes on after its end.

pub mod episode;
pub mod outcome;
pub mod report;

use episode::Episode;
use outcome::Outcome;
use report::Report;
use sim::{Behavior, CONTROL_RATE_HZ, TaskFamily};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};
use topreward::scorer::{Scorer, ScorerError};

/// What to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Families to evaluate.
    pub families: Vec<TaskFamily>,
    /// Episodes per family.
    pub episodes: u64,
    /// Seed of the first scene; they count up.
    pub seed: u64,
    /// Frames per second of the videos; divides [`CONTROL_RATE_HZ`].
    pub fps: u32,
}

impl Plan {
    /// Every episode, in a fixed order: every other one is solved, the rest take turns in failing.
    #[must_use]
    pub fn episodes(&self) -> Vec<Episode> {
        let failures: Vec<Behavior> = Behavior::ALL
            .into_iter()
            .filter(|behaviour| *behaviour != Behavior::Solve)
            .collect();
        let of = |family: TaskFamily, number: u64| Episode {
            family,
            behaviour: usize::try_from(number / 2)
                .ok()
                .and_then(|turn| failures.get(turn % failures.len().max(1)))
                .filter(|_| number % 2 == 1)
                .copied()
                .unwrap_or(Behavior::Solve),
            seed: self.seed.wrapping_add(number),
        };
        self.families
            .iter()
            .flat_map(|family| (0..self.episodes).map(move |number| of(*family, number)))
            .collect()
    }
}

/// An evaluation could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ScorerEvaluationError {
    /// A rate at which the simulator has no frames.
    #[error(
        "{fps} frames per second is not a rate of the simulator; it takes {CONTROL_RATE_HZ} or a number that divides it"
    )]
    Rate {
        /// What was asked for.
        fps: u32,
    },
    /// A scene could not be made a video of, or be scored.
    #[error("scene {seed}: {source}")]
    Episode {
        /// Scene.
        seed: u64,
        /// Why not.
        source: ScorerError,
    },
    /// A figure could not be computed.
    #[error(transparent)]
    Figure(#[from] topreward::Error),
    /// No scorers, or a thread of the evaluation crashed.
    #[error("{0}")]
    Thread(&'static str),
}

/// Runs a plan with one thread per scorer (they must ask the same model in the same way). `done` is told the number of
/// finished episodes after each.
///
/// # Errors
/// [`ScorerEvaluationError`]; the first one ends the evaluation.
pub fn evaluate(
    plan: &Plan,
    scorers: &[Scorer],
    done: &(dyn Fn(usize) + Sync),
) -> Result<Report, ScorerEvaluationError> {
    if plan.fps == 0 || !CONTROL_RATE_HZ.is_multiple_of(plan.fps) {
        return Err(ScorerEvaluationError::Rate { fps: plan.fps });
    }
    let first = scorers
        .first()
        .ok_or(ScorerEvaluationError::Thread("no scorer was given"))?;
    let episodes = plan.episodes();
    let next = AtomicUsize::new(0);
    let finished = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, Outcome)>> = Mutex::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = scorers
            .iter()
            .map(|scorer| {
                let (episodes, next, finished, outcomes) = (&episodes, &next, &finished, &outcomes);
                scope.spawn(move || -> Result<(), ScorerEvaluationError> {
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(episode) = episodes.get(place) else {
                            return Ok(());
                        };
                        let outcome = Outcome::of(episode, plan.fps, scorer).map_err(|source| {
                            // The others stop after the episode they are at.
                            next.store(usize::MAX / 2, Ordering::Relaxed);
                            ScorerEvaluationError::Episode {
                                seed: episode.seed,
                                source,
                            }
                        })?;
                        outcomes
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((place, outcome));
                        done(finished.fetch_add(1, Ordering::Relaxed) + 1);
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or(Err(ScorerEvaluationError::Thread(
                "a thread of the evaluation crashed",
            )))
        })
    })?;
    let mut outcomes = outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    // Threads finish in any order, and a mean depends on the order of its terms.
    outcomes.sort_by_key(|(place, _)| *place);
    let outcomes: Vec<(Episode, Outcome)> = episodes
        .into_iter()
        .zip(outcomes.into_iter().map(|(_, outcome)| outcome))
        .collect();
    Ok(Report::new(plan, first, &outcomes)?)
}
