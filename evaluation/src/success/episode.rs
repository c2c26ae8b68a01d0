//! One episode: a scene, a task, an instruction and the outcome.

pub use super::rules::{Episode, Rules};
use super::{Condition, chunk_boundary::Seams, driver::Driver};
use policies::{Policy, PolicyError};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sim::{CONTROL_RATE_HZ, Status, Task, TaskMonitor, World};

/// Ticks from the success of the instructed task to the end of the episode.
const AFTERMATH_TICKS: u64 = CONTROL_RATE_HZ as u64;

/// Outcome of an episode.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Outcome {
    /// True if the scene's own task succeeded.
    pub succeeded: bool,
    /// Time of that success (simulated seconds); 0 without one.
    pub secs: f64,
    /// True if the task of the policy's instruction succeeded. It differs from the scene's task under a wrong
    /// instruction.
    pub told_succeeded: bool,
    /// Statistics at chunk boundaries.
    pub seams: Seams,
}

impl Episode {
    /// Runs the episode.
    ///
    /// # Errors
    /// The error of the policy.
    pub fn run(&self, policy: &mut dyn Policy, rules: &Rules) -> Result<Outcome, PolicyError> {
        let mut world = World::new(self.seed);
        // A random stream independent of that of the scene, and the same under every condition.
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(1 + self.family as u64);
        let task = Task::sample(self.family, &world, &mut rng);
        let instructed = match self.condition {
            Condition::WrongInstruction => task.wrong(&world, &mut rng),
            Condition::Policy(_) | Condition::MeanAction => task,
        };
        let instruction = instructed.instruction(&mut rng);
        let mut monitor = TaskMonitor::new(&task, &world);
        let mut instructed_monitor = TaskMonitor::new(&instructed, &world);
        let mut driver = Driver::new(self, rules, &instruction);
        let mut outcome = Outcome::default();
        let mut end_tick = rules.max_ticks;
        while world.tick() < end_tick {
            let target = driver.target(&world, policy)?;
            world.step(&target);
            if instructed_monitor.update(&world) == Status::Succeeded && !outcome.told_succeeded {
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
