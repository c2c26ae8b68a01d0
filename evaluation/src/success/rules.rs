//! Rules shared by all episodes of an evaluation, and the parameters of one episode.

use super::Condition;
use policies::chunking::Chunking;
use protocol::Mode;
use sim::{Camera, JointVector, TaskFamily};

/// Rules shared by all episodes of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Norm tag of the simulated robot.
    pub tag: String,
    /// Cameras in the order of the prompt.
    pub cameras: Vec<Camera>,
    /// Ticks from one request to the policy to the next, unless the response takes longer.
    pub n_action_steps: usize,
    /// Blending of a chunk with the previous one.
    pub chunking: Chunking,
    /// Ticks from an observation to the first tick in which its chunk can be executed.
    pub latency_ticks: usize,
    /// The studio's estimate of the same: the number of rows that it treats as committed.
    pub assumed_latency_ticks: usize,
    /// Mean action of the training data; without it, the control holds the current pose.
    pub mean_action: Option<JointVector>,
    /// Head that drives the wrong-instruction control.
    pub control_mode: Mode,
    /// Length of a failed episode (ticks).
    pub max_ticks: u64,
}

/// Parameters of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// Source of the arm's targets.
    pub condition: Condition,
    /// Family of the task.
    pub family: TaskFamily,
    /// Seed of the scene, the task and the wording.
    pub seed: u64,
}
