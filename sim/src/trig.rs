//! Trigonometry with the libm of the physics engine.
//!
//! The standard library calls the platform's own `sin`, which differs in the last bit from system to
//! system. All computations of the simulated state use these functions instead, so that a seed gives
//! the same episode on every machine.

use rapier3d::na::{ComplexField, RealField};

/// Sine of an angle in radians.
pub(crate) fn sin(rad: f32) -> f32 {
    ComplexField::sin(rad)
}

/// Cosine of an angle in radians.
pub(crate) fn cos(rad: f32) -> f32 {
    ComplexField::cos(rad)
}

/// Tangent of an angle in radians.
pub(crate) fn tan(rad: f32) -> f32 {
    ComplexField::tan(rad)
}

/// Arc cosine in radians; the argument is clamped to `[-1, 1]` first.
pub(crate) fn acos(x: f32) -> f32 {
    ComplexField::acos(x.clamp(-1.0, 1.0))
}

/// Angle of the vector `(x, y)` in radians.
pub(crate) fn atan2(y: f32, x: f32) -> f32 {
    RealField::atan2(y, x)
}

/// Wraps an angle in degrees into `(-period / 2, period / 2]`.
pub(crate) fn wrap_deg(deg: f32, period: f32) -> f32 {
    let wrapped = deg - period * (deg / period).round();
    if wrapped <= -period / 2.0 {
        wrapped + period
    } else {
        wrapped
    }
}
