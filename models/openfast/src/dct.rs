//! The orthonormal cosine transform over time.
//!
//! Coefficient k of a signal x of T samples is `w(k) * sum_t x[t] cos(pi (2t + 1) k / 2T)` with
//! `w(0) = sqrt(1/T)` and `w(k) = sqrt(2/T)`: SciPy's `dct(x, norm="ortho")`. The inverse is the
//! transpose.
//!
//! Every angle is a whole multiple of `pi / 2T`, so one table of a quarter turn serves all terms and
//! `cos` is evaluated T + 1 times, each in the octant where it is exact to the last bit. Sums run in
//! float64. A chunk is tens of steps long: a plain sum is as fast as an FFT there, and more exact.

use std::f64::consts::FRAC_PI_2;

/// Cosines for one horizon.
#[derive(Debug, Clone)]
pub(crate) struct Dct {
    horizon: usize,
    /// `basis[k * horizon + t]`: weight times cosine.
    basis: Vec<f64>,
}

impl Dct {
    /// Prepares a transform over `horizon` samples (at least one; the caller has checked).
    pub(crate) fn new(horizon: usize) -> Self {
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
        let basis = (0..horizon)
            .flat_map(|k| (0..horizon).map(move |t| (k, t)))
            .map(|(k, t)| {
                if k == 0 {
                    first
                } else {
                    other * cosine((2 * t + 1) * k)
                }
            })
            .collect();
        Self { horizon, basis }
    }

    pub(crate) fn horizon(&self) -> usize {
        self.horizon
    }

    pub(crate) fn basis(&self) -> &[f64] {
        &self.basis
    }

    /// `[horizon, dims]` samples to `[horizon, dims]` coefficients, frequency outer.
    pub(crate) fn forward(&self, samples: &[f32], dims: usize) -> Vec<f64> {
        let mut out = vec![0.0; samples.len()];
        for (cosines, row) in self
            .basis
            .chunks_exact(self.horizon)
            .zip(out.chunks_exact_mut(dims))
        {
            for (&cosine, sample) in cosines.iter().zip(samples.chunks_exact(dims)) {
                for (sum, &x) in row.iter_mut().zip(sample) {
                    *sum += cosine * f64::from(x);
                }
            }
        }
        out
    }

    /// `[horizon, dims]` coefficients, each divided by `scale`, back to samples.
    pub(crate) fn inverse(&self, coefficients: &[i32], dims: usize, scale: f64) -> Vec<f32> {
        let mut sums = vec![0.0f64; coefficients.len()];
        let rows = self
            .basis
            .chunks_exact(self.horizon)
            .zip(coefficients.chunks_exact(dims));
        for (cosines, row) in rows {
            // Most high frequencies are zero in every dimension.
            if row.iter().all(|&coefficient| coefficient == 0) {
                continue;
            }
            for (&cosine, out) in cosines.iter().zip(sums.chunks_exact_mut(dims)) {
                for (sum, &coefficient) in out.iter_mut().zip(row) {
                    *sum += cosine * (f64::from(coefficient) / scale);
                }
            }
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_basis_is_orthonormal() {
        for horizon in [1, 2, 3, 7, 16, 30, 50] {
            let dct = Dct::new(horizon);
            let rows: Vec<&[f64]> = dct.basis().chunks_exact(horizon).collect();
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
    fn matches_the_definition() {
        let horizon = 10;
        let dct = Dct::new(horizon);
        for k in 0..horizon {
            for t in 0..horizon {
                let angle =
                    std::f64::consts::PI * (2 * t + 1) as f64 * k as f64 / (2 * horizon) as f64;
                let weight = if k == 0 { 0.1f64.sqrt() } else { 0.2f64.sqrt() };
                let got = dct.basis().get(k * horizon + t).unwrap();
                assert!((got - weight * angle.cos()).abs() < 1e-14);
            }
        }
    }
}
