//! Random initial layouts of the scene.

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rapier3d::math::Vec3;

use crate::direction::{Direction, push_is_feasible};
use crate::objects::{CUBE_HALF, Color, Tray};

/// Initial placement of a cube.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CubePlacement {
    pub(crate) color: Color,
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) yaw_deg: f32,
}

/// Initial layout of an episode.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    pub(crate) cubes: Vec<CubePlacement>,
    pub(crate) tray: Tray,
    /// Initial tool center point, meters, table frame.
    pub(crate) tcp: Vec3,
    pub(crate) hand_yaw_deg: f32,
    pub(crate) gripper_percent: f32,
}

/// Smallest distance between the centers of two cubes, meters: the open gripper fits between them.
const SEPARATION: f32 = 0.085;

impl Layout {
    /// Draws a scene in which every task family is feasible with at least one cube.
    pub(crate) fn sample(rng: &mut ChaCha8Rng) -> Self {
        loop {
            let layout = Self::draw(rng);
            let pushable = layout.cubes.iter().any(|cube| {
                Direction::ALL.iter().any(|direction| {
                    push_is_feasible(
                        Vec3::new(cube.x, cube.y, CUBE_HALF),
                        *direction,
                        layout
                            .cubes
                            .iter()
                            .filter(|other| other.color != cube.color)
                            .map(|other| Vec3::new(other.x, other.y, CUBE_HALF)),
                        &layout.tray,
                    )
                })
            });
            if pushable {
                return layout;
            }
        }
    }

    fn draw(rng: &mut ChaCha8Rng) -> Self {
        let tray = Tray {
            x: 0.19 + rng.random_range(-0.015f32..0.015),
            y: 0.20 + rng.random_range(-0.015f32..0.015),
        };
        let mut colors = Color::ALL;
        colors.shuffle(rng);
        let count = rng.random_range(2..=3usize);
        let mut cubes: Vec<CubePlacement> = Vec::with_capacity(count);
        for color in colors.into_iter().take(count) {
            // Two or three cubes always fit in practice; the bound guarantees termination.
            for _ in 0..200 {
                let x = rng.random_range(0.185f32..0.295);
                let y = rng.random_range(-0.16f32..0.075);
                let yaw_deg = rng.random_range(-12.0f32..12.0);
                let clear = cubes.iter().all(|other| {
                    let (dx, dy) = (x - other.x, y - other.y);
                    dx * dx + dy * dy > SEPARATION * SEPARATION
                });
                if clear {
                    cubes.push(CubePlacement {
                        color,
                        x,
                        y,
                        yaw_deg,
                    });
                    break;
                }
            }
        }
        Self {
            cubes,
            tray,
            tcp: Vec3::new(
                rng.random_range(0.17f32..0.21),
                rng.random_range(-0.06f32..0.06),
                rng.random_range(0.145f32..0.185),
            ),
            hand_yaw_deg: rng.random_range(-10.0f32..10.0),
            gripper_percent: rng.random_range(10.0f32..50.0),
        }
    }
}
