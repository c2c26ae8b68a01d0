//! One episode: a scene, a task, a sentence, and what became of it.

pub use super::rules::{Episode, Rules};
use super::{Condition, chunk_boundary::Seams, driver::Driver};
use policies::{Policy, PolicyError};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sim::{CONTROL_RATE_HZ, Status, Task, TaskMonitor, World};

/// A told task that succeeded is watched for this many more ticks, then the episode ends.
const AFTERMATH_TICKS: u64 = CONTROL_RATE_HZ as u64;

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
