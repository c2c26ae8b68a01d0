//! Progress of a task, read from the physics: the ground truth for progress rewards.

use rapier3d::math::Vec3;

use crate::monitor::{PICK_HEIGHT, PUSH_DISTANCE, REACH_DISTANCE};
use crate::objects::{CUBE_HALF, Tray};
use crate::task::{Task, TaskFamily};
use crate::world::World;

/// Distance from its goal beyond which the hand has made no progress, meters.
const FAR: f32 = 0.32;
/// Progress of a completed approach to the cube, where more steps follow.
const APPROACH: f32 = 0.4;
/// Displacement below which a cube has not been pushed, meters.
const UNMOVED: f32 = 0.012;
/// Progress of a cube in the hand.
const HELD: f32 = 0.5;
/// Progress of a cube in the hand over the tray.
const OVER_TRAY: f32 = 0.85;

/// Measures the progress of a task from its start.
///
/// The progress depends only on the state and on the cube's position at the start: 0 at the start, 1 when the task is
/// complete. It decreases when a cube is dropped or pushed back. It is a scale for rewards; the success test is
/// [`TaskMonitor`](crate::TaskMonitor).
#[derive(Debug, Clone)]
pub struct TaskProgress {
    task: Task,
    start: Vec3,
}

impl TaskProgress {
    /// Starts measuring. Displacements count from the cube's current position.
    pub fn new(task: &Task, world: &World) -> TaskProgress {
        let start = world
            .index_of(task.object)
            .map_or(Vec3::ZERO, |index| world.cube_pose(index).translation);
        TaskProgress { task: *task, start }
    }

    /// Progress of the task in `world`, from 0 to 1; 0 for a cube that the scene does not have.
    pub fn of(&self, world: &World) -> f32 {
        let Some(index) = world.index_of(self.task.object) else {
            return 0.0;
        };
        let at = world.cube_pose(index).translation;
        let held = world.held() == Some(index);
        let top = at + Vec3::new(0.0, 0.0, CUBE_HALF);
        let distance = (world.arm().tcp() - top).length();
        let near = 1.0 - ((distance - REACH_DISTANCE) / (FAR - REACH_DISTANCE)).clamp(0.0, 1.0);
        match self.task.family {
            TaskFamily::Reach => near,
            TaskFamily::Push => self.pushed(at, near, held),
            TaskFamily::PickUp => {
                let height = at.z - CUBE_HALF;
                if held || height > UNMOVED {
                    HELD + (1.0 - HELD) * (height / PICK_HEIGHT).clamp(0.0, 1.0)
                } else {
                    APPROACH * near
                }
            }
            TaskFamily::Place => placed(&world.tray(), at, near, held),
        }
    }

    fn pushed(&self, at: Vec3, near: f32, held: bool) -> f32 {
        let Some(direction) = self.task.direction else {
            return 0.0;
        };
        let moved = Vec3::new(at.x - self.start.x, at.y - self.start.y, 0.0);
        let along = direction.vector();
        let forth = moved.dot(along);
        let side = (moved - along * forth).length();
        if held || at.z > CUBE_HALF * 1.6 || side > PUSH_DISTANCE {
            return 0.0;
        }
        if moved.length() < UNMOVED {
            return APPROACH * near;
        }
        if forth <= side {
            // Pushed in another direction.
            return 0.0;
        }
        APPROACH + (1.0 - APPROACH) * (forth / PUSH_DISTANCE).clamp(0.0, 1.0)
    }
}

fn placed(tray: &Tray, at: Vec3, near: f32, held: bool) -> f32 {
    let inside = tray.covers(at.x, at.y, 0.008);
    if inside && !held && at.z < Tray::HEIGHT + CUBE_HALF {
        return 1.0;
    }
    if !held {
        return APPROACH * near;
    }
    let away = ((at.x - tray.x).powi(2) + (at.y - tray.y).powi(2)).sqrt();
    let carried = 1.0 - ((away - Tray::HALF / 2.0) / FAR).clamp(0.0, 1.0);
    HELD + (OVER_TRAY - HELD) * carried
}
