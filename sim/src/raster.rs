//! Triangle rasterizer with a depth buffer.

use rapier3d::math::Vec3;

use crate::camera::{HEIGHT_PIXELS, View, WIDTH_PIXELS};

/// Samples per pixel side: edges are smoothed by averaging 2 x 2 samples.
pub(crate) const OVERSAMPLING: usize = 2;
/// Samples per row.
pub(crate) const WIDTH: usize = WIDTH_PIXELS * OVERSAMPLING;
/// Rows of samples.
pub(crate) const HEIGHT: usize = HEIGHT_PIXELS * OVERSAMPLING;

/// Near plane: closer surfaces are not drawn, meters.
const NEAR: f32 = 0.012;

/// Color value of a sample that shows only the table.
pub(crate) const TABLE: u32 = 0;

/// Color and depth of every sample of an image.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// 1 / distance along the optical axis, per meter; 0 for no surface.
    pub(crate) inverse_depth: Vec<f32>,
    /// 0xff_rr_gg_bb, or [`TABLE`].
    pub(crate) color: Vec<u32>,
    /// Horizontal coordinate of the center of each column. Looking it up lets the compiler vectorize the loops below,
    /// which converting an index does not.
    columns: Vec<f32>,
}

impl Samples {
    /// Clears the buffers and draws the table plane (z = 0) as the background.
    pub(crate) fn clear(&mut self, view: &View) {
        self.color.clear();
        self.color.resize(WIDTH * HEIGHT, TABLE);
        self.inverse_depth.resize(WIDTH * HEIGHT, 0.0);
        if self.columns.is_empty() {
            self.columns = (0..WIDTH).map(|x| x as f32 + 0.5).collect();
        }
        let scale = 2.0 * view.half_width / WIDTH as f32;
        let drop = -1.0 / view.eye.z.max(1e-4);
        let per_column = drop * view.right.z * scale;
        for (y, row) in self.inverse_depth.chunks_exact_mut(WIDTH).enumerate() {
            let down = (y as f32 + 0.5 - HEIGHT as f32 / 2.0) * scale;
            let left = -(WIDTH as f32) / 2.0 * scale;
            let start = drop * (view.forward.z + view.down.z * down + view.right.z * left);
            for (sample, x) in row.iter_mut().zip(&self.columns) {
                *sample = (start + per_column * x).max(0.0);
            }
        }
    }

    /// Draws a triangle given in camera coordinates.
    pub(crate) fn triangle(&mut self, view: &View, corners: [Vec3; 3], color: u32) {
        let mut polygon = [Vec3::ZERO; 4];
        let count = clip_near(corners, &mut polygon);
        let focal = WIDTH as f32 / (2.0 * view.half_width);
        let mut projected = polygon.iter().take(count).map(|p| {
            let w = 1.0 / p.z;
            Vec3::new(
                p.x * w * focal + WIDTH as f32 / 2.0,
                p.y * w * focal + HEIGHT as f32 / 2.0,
                w,
            )
        });
        let (Some(first), Some(mut second)) = (projected.next(), projected.next()) else {
            return;
        };
        for third in projected {
            self.fill([first, second, third], color);
            second = third;
        }
    }

    /// Fills a projected triangle: sample coordinates and inverse depth, which is affine over the image.
    fn fill(&mut self, corners: [Vec3; 3], color: u32) {
        let [a, b, c] = corners;
        let (ab, ac) = (b - a, c - a);
        let area = ab.x * ac.y - ab.y * ac.x;
        if area.abs() < 1e-6 {
            return;
        }
        let slope_x = (ab.z * ac.y - ac.z * ab.y) / area;
        let slope_y = (ac.z * ab.x - ab.z * ac.x) / area;
        let Self {
            inverse_depth,
            color: colors,
            columns,
        } = self;
        scan(corners.map(|p| [p.x, p.y]), WIDTH, HEIGHT, |y, from, to| {
            let row = y * WIDTH;
            let (Some(depths), Some(shades), Some(columns)) = (
                inverse_depth.get_mut(row + from..row + to),
                colors.get_mut(row + from..row + to),
                columns.get(from..to),
            ) else {
                return;
            };
            let start = a.z - slope_x * a.x + slope_y * (y as f32 + 0.5 - a.y);
            for ((depth, shade), x) in depths.iter_mut().zip(shades).zip(columns) {
                let inverse = start + slope_x * x;
                let closer = inverse > *depth;
                *depth = if closer { inverse } else { *depth };
                *shade = if closer { color } else { *shade };
            }
        });
    }
}

/// Clips a triangle at [`NEAR`]. Returns the number of corners left (0, 3 or 4).
fn clip_near(corners: [Vec3; 3], out: &mut [Vec3; 4]) -> usize {
    let mut count = 0;
    let mut push = |point: Vec3| {
        if let Some(slot) = out.get_mut(count) {
            *slot = point;
            count += 1;
        }
    };
    let [a, b, c] = corners;
    for (from, to) in [(a, b), (b, c), (c, a)] {
        let (inside, next_inside) = (from.z >= NEAR, to.z >= NEAR);
        if inside {
            push(from);
        }
        if inside != next_inside {
            push(from + (to - from) * ((NEAR - from.z) / (to.z - from.z)));
        }
    }
    count
}

/// Calls `row(y, from, to)` for every row of samples whose centers are in the triangle.
pub(crate) fn scan(
    corners: [[f32; 2]; 3],
    width: usize,
    height: usize,
    mut row: impl FnMut(usize, usize, usize),
) {
    let mut sorted = corners;
    sorted.sort_by(|[_, a], [_, b]| a.total_cmp(b));
    let [[x0, y0], [x1, y1], [x2, y2]] = sorted;
    // First sample whose center is at or after the coordinate.
    let first = |v: f32, most: usize| (v - 0.5).ceil().clamp(0.0, most as f32) as usize;
    for y in first(y0, height)..first(y2, height) {
        let at = y as f32 + 0.5;
        let long = x0 + (x2 - x0) * ((at - y0) / (y2 - y0));
        let short = if at < y1 {
            x0 + (x1 - x0) * ((at - y0) / (y1 - y0))
        } else {
            x1 + (x2 - x1) * ((at - y1) / (y2 - y1))
        };
        let (from, to) = (first(long.min(short), width), first(long.max(short), width));
        if from < to {
            row(y, from, to);
        }
    }
}
