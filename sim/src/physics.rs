//! The rigid bodies: table, tray, cubes, and the arm's links as kinematic bodies.
//!
//! The arm is position controlled, so its links are moved by their servos and push the cubes, but are not pushed back.
//! Grasping by friction between two kinematic jaws depends on solver details, so a grasp is a joint instead: when both
//! jaws touch the same cube on opposite sides while closing, the cube is fixed to the hand and the jaws stop at its
//! width. The hold breaks when an obstacle keeps the cube from following, and ends when the jaws open.

use rapier3d::math::{Pose, Vec3};
use rapier3d::prelude::{
    BroadPhaseBvh, CCDSolver, ColliderBuilder, ColliderHandle, ColliderSet, FixedJointBuilder,
    Group, ImpulseJointHandle, ImpulseJointSet, IntegrationParameters, InteractionGroups,
    InteractionTestMode, IslandManager, MultibodyJointSet, NarrowPhase, PhysicsPipeline,
    RigidBodyBuilder, RigidBodyHandle, RigidBodySet, SoftBodySet,
};

use crate::arm::{ArmPose, FINGER_BELOW_TCP, FINGER_HALF, FOREARM, rot_z};
use crate::objects::{CUBE_HALF, Tray};
use crate::scene::Layout;

/// Physics steps per control tick.
pub(crate) const SUBSTEPS: u32 = 4;
/// Length of a physics step, seconds.
pub(crate) const SUBSTEP_SECS: f32 = 1.0 / (30.0 * SUBSTEPS as f32);

const STATIC: Group = Group::GROUP_1;
const CUBE: Group = Group::GROUP_2;
const ARM: Group = Group::GROUP_3;

/// Distance below which a pad counts as touching, meters.
const TOUCH_DISTANCE: f32 = 0.0006;
/// Least overlap of a pad and a cube for a grasp, meters.
const LEAST_OVERLAP: f32 = 0.006;
/// Lag of the cube behind the hand at which the hold breaks, meters.
const BREAK_DISTANCE: f32 = 0.008;

const fn groups(memberships: Group, filter: Group) -> InteractionGroups {
    InteractionGroups::new(memberships, filter, InteractionTestMode::And)
}

/// The cube in the hand.
#[derive(Debug, Clone, Copy)]
struct Hold {
    cube: usize,
    joint: ImpulseJointHandle,
    cube_in_hand: Pose,
    gap: f32,
}

struct Finger {
    body: RigidBodyHandle,
    collider: ColliderHandle,
}

/// The physical state.
pub(crate) struct Physics {
    parameters: IntegrationParameters,
    pipeline: PhysicsPipeline,
    islands: IslandManager,
    broad_phase: BroadPhaseBvh,
    narrow_phase: NarrowPhase,
    bodies: RigidBodySet,
    colliders: ColliderSet,
    joints: ImpulseJointSet,
    multibody_joints: MultibodyJointSet,
    soft_bodies: SoftBodySet,
    ccd: CCDSolver,
    cubes: Vec<(RigidBodyHandle, ColliderHandle)>,
    forearm: RigidBodyHandle,
    hand: RigidBodyHandle,
    fingers: [Finger; 2],
    hold: Option<Hold>,
}

impl Clone for Physics {
    /// The pipeline and the continuous collision solver hold no state between steps, only buffers, so a
    /// clone starts them anew.
    fn clone(&self) -> Self {
        let [a, b] = &self.fingers;
        Self {
            parameters: self.parameters,
            pipeline: PhysicsPipeline::new(),
            islands: self.islands.clone(),
            broad_phase: self.broad_phase.clone(),
            narrow_phase: self.narrow_phase.clone(),
            bodies: self.bodies.clone(),
            colliders: self.colliders.clone(),
            joints: self.joints.clone(),
            multibody_joints: self.multibody_joints.clone(),
            soft_bodies: self.soft_bodies.clone(),
            ccd: self.ccd.clone(),
            cubes: self.cubes.clone(),
            forearm: self.forearm,
            hand: self.hand,
            fingers: [
                Finger {
                    body: a.body,
                    collider: a.collider,
                },
                Finger {
                    body: b.body,
                    collider: b.collider,
                },
            ],
            hold: self.hold,
        }
    }
}

