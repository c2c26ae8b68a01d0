//! Quality of a progress scorer on the built-in robot: simulated episodes with a known outcome, scored like any video
//! and compared with the true progress.
//!
//! - [`episode`]: one episode as a video: its frames, its outcome, and the true progress in every frame
//! - [`outcome`]: its scores
//! - [`report`]: figures per family and per behaviour
//!
//! Half of the episodes are solved by the scripted expert; the others fail in every way that the simulator can play.
//! Three controls guard against meaningless numbers: the frozen first frame, on which a sound curve does not rise; the
//! wrong instruction, which must score lower; and the simulator's own progress as the curve, which bounds what any
//! scorer can reach where an episode continues after its end.

pub mod episode;
pub mod outcome;
pub mod report;

use crate::workers::run_all;
use episode::Episode;
use outcome::Outcome;
use report::Report;
use sim::{Behavior, CONTROL_RATE_HZ, TaskFamily};
use topreward::scorer::{Scorer, ScorerError};

/// Choice of episodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Families to evaluate.
    pub families: Vec<TaskFamily>,
    /// Episodes per family.
    pub episodes: u64,
    /// Seed of the first scene; each further scene adds 1.
    pub seed: u64,
    /// Frames per second of the videos; divides [`CONTROL_RATE_HZ`].
    pub fps: u32,
}

impl Plan {
    /// All episodes, in a fixed order: every other one is solved, the rest cycle through the failures.
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
        /// The rate given, in frames per second.
        fps: u32,
    },
    /// An episode could not be rendered or scored.
    #[error("scene {seed}: {source}")]
    Episode {
        /// Seed of the scene.
        seed: u64,
        /// Cause.
        source: ScorerError,
    },
    /// A figure could not be computed.
    #[error(transparent)]
    Figure(#[from] topreward::Error),
    /// No scorers, or a thread of the evaluation crashed.
    #[error("{0}")]
    Thread(&'static str),
}

/// Runs a plan with one thread per scorer; all must be copies of the same scorer. Calls `done` with the number of
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
    let outcomes = run_all(
        scorers,
        &episodes,
        |scorer, episode| {
            Outcome::of(episode, plan.fps, scorer).map_err(|source| {
                ScorerEvaluationError::Episode {
                    seed: episode.seed,
                    source,
                }
            })
        },
        done,
        || ScorerEvaluationError::Thread("a thread of the evaluation crashed"),
    )?;
    let outcomes: Vec<(Episode, Outcome)> = episodes.into_iter().zip(outcomes).collect();
    Ok(Report::new(plan, first, &outcomes)?)
}
