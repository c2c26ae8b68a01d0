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
//! matrix of a quarter of the size. Forwards, several columns go together. Backwards they go one by
//! one, so that every coefficient that is zero can be passed over, and most are.

use std::f64::consts::FRAC_PI_2;

/// Sums kept in registers at a time.
const LANES: usize = 8;

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
    /// For the even and the odd frequencies: from folded samples to coefficients.
    forward: [Rows; 2],
    /// From coefficients to the two parts of a folded column.
    inverse: [Columns; 2],
}

impl Dct {
    /// Prepares a transform over `horizon` samples (at least one; the caller has checked).
    pub(crate) fn new(horizon: usize) -> Self {
        let basis = basis(horizon);
        let at = |k: usize, t: usize| basis.get(k * horizon + t).copied().unwrap_or_default();
        // The middle of an odd number of samples is its own mirror image: a sum, but no difference.
        let (even, odd) = (horizon.div_ceil(2), horizon / 2);
        Self {
            horizon,
            forward: [
                Rows::new(even, |k, t| at(2 * k, t)),
                Rows::new(odd, |k, t| at(2 * k + 1, t)),
            ],
            inverse: [
                Columns::new(even, even, |k, t| at(2 * k, t)),
                Columns::new(odd, even, |k, t| at(2 * k + 1, t)),
            ],
        }
    }

    pub(crate) fn horizon(&self) -> usize {
        self.horizon
    }

    /// `[horizon, dims]` samples to `[horizon, dims]` coefficients, frequency outer, each passed
    /// through `finish`.
    pub(crate) fn forward_with<T: Copy + Default>(
        &self,
        samples: &[f32],
        dims: usize,
        finish: impl Fn(f64) -> T,
    ) -> Vec<T> {
        let mut out = vec![T::default(); samples.len()];
        let [even, odd] = &self.forward;
        let mut sums = vec![[0.0; LANES]; even.size];
        let mut differences = vec![[0.0; LANES]; odd.size];
        for from in (0..dims).step_by(LANES) {
            let to = dims.min(from + LANES);
            // From both ends to the middle.
            let mut rows = samples
                .chunks_exact(dims)
                .map(|row| wide(row.get(from..to)));
            for (sum, difference) in sums.iter_mut().zip(&mut differences) {
                let first = rows.next().unwrap_or_default();
                let last = rows.next_back().unwrap_or_default();
                for lane in first.iter().zip(last).zip(sum.iter_mut().zip(difference)) {
                    let ((first, last), (sum, difference)) = lane;
                    *sum = first + last;
                    *difference = first - last;
                }
            }
            if let (Some(middle), Some(sum)) = (rows.next(), sums.last_mut()) {
                *sum = middle;
            }
            let mut put = |k: usize, values: [f64; LANES]| {
                let values = values.map(&finish);
                let place = out.get_mut(k * dims + from..k * dims + to);
                for (place, value) in place.unwrap_or_default().iter_mut().zip(values) {
                    *place = value;
                }
            };
            even.multiply(&sums, |row, values| put(2 * row, values));
            odd.multiply(&differences, |row, values| put(2 * row + 1, values));
        }
        out
    }

    /// `[horizon, dims]` coefficients, each divided by `scale`, back to samples.
    pub(crate) fn inverse(&self, coefficients: &[i32], dims: usize, scale: f64) -> Vec<f32> {
        let mut out = vec![0.0; coefficients.len()];
        let [even, odd] = &self.inverse;
        let mut even_terms = Terms::new(even.rows);
        let mut odd_terms = Terms::new(odd.rows);
        let (mut even_sums, mut odd_sums) = (even.room(), even.room());
        let unit = 1.0 / scale;
        // What lies beyond the last coefficient that is not zero need not even be looked at.
        let used = coefficients.iter().rposition(|&c| c != 0);
        let used = coefficients.get(..used.map_or(0, |last| last + 1));
        let used = used.unwrap_or_default();
        for dim in 0..dims {
            even_terms.clear();
            odd_terms.clear();
            for (k, pair) in used.chunks(2 * dims).enumerate() {
                if let Some(&c) = pair.get(dim) {
                    even_terms.push(k, f64::from(c));
                }
                if let Some(&c) = pair.get(dims + dim) {
                    odd_terms.push(k, f64::from(c));
                }
            }
            even.combine(&even_terms, &mut even_sums);
            odd.combine(&odd_terms, &mut odd_sums);
            let halves = even_sums.iter().zip(&odd_sums).take(even.outputs);
            let mut rows = out.chunks_exact_mut(dims);
            for (&even, &odd) in halves {
                // From both ends to the middle, which has only one end.
                if let Some(place) = rows.next().and_then(|row| row.get_mut(dim)) {
                    *place = ((even + odd) * unit) as f32;
                }
                if let Some(place) = rows.next_back().and_then(|row| row.get_mut(dim)) {
                    *place = ((even - odd) * unit) as f32;
                }
            }
        }
        out
    }
}

