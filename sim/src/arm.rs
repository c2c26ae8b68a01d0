//! The arm: joints, limits, forward and inverse kinematics.
//!
//! Table frame: origin on the table top under the shoulder's vertical axis, x away from the robot
//! (towards the overview camera), y to the robot's left, z up. Meters; joint angles in degrees.
//!
//! The proportions follow an SO-101 made a third larger, so that the work area is a hand's breadth wider.
//! Unlike the SO-101, both jaws move, symmetrically.

use rapier3d::math::{Pose, Rot3, Vec3};
use serde::Serialize;

use crate::trig;
use crate::{DOF, JointVector};

/// Description of one joint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct JointInfo {
    /// Name, as robots of this family call it.
    pub name: &'static str,
    /// Lowest position: degrees, or percent for the gripper.
    pub min: f32,
    /// Highest position: degrees, or percent for the gripper.
    pub max: f32,
    /// Fastest motion, in degrees (percent for the gripper) per second.
    pub max_speed_per_sec: f32,
}

const fn joint(name: &'static str, min: f32, max: f32, max_speed_per_sec: f32) -> JointInfo {
    JointInfo {
        name,
        min,
        max,
        max_speed_per_sec,
    }
}

/// The joints, in the order of every [`JointVector`].
pub const JOINTS: [JointInfo; DOF] = [
    joint("shoulder_pan", -110.0, 110.0, 150.0),
    joint("shoulder_lift", -100.0, 100.0, 150.0),
    joint("elbow_flex", -97.0, 97.0, 150.0),
    joint("wrist_flex", -100.0, 115.0, 180.0),
    joint("wrist_roll", -160.0, 160.0, 240.0),
    joint("gripper", 0.0, 100.0, 220.0),
];

/// Index of the gripper in a [`JointVector`].
pub(crate) const GRIPPER: usize = 5;

/// Horizontal distance of the shoulder's lift axis from the pan axis, meters.
const SHOULDER_OFFSET: f32 = 0.02;
/// Height of the shoulder's lift axis over the table, meters.
pub(crate) const SHOULDER_HEIGHT: f32 = 0.11;
/// Length of the upper arm, meters.
pub(crate) const UPPER_ARM: f32 = 0.18;
/// Length of the forearm, meters.
pub(crate) const FOREARM: f32 = 0.18;
/// From the wrist axis to the point between the finger tips, meters.
pub(crate) const HAND: f32 = 0.13;
/// Opening between the finger pads at 100 percent, meters.
pub(crate) const MAX_GAP: f32 = 0.070;

/// Half sizes of a finger: along the hand's x (pad width), y (thickness) and z (length), meters.
pub(crate) const FINGER_HALF: Vec3 = Vec3::new(0.012, 0.0065, 0.030);
/// Distance that a finger reaches past the point between the tips, meters.
pub(crate) const FINGER_BELOW_TCP: f32 = 0.012;

/// Opening between the pads in meters for a gripper position in percent.
pub(crate) fn gap_from_percent(percent: f32) -> f32 {
    percent / 100.0 * MAX_GAP
}

/// Gripper position in percent for an opening between the pads in meters.
pub(crate) fn percent_from_gap(gap: f32) -> f32 {
    gap / MAX_GAP * 100.0
}

/// Poses of every link of the arm, in the table frame.
///
/// The hand frame has its origin at the tool center point (between the finger tips), z back towards the wrist
/// and y along the closing direction of the jaws. With the hand pointing down and pan + roll = 0 its axes are
/// those of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArmPose {
    /// Turret: origin on the table, turned by the pan joint.
    pub(crate) turret: Pose,
    /// Origin at the shoulder axis, z along the upper arm.
    pub(crate) upper_arm: Pose,
    /// Origin at the elbow axis, z along the forearm.
    pub(crate) forearm: Pose,
    /// Origin at the wrist axis, not rolled, z back along the hand.
    pub(crate) wrist: Pose,
    /// The hand frame.
    pub(crate) hand: Pose,
    /// Opening between the pads, meters.
    pub(crate) gap: f32,
}

impl ArmPose {
    /// Forward kinematics. `joints` as in [`JointVector`].
    pub(crate) fn from_joints(joints: &JointVector) -> Self {
        let [pan, lift, elbow, flex, roll, grip] = *joints;
        let turn = rot_z(pan);
        let turret = Pose::from_rotation(turn);
        let shoulder = turn * Vec3::new(SHOULDER_OFFSET, 0.0, SHOULDER_HEIGHT);
        let upper_rot = turn * rot_y(lift);
        let elbow_at = shoulder + upper_rot * Vec3::new(0.0, 0.0, UPPER_ARM);
        let fore_rot = turn * rot_y(90.0 + lift + elbow);
        let wrist_at = elbow_at + fore_rot * Vec3::new(0.0, 0.0, FOREARM);
        let wrist_rot = turn * rot_y(lift + elbow + flex - 90.0);
        let hand_rot = wrist_rot * rot_z(roll);
        let tcp = wrist_at - hand_rot * Vec3::new(0.0, 0.0, HAND);
        Self {
            turret,
            upper_arm: Pose::from_parts(shoulder, upper_rot),
            forearm: Pose::from_parts(elbow_at, fore_rot),
            wrist: Pose::from_parts(wrist_at, wrist_rot),
            hand: Pose::from_parts(tcp, hand_rot),
            gap: gap_from_percent(grip),
        }
    }

