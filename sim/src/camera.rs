//! The two cameras: their poses and the pinhole model.

use rapier3d::math::Vec3;
use serde::{Deserialize, Serialize};

use crate::arm::ArmPose;
use crate::trig;

/// Width of every image, pixels.
pub const WIDTH_PIXELS: usize = 320;
/// Height of every image, pixels.
pub const HEIGHT_PIXELS: usize = 240;

/// One of the robot's cameras.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Camera {
    /// Fixed camera that faces the robot across the table.
    Overview,
    /// Camera on the hand that looks past the finger tips.
    Wrist,
}

impl Camera {
    /// All cameras, in the order in which policies expect their images.
    pub const ALL: [Camera; 2] = [Camera::Overview, Camera::Wrist];

    /// Name of the view: `overview`, `wrist`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Wrist => "wrist",
        }
    }

    pub(crate) fn view(self, arm: &ArmPose) -> View {
        match self {
            Self::Overview => View::looking_at(
                Vec3::new(0.69, 0.022, 0.47),
                Vec3::new(0.165, 0.022, 0.070),
                Vec3::Z,
                43.0,
            ),
            Self::Wrist => {
                let eye = arm.hand * Vec3::new(-0.080, 0.0, 0.072);
                let target = arm.hand * Vec3::new(0.002, 0.0, -0.008);
                View::looking_at(eye, target, arm.hand.rotation * Vec3::X, 74.0)
            }
        }
    }
}

/// A pinhole camera. Camera coordinates: x right, y down, z forward, meters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) eye: Vec3,
    pub(crate) right: Vec3,
    pub(crate) down: Vec3,
    pub(crate) forward: Vec3,
    /// Tangent of half the horizontal field of view.
    pub(crate) half_width: f32,
}

impl View {
    fn looking_at(eye: Vec3, target: Vec3, up: Vec3, horizontal_fov_deg: f32) -> Self {
        let forward = (target - eye).normalize_or(Vec3::X);
        let right = forward.cross(up).normalize_or(Vec3::Y);
        let down = forward.cross(right);
        Self {
            eye,
            right,
            down,
            forward,
            half_width: trig::tan((horizontal_fov_deg / 2.0).to_radians()),
        }
    }

    /// A point of the table frame in camera coordinates.
    pub(crate) fn to_camera(self, point: Vec3) -> Vec3 {
        let offset = point - self.eye;
        Vec3::new(
            offset.dot(self.right),
            offset.dot(self.down),
            offset.dot(self.forward),
        )
    }
}
