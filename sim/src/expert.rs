//! The scripted expert: a stateless function from the current state to the next joint targets.
//!
//! Every decision depends only on what the images and the joint state show: the position and opening of the hand, the
//! position of the cube, and whether the hand holds it. A policy with just those inputs can therefore learn it, and the
//! expert gives targets for any state, including states that it would never reach itself.
//!
//! A chunk is a rollout of a small kinematic model ([`Belief`]): servos without obstacles, a cube that sticks
//! to closed jaws and yields to a pushing finger. A new chunk starts from the true state of the physics.

use rapier3d::math::Vec3;

use crate::arm::{
    ArmPose, FINGER_BELOW_TCP, FINGER_HALF, GRIPPER, gap_from_percent, inverse_kinematics,
    percent_from_gap,
};
use crate::direction::Direction;
use crate::objects::{CUBE_HALF, Tray};
use crate::task::{Task, TaskFamily};
use crate::world::{World, servo_tick};
use crate::{CONTROL_RATE_HZ, JointVector, trig};

/// Height of the tool center point for travelling over the cubes, meters.
const TRAVEL_HEIGHT: f32 = 0.095;
/// Height of a lifted cube, meters.
const LIFT_HEIGHT: f32 = 0.11;
/// Height of the tool center point over the table when grasping or pushing, meters.
const LOW: f32 = 0.020;
/// Fastest travel of the tool center point, meters per second.
const TRAVEL_SPEED: f32 = 0.32;
/// Travel while pushing, meters per second.
const PUSH_SPEED: f32 = 0.13;
/// Travel at the end of a path, meters per second.
const CREEP_SPEED: f32 = 0.03;
/// Gripper position for reaching and pushing, percent.
const POINTING: f32 = 25.0;
/// Gripper position for going around a cube, percent.
const OPEN: f32 = 95.0;

/// The scripted expert. It is stateless.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expert;

/// The expert's model of the world during a chunk.
struct Belief {
    joints: JointVector,
    cube: Vec3,
    cube_yaw_deg: f32,
    /// Gap at which the jaws stop, and the cube's position in the hand, while it is held.
    held: Option<(f32, Vec3)>,
    tray: Tray,
}

/// Goal of the hand for the next tick.
struct Intent {
    to: Vec3,
    speed: f32,
    yaw_deg: f32,
    gripper: f32,
}

impl Expert {
    /// Expert for all tasks.
    pub fn new() -> Expert {
        Expert
    }

    /// Joint targets for the next `horizon` ticks: row k is for tick now + k.
    ///
    /// After success the arm stays in place: the finger tips at the cube (reach), the cube lifted (pick up), the open
    /// hand above the tray (place). A push continues until the cube is near the end of the work area, then the hand
    /// rises. The chunk is empty only for a task with a cube that the scene does not have.
    pub fn chunk(&self, world: &World, task: &Task, horizon: usize) -> Vec<JointVector> {
        let Some(index) = world.index_of(task.object) else {
            return Vec::new();
        };
        // A wrong cube in the hand is put down first.
        let wrong = world.held().filter(|held| *held != index);
        let index = wrong.unwrap_or(index);
        let pose = world.cube_pose(index);
        let arm = world.arm();
        let held = (world.held() == Some(index))
            .then(|| (arm.gap, arm.hand.inverse_transform_point(pose.translation)));
        let facing = pose.rotation * flattest_axis(pose.rotation);
        let mut belief = Belief {
            joints: world.state(),
            cube: pose.translation,
            cube_yaw_deg: trig::wrap_deg(trig::atan2(facing.y, facing.x).to_degrees(), 90.0),
            held,
            tray: world.tray(),
        };
        (0..horizon)
            .map(|_| {
                let intent = match wrong {
                    Some(_) => belief.put_down(),
                    None => belief.intent(task),
                };
                belief.advance(&intent)
            })
            .collect()
    }
}