impl Physics {
    /// Builds the scene with the arm at `arm`.
    pub(crate) fn new(layout: &Layout, arm: &ArmPose) -> Self {
        let mut bodies = RigidBodySet::new();
        let mut colliders = ColliderSet::new();
        add_table_and_tray(&layout.tray, &mut colliders);
        let cubes = layout
            .cubes
            .iter()
            .map(|cube| {
                let pose =
                    Pose::from_parts(Vec3::new(cube.x, cube.y, CUBE_HALF), rot_z(cube.yaw_deg));
                let body = bodies.insert(
                    RigidBodyBuilder::dynamic()
                        .pose(pose)
                        .ccd_enabled(true)
                        .can_sleep(false)
                        .linear_damping(0.4)
                        .angular_damping(0.8),
                );
                let collider = ColliderBuilder::cuboid(CUBE_HALF, CUBE_HALF, CUBE_HALF)
                    .density(600.0)
                    .friction(0.6)
                    .restitution(0.0)
                    .collision_groups(groups(CUBE, Group::ALL));
                (
                    body,
                    colliders.insert_with_parent(collider, body, &mut bodies),
                )
            })
            .collect();

        let mut link = |pose: Pose, shapes: Vec<ColliderBuilder>| {
            let body = bodies.insert(RigidBodyBuilder::kinematic_position_based().pose(pose));
            let mut last = ColliderHandle::invalid();
            for shape in shapes {
                let shape = shape
                    .friction(0.6)
                    .restitution(0.0)
                    .collision_groups(groups(ARM, CUBE));
                last = colliders.insert_with_parent(shape, body, &mut bodies);
            }
            (body, last)
        };
        let (forearm, _) = link(
            arm.forearm,
            vec![
                ColliderBuilder::capsule_z(FOREARM / 2.0, 0.018).translation(Vec3::new(
                    0.0,
                    0.0,
                    FOREARM / 2.0,
                )),
            ],
        );
        let (hand, _) = link(
            arm.hand,
            vec![
                ColliderBuilder::cuboid(0.016, 0.050, 0.011)
                    .translation(Vec3::new(0.0, 0.0, 0.068)),
                ColliderBuilder::cuboid(0.018, 0.018, 0.030)
                    .translation(Vec3::new(0.0, 0.0, 0.100)),
            ],
        );
        let fingers = [1.0f32, -1.0].map(|side| {
            let shape = ColliderBuilder::cuboid(FINGER_HALF.x, FINGER_HALF.y, FINGER_HALF.z);
            let (body, collider) = link(arm.finger(side), vec![shape]);
            Finger { body, collider }
        });

        Self {
            parameters: IntegrationParameters {
                dt: SUBSTEP_SECS,
                // Tolerances follow the size of the objects: decimeters, not meters.
                length_unit: 0.1,
                ..IntegrationParameters::default()
            },
            pipeline: PhysicsPipeline::new(),
            islands: IslandManager::new(),
            broad_phase: BroadPhaseBvh::default(),
            narrow_phase: NarrowPhase::new(),
            bodies,
            colliders,
            joints: ImpulseJointSet::new(),
            multibody_joints: MultibodyJointSet::new(),
            soft_bodies: SoftBodySet::new(),
            ccd: CCDSolver::new(),
            cubes,
            forearm,
            hand,
            fingers,
            hold: None,
        }
    }

    /// Advances one physics step in which the arm moves to `arm`.
    pub(crate) fn step(&mut self, arm: &ArmPose, closing: bool) {
        let [left, right] = &self.fingers;
        let moves = [
            (self.forearm, arm.forearm),
            (self.hand, arm.hand),
            (left.body, arm.finger(1.0)),
            (right.body, arm.finger(-1.0)),
        ];
        for (handle, pose) in moves {
            if let Some(body) = self.bodies.get_mut(handle) {
                body.set_next_kinematic_position(pose);
            }
        }
        self.pipeline.step(
            Vec3::new(0.0, 0.0, -9.81),
            &self.parameters,
            &mut self.islands,
            &mut self.broad_phase,
            &mut self.narrow_phase,
            &mut self.bodies,
            &mut self.colliders,
            &mut self.joints,
            &mut self.multibody_joints,
            &mut self.soft_bodies,
            &mut self.ccd,
            &(),
            &(),
        );
        match self.hold {
            None if closing => self.try_grasp(arm),
            None => {}
            Some(hold) => self.check_hold(hold, arm),
        }
    }

    /// Pose of a cube in the table frame.
    pub(crate) fn cube(&self, index: usize) -> Pose {
        self.cubes
            .get(index)
            .and_then(|(body, _)| self.bodies.get(*body))
            .map_or_else(Pose::identity, |body| *body.position())
    }

