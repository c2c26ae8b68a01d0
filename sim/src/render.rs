//! Rendering: the scene's triangles are shaded, rasterized and downsampled over a table with soft shadows.

use std::cell::RefCell;

use rapier3d::math::Vec3;

use crate::camera::{Camera, HEIGHT_PIXELS, View, WIDTH_PIXELS};
use crate::mesh::Triangle;
use crate::meshes;
use crate::raster::{OVERSAMPLING, Samples, TABLE, WIDTH};
use crate::shadow::ShadowMap;
use crate::world::World;

/// A rendered image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Width, pixels.
    pub width: usize,
    /// Height, pixels.
    pub height: usize,
    /// Red, green, blue per pixel, row by row from the top left: `width * height * 3` bytes.
    pub rgb: Vec<u8>,
    /// Distance along the optical axis per pixel, millimeters; 0 if there is no surface within 65 m. Only the overview
    /// camera has depth.
    pub depth_mm: Option<Vec<u16>>,
}

/// Buffers reused between images: they are as large as an image, and clearing is cheaper than allocating.
#[derive(Default)]
struct Buffers {
    samples: Samples,
    shadows: ShadowMap,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Direction to the light, not normalized: from the viewer's upper left, in front.
const TO_LIGHT: Vec3 = Vec3::new(0.30, -0.42, 1.0);

/// Renders the scene from a camera.
pub fn render(world: &World, camera: Camera) -> Rendered {
    let view = camera.view(&world.arm());
    let mesh = meshes::scene(world);
    BUFFERS.with_borrow_mut(|Buffers { samples, shadows }| {
        shadows.draw(&mesh.triangles, TO_LIGHT);
        samples.clear(&view);
        for triangle in &mesh.triangles {
            let [corner, ..] = triangle.corners;
            if triangle.normal.dot(corner - view.eye) < 0.0 {
                samples.triangle(
                    &view,
                    triangle.corners.map(|p| view.to_camera(p)),
                    shade(triangle),
                );
            }
        }
        Rendered {
            width: WIDTH_PIXELS,
            height: HEIGHT_PIXELS,
            rgb: resolve(samples, shadows, &view),
            depth_mm: (camera == Camera::Overview).then(|| depth(samples)),
        }
    })
}

/// Packed color of a lit triangle. Light is added in linear space, approximated by the square of the displayed value.
fn shade(triangle: &Triangle) -> u32 {
    let sun = triangle.normal.dot(TO_LIGHT.normalize()).max(0.0);
    let sky = 0.5 + 0.5 * triangle.normal.z;
    let light = 0.34 + 0.22 * sky + 0.62 * sun;
    let channel = |v: f32| (((v * v * light).sqrt().min(1.0) * 255.0) + 0.5) as u32;
    0xff00_0000
        | channel(triangle.color.x) << 16
        | channel(triangle.color.y) << 8
        | channel(triangle.color.z)
}

/// Color of the table at a point, 0..255 per channel.
fn table_color(shadows: &ShadowMap, x: f32, y: f32) -> Vec3 {
    let (dx, dy) = (x - 0.20, y);
    let distance = (dx * dx + dy * dy).min(4.0);
    // A pool of light over the work area that fades into the background.
    let pool = 1.0 / (1.0 + 1.1 * distance);
    let base = Vec3::new(224.0, 217.0, 205.0) * (0.55 + 0.45 * pool)
        + Vec3::new(6.0, 8.0, 14.0) * (1.0 - pool);
    let shadow = shadows.at(x, y);
    base * (1.0 - 0.40 * shadow) + Vec3::new(0.0, 2.0, 8.0) * shadow
}

fn resolve(samples: &Samples, shadows: &ShadowMap, view: &View) -> Vec<u8> {
    let mut rgb = vec![0u8; WIDTH_PIXELS * HEIGHT_PIXELS * 3];
    let scale = 2.0 * view.half_width / WIDTH_PIXELS as f32;
    let rows = samples.color.chunks_exact(WIDTH * OVERSAMPLING);
    for (y, (rows, out)) in rows.zip(rgb.chunks_exact_mut(WIDTH_PIXELS * 3)).enumerate() {
        let (upper, lower) = rows.split_at(WIDTH);
        let down = (y as f32 + 0.5 - HEIGHT_PIXELS as f32 / 2.0) * scale;
        let row_ray = view.forward + view.down * down;
        let pairs = upper
            .chunks_exact(OVERSAMPLING)
            .zip(lower.chunks_exact(OVERSAMPLING));
        let mut column = 0.5 - WIDTH_PIXELS as f32 / 2.0;
        for ((above, below), pixel) in pairs.zip(out.chunks_exact_mut(3)) {
            let table = |bare: u32| -> [u32; 3] {
                let ray = row_ray + view.right * (column * scale);
                // Rays that do not go down end far away, in the background.
                let reach = if ray.z < -1e-3 {
                    -view.eye.z / ray.z
                } else {
                    1e3
                };
                let point = view.eye + ray * reach;
                let color = table_color(shadows, point.x, point.y);
                [color.x, color.y, color.z].map(|v| v as u32 * bare)
            };
            if let ([a, b], [c, d], [red, green, blue]) = (above, below, pixel) {
                let bare = [a, b, c, d]
                    .iter()
                    .filter(|sample| ***sample == TABLE)
                    .count() as u32;
                let [r, g, bl] = if bare > 0 { table(bare) } else { [0; 3] };
                let sum = |shift: u32| {
                    ((a >> shift) & 0xff)
                        + ((b >> shift) & 0xff)
                        + ((c >> shift) & 0xff)
                        + ((d >> shift) & 0xff)
                };
                *red = ((r + sum(16) + 2) / 4) as u8;
                *green = ((g + sum(8) + 2) / 4) as u8;
                *blue = ((bl + sum(0) + 2) / 4) as u8;
            }
            column += 1.0;
        }
    }
    rgb
}

fn depth(samples: &Samples) -> Vec<u16> {
    let mut depth_mm = Vec::with_capacity(WIDTH_PIXELS * HEIGHT_PIXELS);
    for rows in samples.inverse_depth.chunks_exact(WIDTH * OVERSAMPLING) {
        // One of the four samples: an average over an edge would be a distance without a surface.
        depth_mm.extend(
            rows.iter()
                .take(WIDTH)
                .step_by(OVERSAMPLING)
                .map(|inverse| {
                    let millimeters = 1000.0 / inverse.max(1e-9);
                    if millimeters < 65_535.0 {
                        (millimeters + 0.5) as u16
                    } else {
                        0
                    }
                }),
        );
    }
    depth_mm
}
