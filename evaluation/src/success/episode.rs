//! One episode: a scene, a task, a sentence, and what became of it.

use super::{Condition, chunk_boundary::Seams, driver::Driver};
use policies::{Policy, PolicyError, chunking::Chunking};
use protocol::Mode;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sim::{CONTROL_RATE_HZ, Camera, JointVector, Status, Task, TaskFamily, TaskMonitor, World};

/// A told task that succeeded is watched for this many more ticks, then the episode ends.
const AFTERMATH_TICKS: u64 = CONTROL_RATE_HZ as u64;

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

/// How an episode ended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Outcome {
    /// The scene's own task succeeded.
    pub succeeded: bool,
    /// Simulated seconds until then.
    pub secs: f64,
    /// The task that the policy was told succeeded; differs under a wrong instruction.
    pub told_succeeded: bool,
    /// Where chunks met.
    pub seams: Seams,
}

impl Episode {
    /// Runs it.
    ///
    /// # Errors
    /// Whatever the policy fails with.
    pub fn run(&self, actor: &mut dyn Policy, rules: &Rules) -> Result<Outcome, PolicyError> {
        let mut world = World::new(self.seed);
        // Drawn apart from the scene, in the same order under every condition.
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(1 + self.family as u64);
        let task = Task::sample(self.family, &world, &mut rng);
        let told = match self.condition {
            Condition::WrongInstruction => task.wrong(&world, &mut rng),
            Condition::Policy(_) | Condition::MeanAction => task,
        };
        let sentence = told.instruction(&mut rng);
        let mut monitor = TaskMonitor::new(&task, &world);
        let mut told_monitor = TaskMonitor::new(&told, &world);
        let mut driver = Driver::new(self, rules, &sentence);
        let mut outcome = Outcome::default();
        let mut end_tick = rules.max_ticks;
        while world.tick() < end_tick {
            let target = driver.target(&world, actor)?;
            world.step(&target);
            if told_monitor.update(&world) == Status::Succeeded && !outcome.told_succeeded {
                outcome.told_succeeded = true;
                end_tick = end_tick.min(world.tick() + AFTERMATH_TICKS);
            }
            if monitor.update(&world) == Status::Succeeded {
                outcome.succeeded = true;
                outcome.secs = world.time_secs();
                break;
            }
        }
        outcome.seams = driver.seams;
        Ok(outcome)
    }
}
