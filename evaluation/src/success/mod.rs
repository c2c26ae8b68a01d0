//! Success rates of a policy: closed-loop episodes in the simulator, with controls that a good result must exceed.
//!
//! - [`episode`]: one episode
//! - `driver`: the target of the arm in each tick, from chunks that arrive with latency
//! - [`chunk_boundary`]: jumps of the target at the boundary between two chunks
//! - [`report`]: success rates per condition and family
//!
//! Two controls guard against meaningless numbers. *Wrong instruction*: the policy receives the instruction of another
//! task over the same scene, and the scene's own task is scored; a policy that ignores the instruction succeeds here
//! too. *Mean action*: the mean action of the training data, repeated; tasks that it solves need no policy.

pub mod chunk_boundary;
mod driver;
pub mod episode;
pub mod report;
mod rules;

use crate::workers::run_all;
use episode::{Episode, Outcome, Rules};
use policies::{
    Policy, PolicyError, PolicyInfo,
    chunking::{Chunking, latency::rows_in},
};
use protocol::Mode;
use report::Report;
use sim::TaskFamily;
use std::time::Duration;

/// First scene seed that is excluded, with all higher ones, from all training data.
pub const FIRST_UNSEEN_SEED: u64 = 500_000_000;

/// Source of the arm's targets, and its instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// The policy with the scene's task.
    Policy(ModeName),
    /// The policy with another task over the same scene.
    WrongInstruction,
    /// The mean action, repeated.
    MeanAction,
}

/// [`Mode`] with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ModeName {
    /// See [`Mode::Continuous`].
    Continuous,
    /// See [`Mode::Discrete`].
    Discrete,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Continuous => Self::Continuous,
            ModeName::Discrete => Self::Discrete,
        }
    }
}

/// Choice of episodes and conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Norm tag of the simulated robot.
    pub tag: String,
    /// Heads to evaluate; the first one also drives the wrong-instruction control.
    pub modes: Vec<ModeName>,
    /// Families to evaluate.
    pub families: Vec<TaskFamily>,
    /// Episodes per family and condition.
    pub episodes: u64,
    /// Seed of the first scene; each further scene adds 1.
    pub seed: u64,
    /// True to run the controls.
    pub controls: bool,
    /// Simulated seconds after which an episode counts as failed.
    pub max_secs: f64,
    /// Rows of a chunk to execute before the next chunk; the policy's own number if `None`.
    pub rows: Option<usize>,
    /// Blending of a chunk of the continuous head with the previous one.
    pub chunking: Chunking,
    /// Simulated time from an observation to its chunk.
    pub latency: Duration,
    /// The studio's estimate of that time; the true one if `None`.
    pub assumed_latency: Option<Duration>,
}

impl Plan {
    /// All episodes, in a fixed order. The scenes are the same under every condition.
    pub fn episodes(&self) -> Vec<Episode> {
        let mut conditions: Vec<Condition> = self
            .modes
            .iter()
            .map(|mode| Condition::Policy(*mode))
            .collect();
        if self.controls {
            conditions.extend([Condition::WrongInstruction, Condition::MeanAction]);
        }
        let mut all = Vec::new();
        for condition in conditions {
            for family in &self.families {
                for number in 0..self.episodes {
                    all.push(Episode {
                        condition,
                        family: *family,
                        seed: self.seed.wrapping_add(number),
                    });
                }
            }
        }
        all
    }
}

/// An evaluation could not be done.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// The policy does not fit the simulated robot.
    #[error("the policy {name:?} was not trained for the simulated robot: {reason}")]
    Unfit {
        /// Name of the policy.
        name: String,
        /// Mismatch.
        reason: String,
    },
    /// The policy failed.
    #[error("the policy failed in scene {seed}: {error}")]
    Policy {
        /// Seed of the scene.
        seed: u64,
        /// Its error.
        error: PolicyError,
    },
    /// A plan without an episode, or without time for one. Its success rates would be meaningless.
    #[error("nothing to evaluate: {0}")]
    Nothing(&'static str),
    /// No policy, or a thread of the evaluation crashed.
    #[error("{0}")]
    Thread(&'static str),
}

/// Runs a plan with one thread per policy, which must be copies of the same policy. Calls `done` with
/// the number of finished episodes after each.
///
/// # Errors
/// [`EvaluationError`]; the first one ends the evaluation.
pub fn evaluate(
    plan: &Plan,
    policies: &mut [Box<dyn Policy>],
    done: &(dyn Fn(usize) + Sync),
) -> Result<Report, EvaluationError> {
    let info = policies
        .first()
        .map(|policy| policy.info().clone())
        .ok_or(EvaluationError::Thread("no policy was given"))?;
    let rules = rules(plan, &info)?;
    let episodes = plan.episodes();
    if episodes.is_empty() {
        return Err(EvaluationError::Nothing(
            "the plan has no episodes (no family, no mode of this policy, or a count of 0)",
        ));
    }
    if rules.max_ticks == 0 {
        return Err(EvaluationError::Nothing("an episode has no time to run"));
    }
    let outcomes = run_all(
        policies,
        &episodes,
        |policy, episode| {
            episode
                .run(policy.as_mut(), &rules)
                .map_err(|error| EvaluationError::Policy {
                    seed: episode.seed,
                    error,
                })
        },
        done,
        || EvaluationError::Thread("a thread of the evaluation crashed"),
    )?;
    let outcomes: Vec<(Episode, Outcome)> = episodes.iter().copied().zip(outcomes).collect();
    Ok(Report::new(plan, &info, &outcomes))
}

fn rules(plan: &Plan, info: &PolicyInfo) -> Result<Rules, EvaluationError> {
    let unfit = |reason: String| EvaluationError::Unfit {
        name: info.name.clone(),
        reason,
    };
    let tag = info.tag(&plan.tag).ok_or_else(|| {
        let known: Vec<&str> = info.tags.iter().map(|tag| tag.tag.as_str()).collect();
        unfit(format!(
            "it has no norm tag {:?}, only {}",
            plan.tag,
            known.join(", ")
        ))
    })?;
    if tag.state_dim != sim::DOF || tag.action.len() != sim::DOF {
        return Err(unfit(format!(
            "it takes {} state values and gives {} action values, the robot has {} joints",
            tag.state_dim,
            tag.action.len(),
            sim::DOF
        )));
    }
    let cameras = tag
        .cameras
        .iter()
        .map(|name| {
            sim::Camera::ALL
                .into_iter()
                .find(|camera| camera.name() == name)
                .ok_or_else(|| unfit(format!("it needs the view {name:?}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(mode) = plan
        .modes
        .iter()
        .find(|mode| !info.modes.contains(&(**mode).into()))
    {
        return Err(unfit(format!(
            "it has no {mode:?} head; choose another with --mode"
        )));
    }
    Ok(Rules {
        tag: tag.tag.clone(),
        cameras,
        n_action_steps: plan
            .rows
            .unwrap_or(tag.n_action_steps)
            .clamp(1, tag.horizon.max(1)),
        chunking: plan.chunking,
        latency_ticks: ticks(plan.latency),
        assumed_latency_ticks: ticks(plan.assumed_latency.unwrap_or(plan.latency)),
        mean_action: sim::JointVector::try_from(tag.mean_action.as_slice()).ok(),
        control_mode: plan
            .modes
            .first()
            .copied()
            .map_or(Mode::Continuous, Mode::from),
        max_ticks: (plan.max_secs * f64::from(sim::CONTROL_RATE_HZ)).ceil() as u64,
    })
}

fn ticks(time: Duration) -> usize {
    rows_in(time, f64::from(sim::CONTROL_RATE_HZ))
}
