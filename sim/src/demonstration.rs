//! Episodes with a known outcome: the expert solves the task, or the arm fails in one of four ways.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::task::{Task, TaskFamily};
use crate::{DOF, Expert, JointVector, Status, TaskMonitor, World};

/// Behavior of the arm in an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Behavior {
    /// The scripted expert solves it.
    Solve,
    /// The expert begins, then the arm stops.
    Stall,
    /// The expert does another task over the same scene.
    DoAnother,
    /// The expert begins, then the hand moves elsewhere and stays there.
    Leave,
    /// The arm does not move.
    StandStill,
}

impl Behavior {
    /// All behaviors.
    pub const ALL: [Behavior; 5] = [
        Self::Solve,
        Self::Stall,
        Self::DoAnother,
        Self::Leave,
        Self::StandStill,
    ];

    /// Name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Solve => "solve",
            Self::Stall => "stall",
            Self::DoAnother => "do_another",
            Self::Leave => "leave",
            Self::StandStill => "stand_still",
        }
    }
}

/// Maximum length of an episode after its success, ticks.
const AFTERMATH_TICKS: u32 = 40;
/// Range of the length of an episode that does not succeed, ticks.
const SHORTEST_TICKS: u32 = 60;
const LONGEST_TICKS: u32 = 170;
/// Maximum length of an episode of the expert, ticks. An expert that takes longer is stuck.
const MOST_TICKS: u32 = 300;

/// An episode, advanced tick by tick and fully determined by its seed.
#[derive(Debug, Clone)]
pub struct Demonstration {
    world: World,
    task: Task,
    /// Task that the expert carries out; differs from `task` for [`Behavior::DoAnother`].
    executed: Task,
    behavior: Behavior,
    monitor: TaskMonitor,
    rng: ChaCha8Rng,
    tick: u32,
    /// Tick at which the arm stops following the expert.
    turn: u32,
    /// Tick at which the episode ends; lowered once a solved task has succeeded.
    end: u32,
    elsewhere: JointVector,
}

impl Demonstration {
    /// An episode in the scene of `seed` with a task of `family`.
    pub fn new(seed: u64, family: TaskFamily, behavior: Behavior) -> Demonstration {
        let world = World::new(seed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6465_6d6f);
        let task = Task::sample(family, &world, &mut rng);
        let executed = if behavior == Behavior::DoAnother {
            task.wrong(&world, &mut rng)
        } else {
            task
        };
        let turn = match behavior {
            Behavior::StandStill => 0,
            Behavior::Stall | Behavior::Leave => rng.random_range(12..42),
            Behavior::Solve | Behavior::DoAnother => u32::MAX,
        };
        let end = match behavior {
            Behavior::Solve => MOST_TICKS,
            _ => rng.random_range(SHORTEST_TICKS..LONGEST_TICKS),
        };
        let mut elsewhere = world.state();
        for (value, reach) in elsewhere
            .iter_mut()
            .zip([25.0_f32, 12.0, 12.0, 10.0, 15.0, 30.0])
        {
            *value += rng.random_range(-reach..reach);
        }
        Demonstration {
            monitor: TaskMonitor::new(&task, &world),
            world,
            task,
            executed,
            behavior,
            rng,
            tick: 0,
            turn,
            end,
            elsewhere,
        }
    }

    /// The task of the instruction.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The arm's behavior.
    pub fn behavior(&self) -> Behavior {
        self.behavior
    }

    /// The current state of the scene.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// True if the task has succeeded so far.
    pub fn succeeded(&self) -> bool {
        self.monitor.status() == Status::Succeeded
    }

    /// Advances one tick. Returns `false` once the episode is over. `disturb` can change the joint targets.
    pub fn step(&mut self, disturb: &mut dyn FnMut(&JointVector, &World) -> JointVector) -> bool {
        if self.tick >= self.end {
            return false;
        }
        let target = self.target();
        let target = if self.tick < self.turn {
            disturb(&target, &self.world)
        } else {
            target
        };
        self.world.step(&target);
        self.tick += 1;
        let before = self.succeeded();
        self.monitor.update(&self.world);
        if self.behavior == Behavior::Solve && !before && self.succeeded() {
            let after = self.rng.random_range(8..AFTERMATH_TICKS);
            self.end = self.end.min(self.tick + after);
        }
        true
    }

    fn target(&mut self) -> JointVector {
        if self.tick >= self.turn {
            return match self.behavior {
                Behavior::Leave => self.elsewhere,
                _ => self.held_pose(),
            };
        }
        Expert::new()
            .chunk(&self.world, &self.executed, 1)
            .into_iter()
            .next()
            .unwrap_or_else(|| self.world.state())
    }

    /// Pose at which the arm stopped. It is stored, because following the measured state would let the arm drift.
    fn held_pose(&mut self) -> JointVector {
        if self.tick == self.turn {
            self.elsewhere = self.world.state();
        }
        let held: [f32; DOF] = self.elsewhere;
        held
    }
}
