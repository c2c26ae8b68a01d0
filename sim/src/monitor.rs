//! Success tests of tasks, read from the physics.

use rapier3d::math::Vec3;
use serde::Serialize;

use crate::CONTROL_RATE_HZ;
use crate::objects::{CUBE_HALF, Tray};
use crate::task::{Task, TaskFamily};
use crate::world::World;

/// Consecutive ticks for which the success condition must hold (0.3 s).
pub const DWELL_TICKS: u32 = CONTROL_RATE_HZ * 3 / 10;
/// Reach: greatest distance from the point between the finger tips to the center of the cube's top, meters.
pub const REACH_DISTANCE: f32 = 0.030;
/// Reach: greatest displacement of the cube, meters.
pub const REACH_DISTURBANCE: f32 = 0.020;
/// Push: least displacement in the direction of the task, meters.
pub const PUSH_DISTANCE: f32 = 0.050;
/// Pick up: least height of the cube's underside over the table, meters.
pub const PICK_HEIGHT: f32 = 0.050;

/// Status of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not yet successful.
    Running,
    /// Successful. This status is final.
    Succeeded,
}

/// Success test of one task, from its start.
///
/// * reach: finger tips within [`REACH_DISTANCE`] of the cube's top, the cube not moved by more than
///   [`REACH_DISTURBANCE`];
/// * push: the cube at least [`PUSH_DISTANCE`] further in the direction, less than that to the side, on the
///   table and not held;
/// * pick up: the cube's underside at least [`PICK_HEIGHT`] over the table;
/// * place: the cube at rest inside the tray, neither held nor touched by the fingers.
///
/// Each condition must hold for [`DWELL_TICKS`] consecutive ticks.
#[derive(Debug, Clone)]
pub struct TaskMonitor {
    task: Task,
    start: Vec3,
    /// True while a cube that was in the hand at the start has not come to rest.
    unsettled: bool,
    dwell: u32,
    succeeded_at_tick: Option<u64>,
}

impl TaskMonitor {
    /// Starts monitoring `task`. Displacements count from the cube's current position or, if the hand still holds it
    /// from an earlier task, from where it comes to rest.
    pub fn new(task: &Task, world: &World) -> TaskMonitor {
        let start = world
            .index_of(task.object)
            .map_or(Vec3::ZERO, |index| world.cube_pose(index).translation);
        TaskMonitor {
            task: *task,
            start,
            unsettled: world.held().is_some() && world.held() == world.index_of(task.object),
            dwell: 0,
            succeeded_at_tick: None,
        }
    }

    /// The monitored task.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Tick of the world at which the task succeeded, if it has.
    pub fn succeeded_at_tick(&self) -> Option<u64> {
        self.succeeded_at_tick
    }

    /// The status so far.
    pub fn status(&self) -> Status {
        if self.succeeded_at_tick.is_some() {
            Status::Succeeded
        } else {
            Status::Running
        }
    }

    /// Updates the status. Must be called once after every step of the world.
    pub fn update(&mut self, world: &World) -> Status {
        if self.unsettled && matches!(self.task.family, TaskFamily::Reach | TaskFamily::Push) {
            self.settle(world);
        } else if self.succeeded_at_tick.is_none() {
            self.dwell = if self.condition(world) {
                self.dwell + 1
            } else {
                0
            };
            if self.dwell >= DWELL_TICKS {
                self.succeeded_at_tick = Some(world.tick());
            }
        }
        self.status()
    }

    /// Resets the start once the cube has been put down.
    fn settle(&mut self, world: &World) {
        let Some(index) = world.index_of(self.task.object) else {
            return;
        };
        let at = world.cube_pose(index).translation;
        self.start = at;
        let lying = at.z < CUBE_HALF * 1.6;
        let still = world
            .objects()
            .get(index)
            .is_some_and(|object| object.speed < 0.02);
        self.unsettled = world.held() == Some(index) || !lying || !still;
    }

    fn condition(&self, world: &World) -> bool {
        let Some(index) = world.index_of(self.task.object) else {
            return false;
        };
        let pose = world.cube_pose(index);
        let at = pose.translation;
        let moved = at - self.start;
        let held = world.held() == Some(index);
        match self.task.family {
            TaskFamily::Reach => {
                let top = at + Vec3::new(0.0, 0.0, CUBE_HALF);
                (world.arm().tcp() - top).length() <= REACH_DISTANCE
                    && moved.length() <= REACH_DISTURBANCE
            }
            TaskFamily::Push => {
                let Some(direction) = self.task.direction else {
                    return false;
                };
                let along = direction.vector();
                let forth = moved.dot(along);
                let flat = Vec3::new(moved.x, moved.y, 0.0);
                let side = (flat - along * forth).length();
                forth >= PUSH_DISTANCE && side < PUSH_DISTANCE && !held && at.z < CUBE_HALF * 1.6
            }
            TaskFamily::PickUp => lowest_corner(&pose) >= PICK_HEIGHT,
            TaskFamily::Place => {
                let tray = world.tray();
                let resting = world
                    .objects()
                    .get(index)
                    .is_some_and(|object| object.speed < 0.02 && !object.touched)
                    && world.cube_spin(index) < 0.5;
                resting
                    && !held
                    && tray.covers(at.x, at.y, 0.008)
                    && at.z < Tray::HEIGHT + CUBE_HALF
            }
        }
    }
}

fn lowest_corner(pose: &rapier3d::math::Pose) -> f32 {
    // The support function of a cube along -z: the sum of the vertical extents of its axes.
    let reach: f32 = [Vec3::X, Vec3::Y, Vec3::Z]
        .iter()
        .map(|axis| (pose.rotation * *axis).z.abs() * CUBE_HALF)
        .sum();
    pose.translation.z - reach
}