/// The cube's own axis that lies flattest on the table, so that its heading is the cube's yaw.
fn flattest_axis(rotation: rapier3d::math::Rot3) -> Vec3 {
    [Vec3::X, Vec3::Y, Vec3::Z]
        .into_iter()
        .min_by(|a, b| (rotation * *a).z.abs().total_cmp(&(rotation * *b).z.abs()))
        .unwrap_or(Vec3::X)
}

impl Belief {
    fn arm(&self) -> ArmPose {
        ArmPose::from_joints(&self.joints)
    }

    fn gripper(&self) -> f32 {
        self.joints.get(GRIPPER).copied().unwrap_or(0.0)
    }

    /// Advances the model by one tick and returns the joint target for it.
    fn advance(&mut self, intent: &Intent) -> JointVector {
        let tcp = self.arm().tcp();
        let offset = intent.to - tcp;
        let distance = offset.length();
        let most = (intent.speed / CONTROL_RATE_HZ as f32).max(1e-6);
        let step = most.min(distance);
        let next = if distance > 1e-6 {
            tcp + offset * (step / distance)
        } else {
            intent.to
        };
        let [a, b, c, d, e] = inverse_kinematics(next, intent.yaw_deg);
        let target = [a, b, c, d, e, intent.gripper];

        let before = self.joints;
        self.joints = servo_tick(&self.joints, &target);
        let arm = self.arm();
        match self.held {
            Some((gap, in_hand)) => {
                if self.gripper() > percent_from_gap(gap) + 0.5 {
                    self.held = None;
                    self.cube.z = self.tray.height_at(self.cube.x, self.cube.y) + CUBE_HALF;
                } else {
                    if let Some(gripper) = self.joints.get_mut(GRIPPER) {
                        *gripper = percent_from_gap(gap);
                    }
                    self.cube = arm.hand * in_hand;
                }
            }
            None => self.update_cube(&arm, &before),
        }
        target
    }

    /// Updates a cube between closing jaws or in front of a pushing finger.
    fn update_cube(&mut self, arm: &ArmPose, before: &JointVector) {
        let local = arm.hand.inverse_transform_point(self.cube);
        let at_its_height = local.z.abs() < CUBE_HALF;
        let [.., gripper_before] = *before;
        let grip = 2.0 * CUBE_HALF + 0.0005;
        let between = local.x.abs() < 0.018 && local.y.abs() < 0.014 && at_its_height;
        if between && gap_from_percent(gripper_before) >= grip && arm.gap <= grip {
            self.held = Some((grip, arm.hand.inverse_transform_point(self.cube)));
            if let Some(gripper) = self.joints.get_mut(GRIPPER) {
                *gripper = percent_from_gap(grip);
            }
            return;
        }
        // A closed hand that overlaps the cube has pushed it out along the shallower side.
        if at_its_height && arm.gap < grip {
            let reach_x = FINGER_HALF.x + CUBE_HALF;
            let reach_y = arm.gap / 2.0 + 2.0 * FINGER_HALF.y + CUBE_HALF;
            let (over_x, over_y) = (reach_x - local.x.abs(), reach_y - local.y.abs());
            if over_x > 0.0 && over_y > 0.0 {
                let moved = if over_x < over_y {
                    Vec3::new(reach_x * local.x.signum(), local.y, local.z)
                } else {
                    Vec3::new(local.x, reach_y * local.y.signum(), local.z)
                };
                let out = arm.hand * moved;
                self.cube = Vec3::new(out.x, out.y, self.cube.z);
            }
        }
    }

    fn intent(&self, task: &Task) -> Intent {
        match (task.family, task.direction) {
            (TaskFamily::Push, Some(direction)) if self.held.is_none() => self.push(direction),
            (TaskFamily::Reach, _) if self.held.is_none() => self.reach(),
            (TaskFamily::PickUp, _) => match self.held {
                Some(_) => self.lift(),
                None => self.grasp(),
            },
            (TaskFamily::Place, _) => self.place(),
            (TaskFamily::Push | TaskFamily::Reach, _) => self.put_down(),
        }
    }

