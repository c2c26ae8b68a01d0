//! The objects on the table: cubes and the tray.

use rapier3d::math::Vec3;
use serde::{Deserialize, Serialize};

/// Half the side of a cube, meters.
pub const CUBE_HALF: f32 = 0.02;

/// Color of a cube; no two cubes in a scene share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// Red.
    Red,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Yellow.
    Yellow,
}

impl Color {
    /// All colors.
    pub const ALL: [Color; 4] = [Color::Red, Color::Green, Color::Blue, Color::Yellow];

    /// English word for the color.
    pub fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Yellow => "yellow",
        }
    }
}

/// The tray: an open box with its sides along the table's axes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tray {
    /// Center of the floor's underside along x, meters, table frame.
    pub x: f32,
    /// Center of the floor's underside along y, meters.
    pub y: f32,
}

impl Tray {
    /// Half the outer side, meters.
    pub const HALF: f32 = 0.060;
    /// Thickness of the walls, meters.
    pub const WALL: f32 = 0.005;
    /// Thickness of the floor, meters.
    pub const FLOOR: f32 = 0.004;
    /// Height of the walls, meters.
    pub const HEIGHT: f32 = 0.022;

    /// True if a point (meters, table frame) is over the tray's floor, at least `margin` inside the walls.
    pub fn covers(&self, x: f32, y: f32, margin: f32) -> bool {
        let reach = Self::HALF - Self::WALL - margin;
        (x - self.x).abs() <= reach && (y - self.y).abs() <= reach
    }

    /// Height of the tray under a point, meters; 0 outside the tray.
    pub(crate) fn height_at(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = ((x - self.x).abs(), (y - self.y).abs());
        if dx > Self::HALF || dy > Self::HALF {
            0.0
        } else if self.covers(x, y, 0.0) {
            Self::FLOOR
        } else {
            Self::HEIGHT
        }
    }

    /// The floor and the four walls: half sizes and centers, meters, table frame.
    pub(crate) fn boxes(&self) -> [(Vec3, Vec3); 5] {
        let (half, wall) = (Self::HALF, Self::WALL / 2.0);
        let (floor, height) = (Self::FLOOR / 2.0, Self::HEIGHT / 2.0);
        let at = |dx: f32, dy: f32, z: f32| Vec3::new(self.x + dx, self.y + dy, z);
        let off = half - wall;
        [
            (Vec3::new(half, half, floor), at(0.0, 0.0, floor)),
            (Vec3::new(wall, half, height), at(off, 0.0, height)),
            (Vec3::new(wall, half, height), at(-off, 0.0, height)),
            (Vec3::new(half, wall, height), at(0.0, off, height)),
            (Vec3::new(half, wall, height), at(0.0, -off, height)),
        ]
    }
}
