//! Meshes of the scene: the solids drawn for cubes, tray and arm.
//!
//! Colors are plain and far apart, so that a small network can distinguish them at a low resolution: a light table, a
//! graphite arm, and finger tips in a color that no cube has.

use rapier3d::math::{Pose, Vec3};

use crate::arm::{ArmPose, FINGER_HALF, FOREARM, HAND, SHOULDER_HEIGHT, UPPER_ARM};
use crate::mesh::Mesh;
use crate::objects::{CUBE_HALF, Color, Tray};
use crate::world::World;

const GRAPHITE: Vec3 = Vec3::new(0.23, 0.25, 0.29);
const STEEL: Vec3 = Vec3::new(0.60, 0.63, 0.67);
const DARK: Vec3 = Vec3::new(0.13, 0.14, 0.16);
const TIP: Vec3 = Vec3::new(0.93, 0.24, 0.72);
const TRAY: Vec3 = Vec3::new(0.56, 0.60, 0.66);

fn cube_color(color: Color) -> Vec3 {
    match color {
        Color::Red => Vec3::new(0.90, 0.12, 0.10),
        Color::Green => Vec3::new(0.10, 0.68, 0.22),
        Color::Blue => Vec3::new(0.08, 0.28, 0.93),
        Color::Yellow => Vec3::new(0.99, 0.82, 0.05),
    }
}

/// Mesh of the scene without the table.
pub(crate) fn scene(world: &World) -> Mesh {
    let mut mesh = Mesh {
        casts_shadow: true,
        ..Mesh::default()
    };
    for (index, color) in world.colors().iter().enumerate() {
        mesh.beveled_box(
            world.cube_pose(index),
            Vec3::splat(CUBE_HALF),
            0.0025,
            cube_color(*color),
        );
    }
    tray(&mut mesh, &world.tray());
    arm(&mut mesh, &world.arm());
    mesh
}

fn tray(mesh: &mut Mesh, tray: &Tray) {
    for (half, center) in tray.boxes() {
        mesh.beveled_box(Pose::from_translation(center), half, 0.0012, TRAY);
    }
}

fn arm(mesh: &mut Mesh, arm: &ArmPose) {
    let ground = Pose::identity();
    mesh.frustum(ground, (0.0, 0.062), (0.016, 0.060), 28, DARK);
    mesh.frustum(ground, (0.016, 0.052), (0.050, 0.046), 28, GRAPHITE);
    let turret = arm.turret * Pose::translation(0.010, 0.0, SHOULDER_HEIGHT / 2.0 + 0.022);
    mesh.beveled_box(
        turret,
        Vec3::new(0.034, 0.030, SHOULDER_HEIGHT / 2.0 - 0.022),
        0.006,
        GRAPHITE,
    );

    mesh.axle(arm.upper_arm, 0.029, 0.040, STEEL);
    link(mesh, arm.upper_arm, UPPER_ARM, 0.021);
    mesh.axle(arm.forearm, 0.026, 0.036, STEEL);
    link(mesh, arm.forearm, FOREARM, 0.018);
    mesh.axle(arm.wrist, 0.022, 0.030, STEEL);

    // The hand: motor, palm, fingers.
    let hand = arm.hand;
    mesh.frustum(hand, (0.070, 0.021), (HAND - 0.012, 0.019), 16, GRAPHITE);
    mesh.beveled_box(
        hand * Pose::translation(0.0, 0.0, 0.068),
        Vec3::new(0.016, 0.050, 0.011),
        0.004,
        STEEL,
    );
    let tip_half = Vec3::new(FINGER_HALF.x, FINGER_HALF.y, 0.019);
    let rest = FINGER_HALF.z - tip_half.z;
    for side in [1.0f32, -1.0] {
        let finger = arm.finger(side);
        let tip = finger * Pose::translation(0.0, 0.0, tip_half.z - FINGER_HALF.z);
        mesh.beveled_box(tip, tip_half, 0.0015, TIP);
        let upper = finger * Pose::translation(0.0, 0.0, FINGER_HALF.z - rest);
        mesh.beveled_box(
            upper,
            Vec3::new(FINGER_HALF.x * 0.85, FINGER_HALF.y * 0.9, rest),
            0.001,
            DARK,
        );
    }
}

/// A link of the arm along the z axis of `pose`, slightly tapered, with a light stripe.
fn link(mesh: &mut Mesh, pose: Pose, length: f32, half_width: f32) {
    let middle = pose * Pose::translation(0.0, 0.0, length / 2.0);
    mesh.beveled_box(
        middle,
        Vec3::new(half_width, half_width * 0.95, length / 2.0),
        0.006,
        GRAPHITE,
    );
    let stripe = Vec3::new(half_width + 0.0012, half_width * 0.5, length * 0.28);
    mesh.beveled_box(middle, stripe, 0.001, STEEL);
}
