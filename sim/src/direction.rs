//! Directions of a push, and the pushes that are feasible in a scene.

use rapier3d::math::Vec3;
use serde::{Deserialize, Serialize};

use crate::objects::Tray;

/// A direction on the table **in the image of the overview camera**.
///
/// That camera faces the robot, so the image's left is the robot's right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the left edge of the image: -y in the table frame.
    Left,
    /// To the right edge of the image: +y in the table frame.
    Right,
    /// Away from the camera, towards the robot's base (up in the image): -x in the table frame.
    Forward,
    /// Back towards the camera (down in the image): +x in the table frame.
    Back,
}

impl Direction {
    /// All directions.
    pub const ALL: [Direction; 4] = [Self::Left, Self::Right, Self::Forward, Self::Back];

    /// English word for the direction.
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
            Self::Forward => "forward",
            Self::Back => "back",
        }
    }

    /// The opposite direction.
    #[must_use]
    pub fn opposite(self) -> Direction {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
            Self::Forward => Self::Back,
            Self::Back => Self::Forward,
        }
    }

    /// Unit vector (x, y) in the table frame.
    pub fn in_table(self) -> [f32; 2] {
        match self {
            Self::Left => [0.0, -1.0],
            Self::Right => [0.0, 1.0],
            Self::Forward => [-1.0, 0.0],
            Self::Back => [1.0, 0.0],
        }
    }

    pub(crate) fn vector(self) -> Vec3 {
        let [x, y] = self.in_table();
        Vec3::new(x, y, 0.0)
    }

    /// Distance that a cube at `at` can be pushed before it leaves the work area, meters.
    pub(crate) fn room(self, at: Vec3, tray: &Tray) -> f32 {
        match self {
            Self::Left => at.y + 0.205,
            Self::Right => (tray.y - Tray::HALF - 0.028) - at.y,
            Self::Forward => at.x - 0.155,
            Self::Back => 0.330 - at.x,
        }
    }
}

/// Free distance that a push needs, meters: the success distance and a margin.
const PUSH_ROOM: f32 = 0.075;

/// True if a cube can be pushed: there is room behind it for the fingers and in front of it to move, and both are
/// within the arm's reach.
pub(crate) fn push_is_feasible(
    cube: Vec3,
    direction: Direction,
    others: impl Iterator<Item = Vec3>,
    tray: &Tray,
) -> bool {
    let along = direction.vector();
    if direction.room(cube, tray) < PUSH_ROOM {
        return false;
    }
    let behind = cube - along * 0.065;
    let ahead = cube + along * PUSH_ROOM;
    let radius = |p: Vec3| (p.x * p.x + p.y * p.y).sqrt();
    if radius(behind) > 0.345
        || radius(ahead) > 0.345
        || radius(behind) < 0.13
        || radius(ahead) < 0.13
    {
        return false;
    }
    if tray.covers(behind.x, behind.y, -0.04) || tray.covers(cube.x, cube.y, -0.03) {
        return false;
    }
    for other in others {
        let offset = other - cube;
        let (forth, side) = (
            offset.dot(along),
            (offset - along * offset.dot(along)).length(),
        );
        // The corridor swept by the cube and by the fingers behind it.
        if side < 0.052 && forth > -0.105 && forth < PUSH_ROOM + 0.05 {
            return false;
        }
    }
    true
}
