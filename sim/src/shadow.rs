//! Soft shadows on the table: the scene projected along the light into a small blurred map.

use rapier3d::math::Vec3;

use crate::mesh::Triangle;
use crate::raster::scan;

/// Corner of the map on the table (x, y), meters.
const FROM: [f32; 2] = [-0.24, -0.44];
/// Side of a texel, meters.
const TEXEL: f32 = 0.0032;
const ROWS: usize = 224;
const COLUMNS: usize = 272;

/// Share of the light lost at each point of the table.
#[derive(Debug, Default)]
pub(crate) struct ShadowMap {
    /// 0..=255 after blurring; rows along x, columns along y.
    shade: Vec<u8>,
    scratch: Vec<u8>,
}

impl ShadowMap {
    /// Draws the shadows of `triangles` under a light in direction `to_light`.
    pub(crate) fn draw(&mut self, triangles: &[Triangle], to_light: Vec3) {
        let Self { shade, scratch } = self;
        shade.clear();
        shade.resize(ROWS * COLUMNS, 0);
        scratch.resize(ROWS * COLUMNS, 0);
        for triangle in triangles
            .iter()
            .filter(|t| t.casts_shadow && t.normal.dot(to_light) > 0.0)
        {
            let corners = triangle.corners.map(|p| {
                let height = p.z.max(0.0);
                let x = p.x - to_light.x / to_light.z * height;
                let y = p.y - to_light.y / to_light.z * height;
                [(y - FROM[1]) / TEXEL, (x - FROM[0]) / TEXEL]
            });
            scan(corners, COLUMNS, ROWS, |y, from, to| {
                if let Some(row) = shade.get_mut(y * COLUMNS + from..y * COLUMNS + to) {
                    row.fill(252);
                }
            });
        }
        for _ in 0..2 {
            blur(shade, scratch, 1);
            blur(scratch, shade, COLUMNS);
        }
    }

    /// Share of the light lost at a point of the table, 0..1, interpolated.
    pub(crate) fn at(&self, x: f32, y: f32) -> f32 {
        let (row, column) = ((x - FROM[0]) / TEXEL - 0.5, (y - FROM[1]) / TEXEL - 0.5);
        if !(row >= 0.0 && column >= 0.0) {
            return 0.0;
        }
        let (r, c) = (row as usize, column as usize);
        if r + 1 >= ROWS || c + 1 >= COLUMNS {
            return 0.0;
        }
        let (fr, fc) = (row - r as f32, column - c as f32);
        let start = r * COLUMNS + c;
        let pair = |from: usize| match self.shade.get(from..from + 2) {
            Some([a, b]) => f32::from(*a) + (f32::from(*b) - f32::from(*a)) * fc,
            _ => 0.0,
        };
        let (upper, lower) = (pair(start), pair(start + COLUMNS));
        (upper + (lower - upper) * fr) / 252.0
    }
}

/// Averages each value with its two neighbors at distance `stride`. The border is not written.
fn blur(from: &[u8], to: &mut [u8], stride: usize) {
    let shifted = from
        .iter()
        .zip(from.iter().skip(stride))
        .zip(from.iter().skip(2 * stride));
    for (out, ((a, b), c)) in to.iter_mut().skip(stride).zip(shifted) {
        *out = ((u16::from(*a) + u16::from(*b) + u16::from(*c)) / 3) as u8;
    }
}