    /// The point between the finger tips.
    pub(crate) fn tcp(&self) -> Vec3 {
        self.hand.translation
    }

    /// Pose of the center of a finger; `side` is +1 for the one at the hand's +y, -1 for the other.
    pub(crate) fn finger(&self, side: f32) -> Pose {
        let local = Vec3::new(
            0.0,
            side * (self.gap / 2.0 + FINGER_HALF.y),
            FINGER_HALF.z - FINGER_BELOW_TCP,
        );
        Pose::from_parts(self.hand * local, self.hand.rotation)
    }

    /// The points of both finger ends that may touch something below: a 3 x 2 grid under each finger.
    pub(crate) fn finger_end_points(&self) -> [Vec3; 12] {
        let mut points = [Vec3::ZERO; 12];
        let mut slots = points.iter_mut();
        for side in [-1.0f32, 1.0] {
            for x in [-1.0f32, 0.0, 1.0] {
                for inner in [0.0f32, 2.0] {
                    let local = Vec3::new(
                        x * FINGER_HALF.x,
                        side * (self.gap / 2.0 + inner * FINGER_HALF.y),
                        -FINGER_BELOW_TCP,
                    );
                    if let Some(slot) = slots.next() {
                        *slot = self.hand * local;
                    }
                }
            }
        }
        points
    }
}

/// Joint angles (the first five, degrees) that bring the tool center point to `tcp` with the hand pointing
/// straight down and its x axis at `yaw_deg` in the table frame.
///
/// A point out of reach is replaced by the nearest one within reach, so there always is an answer; the
/// result is clamped to the joint limits.
pub(crate) fn inverse_kinematics(tcp: Vec3, yaw_deg: f32) -> [f32; 5] {
    let pan = trig::atan2(tcp.y, tcp.x).to_degrees();
    let radial = (tcp.x * tcp.x + tcp.y * tcp.y).sqrt() - SHOULDER_OFFSET;
    let height = tcp.z + HAND - SHOULDER_HEIGHT;
    let longest = (UPPER_ARM + FOREARM) * 0.998;
    let distance = (radial * radial + height * height)
        .sqrt()
        .clamp(0.06, longest);
    let rise = trig::atan2(height, radial).to_degrees();
    let at_shoulder = trig::acos(
        (UPPER_ARM * UPPER_ARM + distance * distance - FOREARM * FOREARM)
            / (2.0 * UPPER_ARM * distance),
    )
    .to_degrees();
    let at_elbow = trig::acos(
        (UPPER_ARM * UPPER_ARM + FOREARM * FOREARM - distance * distance)
            / (2.0 * UPPER_ARM * FOREARM),
    )
    .to_degrees();
    let lift = 90.0 - (rise + at_shoulder);
    let elbow = 90.0 - at_elbow;
    let flex = 90.0 - lift - elbow;
    // The hand looks the same turned by half a turn, so the roll may always be the smaller one.
    let roll = trig::wrap_deg(yaw_deg - pan, 180.0);
    let mut joints = [pan, lift, elbow, flex, roll];
    for (value, info) in joints.iter_mut().zip(&JOINTS) {
        *value = value.clamp(info.min, info.max);
    }
    joints
}

/// Rotation about z by an angle in degrees.
pub(crate) fn rot_z(deg: f32) -> Rot3 {
    Rot3::from_rotation_z(deg.to_radians())
}

/// Rotation about y by an angle in degrees.
pub(crate) fn rot_y(deg: f32) -> Rot3 {
    Rot3::from_rotation_y(deg.to_radians())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_then_forward_kinematics_returns_to_the_point() {
        for x in [0.15f32, 0.2, 0.25, 0.29] {
            for y in [-0.18f32, -0.1, 0.0, 0.15] {
                for z in [0.02f32, 0.06, 0.12] {
                    let point = Vec3::new(x, y, z);
                    let [a, b, c, d, e] = inverse_kinematics(point, 7.0);
                    let pose = ArmPose::from_joints(&[a, b, c, d, e, 50.0]);
                    assert!(
                        (pose.tcp() - point).length() < 1e-4,
                        "{point:?} gives {:?}",
                        pose.tcp()
                    );
                    let along = pose.hand.rotation * Vec3::X;
                    let yaw = trig::atan2(along.y, along.x).to_degrees();
                    assert!(trig::wrap_deg(yaw - 7.0, 180.0).abs() < 0.05, "yaw {yaw}");
                }
            }
        }
    }

    #[test]
    fn a_point_out_of_reach_gives_finite_angles_within_the_limits() {
        for point in [
            Vec3::new(2.0, 0.0, 0.0),
            Vec3::new(0.0, 0.0, 0.0),
            Vec3::new(-0.3, 0.1, 1.0),
        ] {
            for (value, info) in inverse_kinematics(point, 0.0).iter().zip(&JOINTS) {
                assert!(value.is_finite() && *value >= info.min && *value <= info.max);
            }
        }
    }
}
