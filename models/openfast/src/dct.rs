//! The orthonormal cosine transform over time.
//!
//! Coefficient k of a signal x of T samples is `w(k) * sum_t x[t] cos(pi (2t + 1) k / 2T)` with
//! `w(0) = sqrt(1/T)` and `w(k) = sqrt(2/T)`: SciPy's `dct(x, norm="ortho")`. The inverse is the
//! transpose.
//!
//! Every angle is a whole multiple of `pi / 2T`, so one table of a quarter turn serves all terms and
//! `cos` is evaluated T + 1 times, each in the octant where it is exact to the last bit. Sums run in
//! float64.
//!
//! A chunk is tens of steps long, too short for an FFT to pay. What does pay is the basis' mirror
//! symmetry: rows of even k are the same forwards and backwards, rows of odd k change sign. So the
//! samples are folded into the sums and the differences of the two ends, and each half takes a
//! matrix of a quarter of the size; as long as their number is even, the sums can be folded again.
//! The way back is in [`inverse`].

mod eight;
mod forward;
mod inverse;

use std::f64::consts::FRAC_PI_2;

use eight::{Eight, Eight32, Eight64, LANES};
use forward::{Forward, Scratch};
use inverse::Inverse;

/// The basis for one horizon, `[horizon, horizon]`, frequency outer: weight times cosine.
pub(crate) fn basis(horizon: usize) -> Vec<f64> {
    let turn = 4 * horizon;
    // cos(pi i / 2T) for i in 0..=T
    let quarter: Vec<f64> = (0..=horizon)
        .map(|i| {
            if 2 * i <= horizon {
                (FRAC_PI_2 * i as f64 / horizon as f64).cos()
            } else {
                (FRAC_PI_2 * (horizon - i) as f64 / horizon as f64).sin()
            }
        })
        .collect();
    let at = |index: usize| quarter.get(index).copied().unwrap_or_default();
    let cosine = |index: usize| {
        let index = index % turn;
        match index / horizon.max(1) {
            0 => at(index),
            1 => -at(2 * horizon - index),
            2 => -at(index - 2 * horizon),
            _ => at(turn - index),
        }
    };
    let first = (1.0 / horizon as f64).sqrt();
    let other = (2.0 / horizon as f64).sqrt();
    (0..horizon)
        .flat_map(|k| (0..horizon).map(move |t| (k, t)))
        .map(|(k, t)| {
            if k == 0 {
                first
            } else {
                other * cosine((2 * t + 1) * k)
            }
        })
        .collect()
}

/// The transform for one horizon.
#[derive(Debug, Clone)]
pub(crate) struct Dct {
    horizon: usize,
    exact: Forward<Eight64, 2>,
    quick: Forward<Eight32, 4>,
    inverse: Inverse,
}

/// Memory for transforming forward, to be reused.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    exact: Scratch<Eight64>,
    quick: Scratch<Eight32>,
}

impl Dct {
    /// Prepares a transform over `horizon` samples (at least one; the caller has checked).
    pub(crate) fn new(horizon: usize) -> Self {
        let basis = basis(horizon);
        let at = |k: usize, t: usize| basis.get(k * horizon + t).copied().unwrap_or_default();
        Self {
            horizon,
            exact: Forward::new(horizon, at),
            quick: Forward::new(horizon, at),
            inverse: Inverse::new(horizon, at),
        }
    }

    pub(crate) fn horizon(&self) -> usize {
        self.horizon
    }

    /// `[horizon, dims]` samples to `[horizon, dims]` coefficients, frequency outer. What `out` and
    /// `workspace` held before does not matter. Fitting needs them, which a browser does not do.
    #[cfg(any(test, not(target_arch = "wasm32")))]
    pub(crate) fn forward(
        &self,
        samples: &[f32],
        dims: usize,
        workspace: &mut Workspace,
        out: &mut Vec<f64>,
    ) {
        out.resize(samples.len(), 0.0);
        for from in groups(dims) {
            let columns = self
                .exact
                .columns(samples, dims, from, &mut workspace.exact);
            write(columns, out, from, dims, Eight::values);
        }
    }

