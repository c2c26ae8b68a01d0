//! One episode: a scene, a task, a sentence, and what became of it.

use super::Condition;
use crate::policies::{ActRequest, Actor, ActorError};
use protocol::Mode;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sim::{CONTROL_RATE_HZ, Camera, JointVector, Status, Task, TaskFamily, TaskMonitor, World};
use vision::RgbImage;

/// A told task that succeeded is watched for this many more ticks, then the episode ends.
const AFTERMATH_TICKS: u64 = CONTROL_RATE_HZ as u64;

/// What all episodes of an evaluation share.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Norm tag of the simulated robot.
    pub tag: String,
    /// Cameras in the order of the prompt.
    pub cameras: Vec<Camera>,
    /// Rows of a chunk that are executed before the policy is asked again.
    pub n_action_steps: usize,
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
}

impl Episode {
    /// Runs it.
    ///
    /// # Errors
    /// Whatever the policy fails with.
    pub fn run(&self, actor: &mut dyn Actor, rules: &Rules) -> Result<Outcome, ActorError> {
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
        Ok(outcome)
    }
}

/// Fresh noise for every chunk, as the policy was trained and is published to be run, and the same noise again
/// when the episode is repeated.
fn noise_seed(episode: u64, tick: u64) -> u64 {
    episode.wrapping_mul(1 << 20).wrapping_add(tick)
}

/// The same episode is the same robot, any other one another.
fn robot(episode: &Episode, sentence: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (episode.seed, sentence, format!("{:?}", episode.condition)).hash(&mut hasher);
    hasher.finish()
}

/// Where the next target comes from.
struct Driver<'a> {
    rules: &'a Rules,
    sentence: &'a str,
    mode: Option<Mode>,
    seed: u64,
    /// One for each episode, so that nothing is remembered from one to the next.
    robot: u64,
    /// Rows still to be executed, the next one last.
    rows: Vec<JointVector>,
}

impl<'a> Driver<'a> {
    fn new(episode: &Episode, rules: &'a Rules, sentence: &'a str) -> Self {
        Self {
            rules,
            sentence,
            mode: match episode.condition {
                Condition::Policy(mode) => Some(mode.into()),
                Condition::WrongInstruction => Some(rules.control_mode),
                Condition::MeanAction => None,
            },
            seed: episode.seed,
            robot: robot(episode, sentence),
            rows: Vec::new(),
        }
    }

    fn target(&mut self, world: &World, actor: &mut dyn Actor) -> Result<JointVector, ActorError> {
        let Some(mode) = self.mode else {
            return Ok(self.rules.mean_action.unwrap_or_else(|| world.state()));
        };
        if self.rows.is_empty() {
            self.rows = self.ask(world, actor, mode)?;
        }
        self.rows
            .pop()
            .ok_or_else(|| ActorError::new("the policy returned a chunk without rows"))
    }

    fn ask(
        &self,
        world: &World,
        actor: &mut dyn Actor,
        mode: Mode,
    ) -> Result<Vec<JointVector>, ActorError> {
        let images = self
            .rules
            .cameras
            .iter()
            .map(|camera| {
                let picture = world.render(*camera);
                RgbImage::new(picture.width, picture.height, picture.rgb)
                    .map_err(|error| ActorError::new(error.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let acted = actor.act(&ActRequest {
            robot: self.robot,
            tag: &self.rules.tag,
            images: &images,
            state: &world.state(),
            instruction: self.sentence,
            mode,
            seed: noise_seed(self.seed, world.tick()),
        })?;
        let mut rows = acted
            .actions
            .chunks_exact(acted.dims.max(1))
            .take(self.rules.n_action_steps)
            .map(JointVector::try_from)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| {
                ActorError::new(format!("the policy returned rows of {} values", acted.dims))
            })?;
        rows.reverse();
        Ok(rows)
    }
}
