//! Triangles, and the solids of the scene.

use rapier3d::math::{Pose, Vec3};

use crate::trig;

/// A flat colored triangle in the table frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Triangle {
    pub(crate) corners: [Vec3; 3],
    /// Outward unit normal.
    pub(crate) normal: Vec3,
    /// Color under full light, each channel in 0..1, as displayed.
    pub(crate) color: Vec3,
    /// True if it casts a shadow on the table.
    pub(crate) casts_shadow: bool,
}

/// A growing list of triangles.
#[derive(Debug, Default)]
pub(crate) struct Mesh {
    pub(crate) triangles: Vec<Triangle>,
    /// True if solids added from now on cast shadows.
    pub(crate) casts_shadow: bool,
}

impl Mesh {
    /// Adds a convex polygon of a convex solid around `center`; the winding does not matter.
    fn polygon(&mut self, points: &[Vec3], center: Vec3, color: Vec3) {
        let [first, rest @ ..] = points else { return };
        for pair in rest.windows(2) {
            let [second, third] = pair else { continue };
            let normal = (*second - *first)
                .cross(*third - *first)
                .normalize_or_zero();
            let outward = (*first + *second + *third) / 3.0 - center;
            let normal = if normal.dot(outward) < 0.0 {
                -normal
            } else {
                normal
            };
            self.triangles.push(Triangle {
                corners: [*first, *second, *third],
                normal,
                color,
                casts_shadow: self.casts_shadow,
            });
        }
    }

    /// A box with beveled edges; `half` are its half sizes in the frame of `pose`.
    pub(crate) fn beveled_box(&mut self, pose: Pose, half: Vec3, bevel: f32, color: Vec3) {
        let center = pose.translation;
        let inner = half - Vec3::splat(bevel);
        // A corner's point on the face perpendicular to `axis`.
        let on_face = |axis: usize, sign: [f32; 3]| {
            let pick =
                |index: usize, full: f32, short: f32| if axis == index { full } else { short };
            let [sx, sy, sz] = sign;
            pose * Vec3::new(
                sx * pick(0, half.x, inner.x),
                sy * pick(1, half.y, inner.y),
                sz * pick(2, half.z, inner.z),
            )
        };
        let signs = [-1.0f32, 1.0];
        for axis in 0..3usize {
            for s in signs {
                let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
                    .map(|(a, b)| on_face(axis, spread(axis, s, a, b)));
                self.polygon(&corners, center, color);
            }
        }
        if bevel <= 0.0 {
            return;
        }
        // Edges run along `axis`, between the faces of the two other axes.
        for axis in 0..3usize {
            let (first, second) = ((axis + 1) % 3, (axis + 2) % 3);
            for a in signs {
                for b in signs {
                    let at = |face: usize, s: f32| on_face(face, spread(axis, s, a, b));
                    let quad = [
                        at(first, -1.0),
                        at(first, 1.0),
                        at(second, 1.0),
                        at(second, -1.0),
                    ];
                    self.polygon(&quad, center, color);
                }
            }
        }
        for x in signs {
            for y in signs {
                for z in signs {
                    let corner = [0usize, 1, 2].map(|axis| on_face(axis, [x, y, z]));
                    self.polygon(&corner, center, color);
                }
            }
        }
    }

    /// A prism or truncated cone along the z axis of `pose`, from z = `from` to z = `to`.
    pub(crate) fn frustum(
        &mut self,
        pose: Pose,
        from: (f32, f32),
        to: (f32, f32),
        sides: u32,
        color: Vec3,
    ) {
        let ((z0, r0), (z1, r1)) = (from, to);
        let center = pose * Vec3::new(0.0, 0.0, (z0 + z1) / 2.0);
        let ring = |z: f32, r: f32| -> Vec<Vec3> {
            (0..sides)
                .map(|i| {
                    let angle = std::f32::consts::TAU * (i as f32 + 0.5) / sides as f32;
                    pose * Vec3::new(r * trig::cos(angle), r * trig::sin(angle), z)
                })
                .collect()
        };
        let (low, high) = (ring(z0, r0), ring(z1, r1));
        self.polygon(&low, center, color);
        self.polygon(&high, center, color);
        let pairs = low.iter().zip(&high);
        for ((a, b), (c, d)) in pairs.clone().zip(pairs.cycle().skip(1)) {
            self.polygon(&[*a, *b, *d, *c], center, color);
        }
    }

    /// A cylinder centered on `pose`, along its y axis.
    pub(crate) fn axle(&mut self, pose: Pose, radius: f32, half_length: f32, color: Vec3) {
        let rotated = pose * Pose::rotation(Vec3::new(std::f32::consts::FRAC_PI_2, 0.0, 0.0));
        self.frustum(
            rotated,
            (-half_length, radius),
            (half_length, radius),
            20,
            color,
        );
    }
}

/// Signs (x, y, z) with `along` on `axis` and `first`, `second` on the axes after it.
fn spread(axis: usize, along: f32, first: f32, second: f32) -> [f32; 3] {
    match axis {
        0 => [along, first, second],
        1 => [second, along, first],
        _ => [first, second, along],
    }
}
