//! The world: a scene, its physics and the arm's servos, advanced one control tick at a time.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rapier3d::math::{Pose, Vec3};
use serde::Serialize;

use crate::arm::{ArmPose, GRIPPER, JOINTS, JointInfo, inverse_kinematics, percent_from_gap};
use crate::objects::{CUBE_HALF, Color, Tray};
use crate::physics::{Physics, SUBSTEP_SECS, SUBSTEPS};
use crate::scene::Layout;
use crate::{CONTROL_RATE_HZ, DOF, JointVector};

/// Share of the remaining distance that a servo covers in one physics step.
const SERVO_GAIN: f32 = 0.34;
/// Least distance of the finger tips from the surface below them, meters.
const CLEARANCE: f32 = 0.002;

/// State of a cube.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Object {
    /// Name, for example `red cube`.
    pub name: String,
    /// Color of the cube.
    pub color: Color,
    /// Center, meters, table frame (x away from the robot, y to the robot's left, z up).
    pub position: [f32; 3],
    /// Orientation in the table frame, a unit quaternion (x, y, z, w).
    pub rotation: [f32; 4],
    /// Half the side, meters.
    pub half_size: f32,
    /// True if the gripper holds it.
    pub held: bool,
    /// True if a finger touches it without holding it.
    pub touched: bool,
    /// Speed, meters per second.
    pub speed: f32,
}

/// Changes that one [`World::step`] made to its target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StepReport {
    /// True if the target had a NaN or an infinity. The arm held its position instead.
    pub refused: bool,
    /// Joints whose target was outside the limits and was clamped.
    pub limited: [bool; DOF],
    /// Joints that moved at their maximum speed, because the target was more than one tick away.
    pub slowed: [bool; DOF],
    /// True if a motion was stopped that would have pressed the fingers into the surface below.
    pub blocked: bool,
}

impl StepReport {
    /// True if the target was changed in any way.
    pub fn clamped(&self) -> bool {
        self.refused || self.blocked || self.limited.contains(&true) || self.slowed.contains(&true)
    }
}

/// A tabletop scene with the arm. A clone is an independent copy in the same state.
#[derive(Clone)]
pub struct World {
    seed: u64,
    tick: u64,
    joints: JointVector,
    tray: Tray,
    colors: Vec<Color>,
    physics: Physics,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.seed)
            .field("tick", &self.tick)
            .field("joints", &self.joints)
            .field("objects", &self.objects())
            .finish_non_exhaustive()
    }
}

impl World {
    /// A scene drawn from `seed`: two or three cubes of different colors, a tray, and the arm near its rest
    /// pose. The same seed and the same targets give the same episode, bit for bit.
    pub fn new(seed: u64) -> World {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let layout = Layout::sample(&mut rng);
        let [a, b, c, d, e] = inverse_kinematics(layout.tcp, layout.hand_yaw_deg);
        let joints = [a, b, c, d, e, layout.gripper_percent];
        let physics = Physics::new(&layout, &ArmPose::from_joints(&joints));
        World {
            seed,
            tick: 0,
            joints,
            tray: layout.tray,
            colors: layout.cubes.iter().map(|cube| cube.color).collect(),
            physics,
        }
    }

    /// Seed of the scene.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Control ticks since the start.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// Simulated seconds since the start.
    pub fn time_secs(&self) -> f64 {
        self.tick as f64 / f64::from(CONTROL_RATE_HZ)
    }