    /// Path to a point near a cube: over the cubes at travel height, and down within a funnel above the point.
    ///
    /// `width` is the allowed horizontal distance from the point at the lowest height, meters.
    fn descend(&self, point: Vec3, width: f32, yaw_deg: f32, gripper: f32) -> Intent {
        let tcp = self.arm().tcp();
        let off = Vec3::new(point.x - tcp.x, point.y - tcp.y, 0.0);
        let distance = off.length();
        let funnel = (point.z + 3.0 * (distance - width).max(0.0)).min(TRAVEL_HEIGHT.max(point.z));
        let too_low = funnel - tcp.z;
        // Too low to move sideways safely: rise first, and sideways only as far as the funnel allows.
        let sideways = if too_low > 0.0 {
            (1.0 - too_low / 0.025).clamp(0.0, 1.0)
        } else {
            1.0
        };
        let goal = Vec3::new(tcp.x + off.x * sideways, tcp.y + off.y * sideways, funnel);
        Intent {
            to: goal,
            speed: slowing(goal - tcp),
            yaw_deg,
            gripper,
        }
    }

    fn reach(&self) -> Intent {
        let over = self.cube + Vec3::new(0.0, 0.0, CUBE_HALF + FINGER_BELOW_TCP + 0.005);
        self.with_closed_hand(self.descend(over, 0.008, 0.0, POINTING))
    }

    /// Prevents a hand that is open as wide as a cube from closing around one: it rises over the cubes, closes there,
    /// and only then follows `intent`.
    fn with_closed_hand(&self, intent: Intent) -> Intent {
        let tcp = self.arm().tcp();
        let over_cubes = 2.0 * CUBE_HALF + FINGER_BELOW_TCP + 0.010;
        if self.gripper() < percent_from_gap(2.0 * CUBE_HALF) - 6.0 {
            intent
        } else if tcp.z < over_cubes - 0.004 {
            let to = Vec3::new(tcp.x, tcp.y, over_cubes + 0.004);
            Intent {
                to,
                speed: slowing(to - tcp),
                yaw_deg: self.hand_yaw_deg(),
                gripper: self.gripper(),
            }
        } else {
            let to = Vec3::new(intent.to.x, intent.to.y, intent.to.z.max(over_cubes));
            Intent { to, ..intent }
        }
    }

    fn grasp(&self) -> Intent {
        let tcp = self.arm().tcp();
        let (dx, dy) = (self.cube.x - tcp.x, self.cube.y - tcp.y);
        let off = (dx * dx + dy * dy).sqrt();
        let point = Vec3::new(self.cube.x, self.cube.y, self.cube.z.max(LOW));
        let around = off < 0.009 && tcp.z < point.z + 0.008;
        let cube_width = percent_from_gap(2.0 * CUBE_HALF);
        if around && self.gripper() > cube_width - 4.0 {
            return Intent {
                to: point,
                speed: CREEP_SPEED,
                yaw_deg: self.cube_yaw_deg,
                gripper: 35.0,
            };
        }
        let mut intent = self.descend(point, 0.005, self.cube_yaw_deg, OPEN);
        // Not open wide enough to go around the cube: wait above it.
        if self.gripper() < 85.0 && !around {
            let above = self.cube.z + CUBE_HALF + FINGER_BELOW_TCP + 0.012;
            if intent.to.z < above && tcp.z > above - 0.01 {
                intent.to.z = above;
            }
        }
        intent
    }

    fn lift(&self) -> Intent {
        let tcp = self.arm().tcp();
        let goal = Vec3::new(tcp.x, tcp.y, LIFT_HEIGHT);
        Intent {
            to: goal,
            speed: slowing(goal - tcp),
            yaw_deg: self.hand_yaw_deg(),
            gripper: 35.0,
        }
    }