    /// Coefficients in float32 and times `scale`, for rounding: exact, and rounded to float32 before and
    /// after the product, or else so near to that that the nearest whole number is the same. No sample
    /// has a magnitude above `largest`.
    pub(crate) fn forward_for_rounding(
        &self,
        samples: &[f32],
        dims: usize,
        scale: f32,
        largest: f32,
        workspace: &mut Workspace,
        out: &mut Vec<f32>,
    ) {
        out.resize(samples.len(), 0.0);
        let sure = 0.5 - self.quick_error(scale, largest);
        for from in groups(dims) {
            // Not for infinities and NaN either.
            if sure > 0.4 {
                let columns = self
                    .quick
                    .columns(samples, dims, from, &mut workspace.quick);
                let mut off = Eight32::default();
                write(columns, out, from, dims, |values| {
                    let values = values.times(scale);
                    off = values.off_whole(off);
                    values.values()
                });
                if off.values().into_iter().all(|off| off < sure) {
                    continue;
                }
            }
            let columns = self
                .exact
                .columns(samples, dims, from, &mut workspace.exact);
            write(columns, out, from, dims, |values| {
                values.values().map(|c| c as f32 * scale)
            });
        }
    }

    /// Upper bound of the error of scaled coefficients that are computed in float32.
    ///
    /// A weight, a fold and the product with it are rounded, then every sum, at most one for every two
    /// samples; in the end the result and the scaled result, here and where it is computed
    /// exactly. Each of these is off by 2^-24 of a magnitude which the sum of the magnitudes of all
    /// products bounds: all samples, times the largest weight.
    fn quick_error(&self, scale: f32, largest: f32) -> f32 {
        let samples = self.horizon as f64;
        let magnitude = (2.0 * samples).sqrt() * f64::from(largest) * f64::from(scale.abs());
        let roundings = 0.5 * samples + 4.0 + 2.0 * (self.horizon.ilog2() as f64 + 1.0);
        // A hundredth more for errors of errors, and for a sum that is rounded away from zero.
        (1.01 * roundings * magnitude * 2.0f64.powi(-24)) as f32
    }

    /// `[horizon, dims]` coefficients, each divided by `scale`, back to samples.
    pub(crate) fn inverse(&self, coefficients: &[i32], dims: usize, scale: f64) -> Vec<f32> {
        self.inverse.samples(coefficients, dims, scale)
    }
}

/// First column of every group of eight, last group first: see [`write`].
fn groups(dims: usize) -> impl Iterator<Item = usize> {
    (0..dims).step_by(LANES).rev()
}

