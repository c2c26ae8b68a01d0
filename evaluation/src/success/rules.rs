//! Rules that all episodes of an evaluation share, and which episode is played.

use super::Condition;
use policies::chunking::Chunking;
use protocol::Mode;
use sim::{Camera, JointVector, TaskFamily};

/// What all episodes of an evaluation share.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Norm tag of the simulated robot.
    pub tag: String,
    /// Cameras in the order of the prompt.
    pub cameras: Vec<Camera>,
    /// Ticks from one question to the policy to the next, unless the answer takes longer.
    pub n_action_steps: usize,
    /// How a chunk meets the one before.
    pub chunking: Chunking,
    /// Ticks from an observation to the first tick that its chunk can be followed in.
    pub latency_ticks: usize,
    /// The same as the studio estimates it: the rows that it takes for committed.
    pub assumed_latency_ticks: usize,
    /// Mean action of the training data; the control is left out without it.
    pub mean_action: Option<JointVector>,
    /// Head that drives the wrong-instruction control.
    pub control_mode: Mode,
    /// Length of a failed episode.
    pub max_ticks: u64,
}

/// Which episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// What drives the arm.
    pub condition: Condition,
    /// Family of the task.
    pub family: TaskFamily,
    /// Seed of the scene, the task and the wording.
    pub seed: u64,
}