    fn place(&self) -> Intent {
        let tcp = self.arm().tcp();
        let in_tray = self.tray.covers(self.cube.x, self.cube.y, 0.010);
        match self.held {
            Some(_) => {
                let release = Tray::FLOOR + LOW + 0.012;
                let goal = Vec3::new(self.tray.x, self.tray.y, release);
                let off = ((goal.x - tcp.x).powi(2) + (goal.y - tcp.y).powi(2)).sqrt();
                if off < 0.014 && tcp.z < release + 0.006 {
                    return Intent {
                        to: goal,
                        speed: CREEP_SPEED,
                        yaw_deg: 0.0,
                        gripper: OPEN,
                    };
                }
                self.descend(goal, 0.010, 0.0, 35.0)
            }
            None if in_tray && self.cube.z < Tray::HEIGHT + CUBE_HALF => {
                // Done: open, rise out of the tray and stay.
                let goal = Vec3::new(self.tray.x, self.tray.y, LIFT_HEIGHT);
                let rising = Vec3::new(tcp.x, tcp.y, LIFT_HEIGHT);
                let goal = if tcp.z < 0.07 { rising } else { goal };
                Intent {
                    to: goal,
                    speed: slowing(goal - tcp).min(0.2),
                    yaw_deg: 0.0,
                    gripper: OPEN,
                }
            }
            None => self.grasp(),
        }
    }

    fn push(&self, direction: Direction) -> Intent {
        let tcp = self.arm().tcp();
        let along = direction.vector();
        let finger = match direction {
            // Closed fingers side by side along y; pads as wide as they are along x.
            Direction::Left | Direction::Right => {
                gap_from_percent(POINTING) / 2.0 + 2.0 * FINGER_HALF.y
            }
            Direction::Forward | Direction::Back => FINGER_HALF.x,
        };
        let contact = CUBE_HALF + finger;
        if direction.room(self.cube, &self.tray) < 0.004 {
            let goal = Vec3::new(tcp.x, tcp.y, TRAVEL_HEIGHT);
            return Intent {
                to: goal,
                speed: slowing(goal - tcp),
                yaw_deg: 0.0,
                gripper: POINTING,
            };
        }
        let offset = tcp - self.cube;
        let forth = offset.dot(along);
        let side = offset - along * forth;
        let off_line = (side.x * side.x + side.y * side.y).sqrt();
        let behind = forth < -(contact - 0.006) && forth > -(contact + 0.045);
        if behind && off_line < 0.014 && tcp.z < LOW + 0.012 {
            // Ahead along the line through the cube's center, low.
            let ahead = Vec3::new(tcp.x - side.x, tcp.y - side.y, LOW) + along * 0.03;
            return Intent {
                to: ahead,
                speed: PUSH_SPEED,
                yaw_deg: 0.0,
                gripper: POINTING,
            };
        }
        let start = self.cube - along * (contact + 0.018);
        let start = Vec3::new(start.x, start.y, LOW);
        self.with_closed_hand(self.descend(start, 0.006, 0.0, POINTING))
    }

    /// Lowers a held cube straight down and opens the hand.
    fn put_down(&self) -> Intent {
        let tcp = self.arm().tcp();
        let fall = self.cube.z - CUBE_HALF - self.tray.height_at(self.cube.x, self.cube.y);
        let goal = Vec3::new(tcp.x, tcp.y, tcp.z - fall);
        let open = self.held.is_none() || fall < 0.008;
        Intent {
            to: if open { tcp } else { goal },
            speed: slowing(goal - tcp),
            yaw_deg: self.hand_yaw_deg(),
            gripper: if open { OPEN } else { 35.0 },
        }
    }

    fn hand_yaw_deg(&self) -> f32 {
        let [pan, .., roll, _] = self.joints;
        pan + roll
    }
}

/// Speed that decreases near the goal, meters per second.
fn slowing(offset: Vec3) -> f32 {
    (offset.length() * 7.0).clamp(CREEP_SPEED, TRAVEL_SPEED)
}
