//! Tasks: families, sampling, and mutually exclusive tasks.

use rand::Rng;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use crate::direction::{Direction, push_is_feasible};
use crate::objects::Color;
use crate::world::World;

/// A family of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskFamily {
    /// Bring the finger tips to a cube without moving it.
    Reach,
    /// Push a cube along the table in a direction.
    Push,
    /// Lift a cube off the table.
    PickUp,
    /// Put a cube into the tray.
    Place,
}

impl TaskFamily {
    /// All families.
    pub const fn all() -> [TaskFamily; 4] {
        [Self::Reach, Self::Push, Self::PickUp, Self::Place]
    }

    /// Name for reports and command lines: `reach`, `push`, `pick_up`, `place`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::Push => "push",
            Self::PickUp => "pick_up",
            Self::Place => "place",
        }
    }

    /// The family of a [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<TaskFamily> {
        Self::all().into_iter().find(|family| family.name() == name)
    }
}

/// A task in a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Task {
    /// The kind of task.
    pub family: TaskFamily,
    /// The cube to act on.
    pub object: Color,
    /// Direction of the push; only for [`TaskFamily::Push`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
}

impl Task {
    /// Draws a feasible task of `family` in the scene.
    ///
    /// If no task is feasible (a full tray, cubes at the edge; [`Task::options`] is then empty), it is a task with a
    /// random cube and, for a push, the direction with the most room.
    pub fn sample(family: TaskFamily, world: &World, rng: &mut impl Rng) -> Task {
        let options = Self::options(family, world);
        Self::draw(&options, rng).unwrap_or_else(|| Self::fallback(family, world, rng))
    }

    /// All tasks of a family that are feasible in the current scene.
    pub fn options(family: TaskFamily, world: &World) -> Vec<Task> {
        let colors = world.colors();
        let at = |index: usize| world.cube_pose(index).translation;
        let tray = world.tray();
        if family != TaskFamily::Push {
            // The tray has room for one cube.
            let in_tray = |index: usize| tray.covers(at(index).x, at(index).y, 0.0);
            let full = (0..colors.len()).any(in_tray);
            let possible = family != TaskFamily::Place || !full;
            return colors
                .iter()
                .filter(|_| possible)
                .map(|object| Task {
                    family,
                    object: *object,
                    direction: None,
                })
                .collect();
        }
        let mut options = Vec::new();
        for (index, object) in colors.iter().enumerate() {
            for direction in Direction::ALL {
                let others = (0..colors.len()).filter(|other| *other != index).map(at);
                if push_is_feasible(at(index), direction, others, &tray) {
                    options.push(Task {
                        family,
                        object: *object,
                        direction: Some(direction),
                    });
                }
            }
        }
        options
    }

    fn draw(options: &[Task], rng: &mut impl Rng) -> Option<Task> {
        if options.is_empty() {
            return None;
        }
        options.get(rng.random_range(0..options.len())).copied()
    }

    fn fallback(family: TaskFamily, world: &World, rng: &mut impl Rng) -> Task {
        let index = rng.random_range(0..world.colors().len().max(1));
        let object = world.colors().get(index).copied().unwrap_or(Color::Red);
        let at = world.cube_pose(index).translation;
        let tray = world.tray();
        let roomiest = Direction::ALL
            .into_iter()
            .max_by(|a, b| a.room(at, &tray).total_cmp(&b.room(at, &tray)));
        Task {
            family,
            object,
            direction: roomiest.filter(|_| family == TaskFamily::Push),
        }
    }

    /// Draws another task over the same scene whose success excludes success of this one: another cube or, for a push
    /// in half of the cases, another direction. It is feasible if any such task is.
    ///
    /// Reaching, pushing, lifting or placing another cube leaves this task's cube in place, so a policy that
    /// follows the wrong instruction must fail this task.
    pub fn wrong(&self, world: &World, rng: &mut impl Rng) -> Task {
        let mut options = Self::options(self.family, world);
        options.retain(|task| task != self);
        let (same, other): (Vec<Task>, Vec<Task>) = options
            .into_iter()
            .partition(|task| task.object == self.object);
        let prefer_same = rng.random_bool(0.5);
        let (first, second) = if prefer_same {
            (same, other)
        } else {
            (other, same)
        };
        Self::draw(&first, rng)
            .or_else(|| Self::draw(&second, rng))
            .unwrap_or_else(|| match self.direction {
                Some(direction) => Task {
                    direction: Some(direction.opposite()),
                    ..*self
                },
                None => {
                    let other = Color::ALL.into_iter().find(|color| *color != self.object);
                    Task {
                        object: other.unwrap_or(self.object),
                        ..*self
                    }
                }
            })
    }
}