/// Writes columns, from the column `from` on, into `[horizon, dims]`.
///
/// Eight values are written also where fewer columns are left, as long as there is room: those too many
/// fall on the beginning of the next row, which is written after this one, or with columns that are still
/// to come.
#[inline]
fn write<E: Copy, T: Copy>(
    columns: &[E],
    out: &mut [T],
    from: usize,
    dims: usize,
    mut finish: impl FnMut(E) -> [T; LANES],
) {
    let mut at = from;
    for column in columns {
        let values = finish(*column);
        let places = out.get_mut(at..).unwrap_or_default();
        at += dims;
        if let Some(whole) = places.first_chunk_mut() {
            *whole = values;
            continue;
        }
        for (place, value) in places.iter_mut().zip(values) {
            *place = value;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_basis_is_orthonormal() {
        for horizon in [1, 2, 3, 7, 16, 30, 50] {
            let basis = basis(horizon);
            let rows: Vec<&[f64]> = basis.chunks_exact(horizon).collect();
            for (i, a) in rows.iter().enumerate() {
                for (j, b) in rows.iter().enumerate() {
                    let dot: f64 = a.iter().zip(*b).map(|(x, y)| x * y).sum();
                    let want = if i == j { 1.0 } else { 0.0 };
                    assert!(
                        (dot - want).abs() < 1e-14,
                        "horizon {horizon}: {i}.{j} = {dot}"
                    );
                }
            }
        }
    }

    #[test]
    fn both_directions_are_products_with_the_basis() {
        // One for all, so that each finds what the one before left.
        let mut workspace = Workspace::default();
        for horizon in [1, 2, 3, 7, 8, 15, 16, 17, 30, 50] {
            for dims in [1, 3, 8, 11] {
                let dct = Dct::new(horizon);
                let basis = basis(horizon);
                let row = |k: usize| basis.get(k * horizon..(k + 1) * horizon).unwrap();
                let values: Vec<i32> = (0..horizon * dims)
                    .map(|i| {
                        if i % 3 == 0 {
                            0
                        } else {
                            (i * i % 41) as i32 - 20
                        }
                    })
                    .collect();
                let samples: Vec<f32> = values.iter().map(|&v| v as f32).collect();
                let at = |t: usize, d: usize| f64::from(*values.get(t * dims + d).unwrap());
                let mut forward = vec![f64::NAN; 3];
                dct.forward(&samples, dims, &mut workspace, &mut forward);
                let inverse = dct.inverse(&values, dims, 4.0);
                for k in 0..horizon {
                    for d in 0..dims {
                        let want: f64 = (0..horizon)
                            .map(|t| row(k).get(t).unwrap() * at(t, d))
                            .sum();
                        assert!((forward.get(k * dims + d).unwrap() - want).abs() < 1e-12);
                        let want: f64 = (0..horizon)
                            .map(|t| row(t).get(k).unwrap() * at(t, d))
                            .sum();
                        let got = f64::from(*inverse.get(k * dims + d).unwrap());
                        assert!((got - want / 4.0).abs() < 1e-5);
                    }
                }
            }
        }
    }

    #[test]
    fn coefficients_for_rounding_round_as_exact_ones() {
        let mut workspace = Workspace::default();
        let (mut quick, mut exact) = (vec![f32::NAN; 5], Vec::new());
        let mut state = 7u64;
        let mut draw = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        };
        for horizon in [1, 2, 3, 5, 7, 8, 15, 16, 30, 50, 64, 100] {
            let dct = Dct::new(horizon);
            for (dims, scale, size) in [
                (1, 10.0, 1.0),
                (6, 10.0, 1.0),
                (7, 37.5, 0.3),
                (8, 100.0, 1.0),
                (14, 10.0, 1.0),
                (21, 1.0, 50.0),
                (32, 1000.0, 4.0),
                (3, 10.0, 1e30),
                (9, -10.0, 1.0),
                (2, 0.0, 1.0),
                (5, 1e-6, 1e-30),
            ] {
                let mut samples: Vec<f32> = (0..horizon * dims).map(|_| size * draw()).collect();
                // Columns that end on ties, or near: at rest, where the mean counts alone.
                let step = 0.5 / (scale * (horizon as f32).sqrt());
                for (d, tie) in (0..dims).step_by(3).zip([1.0f32, -3.0, 7.0]) {
                    for row in samples.chunks_exact_mut(dims) {
                        row[d] = tie * step;
                    }
                }
                let samples: Vec<f32> = samples
                    .into_iter()
                    .map(|v| if v.is_finite() { v } else { 0.5 })
                    .collect();
                let largest = samples.iter().fold(0.0f32, |a, b| a.max(b.abs()));
                dct.forward_for_rounding(
                    &samples,
                    dims,
                    scale,
                    largest,
                    &mut workspace,
                    &mut quick,
                );
                dct.forward(&samples, dims, &mut workspace, &mut exact);
                assert_eq!(quick.len(), exact.len());
                let error = dct.quick_error(scale, largest);
                for (quick, exact) in quick.iter().zip(&exact) {
                    let want = *exact as f32 * scale;
                    assert_eq!(
                        quick.round_ties_even(),
                        want.round_ties_even(),
                        "{horizon}x{dims} {scale}"
                    );
                    assert!(
                        (quick - want).abs() <= error || error > 0.1,
                        "{quick} {want} {error}"
                    );
                }
            }
        }
    }

    #[test]
    fn matches_the_definition() {
        let horizon = 10;
        let basis = basis(horizon);
        for k in 0..horizon {
            for t in 0..horizon {
                let angle =
                    std::f64::consts::PI * (2 * t + 1) as f64 * k as f64 / (2 * horizon) as f64;
                let weight = if k == 0 { 0.1f64.sqrt() } else { 0.2f64.sqrt() };
                let got = basis.get(k * horizon + t).unwrap();
                assert!((got - weight * angle.cos()).abs() < 1e-14);
            }
        }
    }
}