    /// The joints, in the order of every [`JointVector`].
    pub fn joints(&self) -> &'static [JointInfo] {
        &JOINTS
    }

    /// Measured joint positions: degrees, and percent for the gripper.
    pub fn state(&self) -> JointVector {
        self.joints
    }

    /// The cubes.
    pub fn objects(&self) -> Vec<Object> {
        self.colors
            .iter()
            .enumerate()
            .map(|(index, color)| {
                let pose = self.physics.cube(index);
                let (t, r) = (pose.translation, pose.rotation);
                let held = self.physics.held() == Some(index);
                Object {
                    name: format!("{} cube", color.name()),
                    color: *color,
                    position: [t.x, t.y, t.z],
                    rotation: [r.x, r.y, r.z, r.w],
                    half_size: CUBE_HALF,
                    held,
                    touched: !held && self.physics.finger_touches(index),
                    speed: self.physics.cube_speed(index).0,
                }
            })
            .collect()
    }

    /// The cube of a color, if the scene has one.
    pub fn object(&self, color: Color) -> Option<Object> {
        self.objects()
            .into_iter()
            .find(|object| object.color == color)
    }

    /// The colors of the cubes, in the order of [`World::objects`].
    pub fn colors(&self) -> &[Color] {
        &self.colors
    }

    /// The tray.
    pub fn tray(&self) -> Tray {
        self.tray
    }

    /// The point between the finger tips: meters, table frame.
    pub fn tool_center_point(&self) -> [f32; 3] {
        let tcp = self.arm().tcp();
        [tcp.x, tcp.y, tcp.z]
    }

    /// Advances one control tick (1/30 s) towards `target`: absolute joint positions, degrees and percent.
    ///
    /// Each servo covers a fixed share of the remaining distance per physics step, up to the joint's maximum speed.
    /// Targets outside the limits are clamped. A target that is not finite is refused, and the arm holds. A motion that
    /// would press the fingers into the table, the tray or the top of a cube stops.
    pub fn step(&mut self, target: &JointVector) -> StepReport {
        let mut report = StepReport {
            refused: !target.iter().all(|v| v.is_finite()),
            ..StepReport::default()
        };
        let mut goal = if report.refused { self.joints } else { *target };
        for ((value, info), limited) in goal.iter_mut().zip(&JOINTS).zip(&mut report.limited) {
            let clamped = value.clamp(info.min, info.max);
            *limited = clamped != *value;
            *value = clamped;
        }
        for _ in 0..SUBSTEPS {
            self.substep(&goal, &mut report);
        }
        self.tick += 1;
        report
    }

    pub(crate) fn arm(&self) -> ArmPose {
        ArmPose::from_joints(&self.joints)
    }

    pub(crate) fn cube_pose(&self, index: usize) -> Pose {
        self.physics.cube(index)
    }

    pub(crate) fn cube_spin(&self, index: usize) -> f32 {
        self.physics.cube_speed(index).1
    }

    pub(crate) fn held(&self) -> Option<usize> {
        self.physics.held()
    }

    pub(crate) fn index_of(&self, color: Color) -> Option<usize> {
        self.colors.iter().position(|c| *c == color)
    }

    fn substep(&mut self, goal: &JointVector, report: &mut StepReport) {
        let desired = servo_step(&self.joints, goal, &mut report.slowed);
        let mut next = self.joints;
        let mut clearance = self.clearance(&next);
        // Joint by joint, so that a blocked joint does not stop those that move away from or along the surface.
        for index in 0..DOF {
            let mut trial = next;
            if let (Some(slot), Some(value)) = (trial.get_mut(index), desired.get(index)) {
                *slot = *value;
            }
            let trial_clearance = self.clearance(&trial);
            if trial_clearance < CLEARANCE && trial_clearance < clearance {
                report.blocked = true;
            } else {
                next = trial;
                clearance = trial_clearance;
            }
        }
        let [.., gripper_goal] = *goal;
        let [.., gripper_before] = self.joints;
        if let Some(gap) = self.physics.held_gap() {
            let stop = percent_from_gap(gap);
            if let Some(gripper) = next.get_mut(GRIPPER) {
                if *gripper > stop + 0.5 {
                    self.physics.release();
                } else {
                    *gripper = stop;
                }
            }
        }
        self.joints = next;
        self.physics.step(
            &ArmPose::from_joints(&next),
            gripper_goal < gripper_before - 0.05,
        );
    }

    /// Height of the lowest finger point (or of the carried cube's lowest corner) over the surface below it.
    fn clearance(&self, joints: &JointVector) -> f32 {
        let arm = ArmPose::from_joints(joints);
        let now = self.arm();
        let held = self.physics.held();
        let mut least = f32::INFINITY;
        for (point, before) in arm.finger_end_points().iter().zip(&now.finger_end_points()) {
            let mut ground = self.tray.height_at(point.x, point.y);
            for index in (0..self.physics.cube_count()).filter(|index| held != Some(*index)) {
                let pose = self.physics.cube(index);
                let local = pose.inverse_transform_point(*point);
                let over = local.x.abs().max(local.y.abs()) < CUBE_HALF - 0.002;
                let top = pose.translation.z + CUBE_HALF;
                // Only a finger from above presses down; one from the side pushes.
                if over && before.z > top - 0.004 {
                    ground = ground.max(top);
                }
            }
            least = least.min(point.z - ground);
        }
        if let Some(index) = held {
            let in_hand = now.hand.inverse() * self.physics.cube(index);
            let pose = arm.hand * in_hand;
            for corner in cube_corners() {
                let point = pose * corner;
                // The carried cube may touch the surface; the clearance applies to the fingers only.
                least = least.min(point.z - self.tray.height_at(point.x, point.y) + CLEARANCE);
            }
        }
        least
    }
}

/// Joint positions after one physics step of the servos.
fn servo_step(from: &JointVector, goal: &JointVector, slowed: &mut [bool; DOF]) -> JointVector {
    let mut next = *from;
    for (((value, goal), info), slowed) in next.iter_mut().zip(goal).zip(&JOINTS).zip(slowed) {
        let most = info.max_speed_per_sec * SUBSTEP_SECS;
        let change = (goal - *value) * SERVO_GAIN;
        *slowed |= change.abs() > most;
        *value = (*value + change.clamp(-most, most)).clamp(info.min, info.max);
    }
    next
}

/// Joint positions after one control tick of the servos, with nothing in the way.
pub(crate) fn servo_tick(from: &JointVector, goal: &JointVector) -> JointVector {
    let mut slowed = [false; DOF];
    (0..SUBSTEPS).fold(*from, |state, _| servo_step(&state, goal, &mut slowed))
}

/// The corners of a cube about its center, meters.
fn cube_corners() -> [Vec3; 8] {
    let sign = |bit: u8, index: u8| {
        if index & bit == 0 {
            -CUBE_HALF
        } else {
            CUBE_HALF
        }
    };
    [0u8, 1, 2, 3, 4, 5, 6, 7].map(|i| Vec3::new(sign(1, i), sign(2, i), sign(4, i)))
}