    /// Speed of a cube: meters per second and radians per second.
    pub(crate) fn cube_speed(&self, index: usize) -> (f32, f32) {
        self.cubes
            .get(index)
            .and_then(|(body, _)| self.bodies.get(*body))
            .map_or((0.0, 0.0), |body| {
                (body.linvel().length(), body.angvel().length())
            })
    }

    /// Number of cubes.
    pub(crate) fn cube_count(&self) -> usize {
        self.cubes.len()
    }

    /// The cube in the hand, if any.
    pub(crate) fn held(&self) -> Option<usize> {
        self.hold.map(|hold| hold.cube)
    }

    /// Opening at which the jaws are stopped by the cube between them, meters.
    pub(crate) fn held_gap(&self) -> Option<f32> {
        self.hold.map(|hold| hold.gap)
    }

    /// Releases the cube in the hand.
    pub(crate) fn release(&mut self) {
        let Some(hold) = self.hold.take() else { return };
        self.joints.remove(hold.joint, true);
        self.set_cube_filter(hold.cube, Group::ALL);
    }

    /// True if a finger touches the cube.
    pub(crate) fn finger_touches(&self, cube: usize) -> bool {
        self.cubes.get(cube).is_some_and(|(_, collider)| {
            self.fingers.iter().any(|finger| {
                self.touch_normal(finger.collider, *collider, TOUCH_DISTANCE)
                    .is_some()
            })
        })
    }

    fn set_cube_filter(&mut self, cube: usize, filter: Group) {
        if let Some((_, handle)) = self.cubes.get(cube)
            && let Some(collider) = self.colliders.get_mut(*handle)
        {
            collider.set_collision_groups(groups(CUBE, filter));
        }
    }

    /// World normal of the contact between two colliders, if they are closer than `limit`.
    fn touch_normal(&self, a: ColliderHandle, b: ColliderHandle, limit: f32) -> Option<Vec3> {
        let (manifold, contact) = self
            .narrow_phase
            .contact_pair(a, b)?
            .find_deepest_contact()?;
        (contact.dist < limit).then_some(manifold.data.normal)
    }

    fn try_grasp(&mut self, arm: &ArmPose) {
        let closing_axis = arm.hand.rotation * Vec3::Y;
        let [left, right] = &self.fingers;
        let found = self
            .cubes
            .iter()
            .enumerate()
            .position(|(index, (_, cube))| {
                // A corner of the cube between the ends of the tips is not a grasp.
                let in_hand = arm
                    .hand
                    .inverse_transform_point(self.cube(index).translation);
                let overlap_z = in_hand.z + CUBE_HALF + FINGER_BELOW_TCP;
                let overlap_x = FINGER_HALF.x + CUBE_HALF - in_hand.x.abs();
                let is_between_pads = overlap_z.min(overlap_x) > LEAST_OVERLAP;
                is_between_pads
                    && [left, right].iter().all(|finger| {
                        self.touch_normal(finger.collider, *cube, TOUCH_DISTANCE)
                            .is_some_and(|normal| normal.dot(closing_axis).abs() > 0.8)
                    })
            });
        let Some(cube) = found else { return };
        let Some((body, _)) = self.cubes.get(cube).copied() else {
            return;
        };
        let cube_in_hand = arm.hand.inverse() * self.cube(cube);
        let joint = FixedJointBuilder::new()
            .local_frame1(cube_in_hand)
            .local_frame2(Pose::identity());
        let joint = self.joints.insert(self.hand, body, joint, true);
        self.hold = Some(Hold {
            cube,
            joint,
            cube_in_hand,
            gap: arm.gap,
        });
        self.set_cube_filter(cube, STATIC | CUBE);
    }

    fn check_hold(&mut self, hold: Hold, arm: &ArmPose) {
        let expected = arm.hand * hold.cube_in_hand;
        let lag = (self.cube(hold.cube).translation - expected.translation).length();
        if lag > BREAK_DISTANCE {
            self.release();
        }
    }
}

fn add_table_and_tray(tray: &Tray, colliders: &mut ColliderSet) {
    let fixed = |shape: ColliderBuilder| {
        shape
            .friction(0.5)
            .restitution(0.0)
            .collision_groups(groups(STATIC, Group::ALL))
    };
    // A slab far larger than the image, so that no cube can fall off.
    colliders.insert(fixed(
        ColliderBuilder::cuboid(3.0, 3.0, 0.5).translation(Vec3::new(0.0, 0.0, -0.5)),
    ));
    for (half, center) in tray.boxes() {
        colliders.insert(fixed(
            ColliderBuilder::cuboid(half.x, half.y, half.z).translation(center),
        ));
    }
}