/// Values of a row, filled up with zeros.
#[inline]
fn wide(row: Option<&[f32]>) -> [f64; LANES] {
    let row = row.unwrap_or_default();
    if let Some(whole) = row.first_chunk::<LANES>() {
        return whole.map(f64::from);
    }
    let mut wide = [0.0; LANES];
    for (place, &value) in wide.iter_mut().zip(row) {
        *place = f64::from(value);
    }
    wide
}

/// A square matrix to multiply with [`LANES`] columns at a time. Its rows are taken in twos, so that
/// there is enough to do while sums wait for each other.
#[derive(Debug, Clone)]
struct Rows {
    size: usize,
    /// `[row / 2, column]`, two rows side by side.
    pairs: Vec<[f64; 2]>,
}

impl Rows {
    fn new(size: usize, at: impl Fn(usize, usize) -> f64) -> Self {
        let value = |row, column| if row < size { at(row, column) } else { 0.0 };
        let pairs = (0..size)
            .step_by(2)
            .flat_map(|row| (0..size).map(move |column| (row, column)))
            .map(|(row, column)| [value(row, column), value(row + 1, column)])
            .collect();
        Self { size, pairs }
    }

    /// Gives every row of the product, with its index.
    #[inline]
    fn multiply(&self, columns: &[[f64; LANES]], mut give: impl FnMut(usize, [f64; LANES])) {
        // A matrix of size zero has no pairs.
        for (pair, weights) in self.pairs.chunks_exact(self.size.max(1)).enumerate() {
            let (mut one, mut two) = ([0.0; LANES], [0.0; LANES]);
            for ([first, second], values) in weights.iter().zip(columns) {
                for ((one, two), value) in one.iter_mut().zip(&mut two).zip(values) {
                    *one += first * value;
                    *two += second * value;
                }
            }
            give(2 * pair, one);
            if 2 * pair + 1 < self.size {
                give(2 * pair + 1, two);
            }
        }
    }
}

/// A matrix of which few rows are summed at a time, in blocks of [`LANES`] columns so that a block's
/// sums stay in registers.
#[derive(Debug, Clone)]
struct Columns {
    rows: usize,
    /// Columns, without those that fill the last block.
    outputs: usize,
    /// `[block, row]`
    blocks: Vec<[f64; LANES]>,
}

impl Columns {
    fn new(rows: usize, outputs: usize, at: impl Fn(usize, usize) -> f64) -> Self {
        let value = |row, column| {
            if column < outputs {
                at(row, column)
            } else {
                0.0
            }
        };
        let blocks = (0..outputs)
            .step_by(LANES)
            .flat_map(|block| (0..rows).map(move |row| (block, row)))
            .map(|(block, row)| std::array::from_fn(|lane| value(row, block + lane)))
            .collect();
        Self {
            rows,
            outputs,
            blocks,
        }
    }

    /// Memory for the result.
    fn room(&self) -> Vec<f64> {
        vec![0.0; self.outputs.next_multiple_of(LANES)]
    }

    /// The sum of the rows, each times its weight, in the order of the terms.
    fn combine(&self, terms: &Terms, sums: &mut [f64]) {
        // Without rows there are no blocks: the sums stay zero.
        let blocks = self.blocks.chunks_exact(self.rows.max(1));
        for (rows, out) in blocks.zip(sums.chunks_exact_mut(LANES)) {
            let mut sum = [0.0; LANES];
            for &(row, weight) in terms.as_slice() {
                if let Some(row) = rows.get(row as usize) {
                    for (sum, value) in sum.iter_mut().zip(row) {
                        *sum += weight * value;
                    }
                }
            }
            out.copy_from_slice(&sum);
        }
    }
}

/// Weights that are not zero, with their rows.
#[derive(Debug)]
struct Terms {
    places: Vec<(u32, f64)>,
    len: usize,
}

impl Terms {
    fn new(most: usize) -> Self {
        Self {
            // One more than can be used, for a zero at the end.
            places: vec![(0, 0.0); most + 1],
            len: 0,
        }
    }

    fn clear(&mut self) {
        self.len = 0;
    }

    /// Without a branch on the weight, which no processor could guess.
    fn push(&mut self, row: usize, weight: f64) {
        if let Some(place) = self.places.get_mut(self.len) {
            *place = (row as u32, weight);
            self.len += usize::from(weight != 0.0);
        }
    }

    fn as_slice(&self) -> &[(u32, f64)] {
        self.places.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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
                let forward = dct.forward_with(&samples, dims, |c| c);
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
