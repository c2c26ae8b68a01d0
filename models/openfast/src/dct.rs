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
//! Backwards every coefficient goes to the samples of one end by itself, so that those which are
//! zero can be passed over, and most are.

mod pair;

use std::f64::consts::FRAC_PI_2;

use pair::Pair;

/// Columns that are transformed at a time, their sums in registers.
const LANES: usize = 8;
/// Samples of a column that are summed at a time on the way back.
const BLOCK: usize = 4;

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
    /// From folded samples to coefficients. The sums of an even number of samples are again samples
    /// to be folded: fold by fold, the differences' matrix, and at last the sums'.
    folds: Vec<Rows>,
    last: Rows,
    /// From coefficients to one end of their columns; the other end is its mirror image.
    inverse: Columns,
}

/// Memory for transforming forward, to be reused.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    sums: Vec<[f64; LANES]>,
    differences: Vec<[f64; LANES]>,
}

impl Dct {
    /// Prepares a transform over `horizon` samples (at least one; the caller has checked).
    pub(crate) fn new(horizon: usize) -> Self {
        let basis = basis(horizon);
        let at = |k: usize, t: usize| basis.get(k * horizon + t).copied().unwrap_or_default();
        let mut folds = Vec::new();
        let mut size = horizon;
        let mut step = 1;
        let last = loop {
            folds.push(Rows::new(size / 2, |row, t| at((2 * row + 1) * step, t)));
            step *= 2;
            let odd = !size.is_multiple_of(2);
            // The middle of an odd number of samples is its own mirror image: a sum, no difference.
            size = size.div_ceil(2);
            if odd || size < 4 {
                break Rows::new(size, |row, t| at(row * step, t));
            }
        };
        Self {
            horizon,
            folds,
            last,
            inverse: Columns::new(horizon, horizon.div_ceil(2), at),
        }
    }

    pub(crate) fn horizon(&self) -> usize {
        self.horizon
    }

    /// `[horizon, dims]` samples to `[horizon, dims]` coefficients, frequency outer, each passed
    /// through `finish`. What `out` and `workspace` held before does not matter.
    pub(crate) fn forward_with<T: Copy + Default>(
        &self,
        samples: &[f32],
        dims: usize,
        workspace: &mut Workspace,
        out: &mut Vec<T>,
        finish: impl Fn(f64) -> T,
    ) {
        let Workspace { sums, differences } = workspace;
        // Only the lengths matter: every place is written before it is read.
        out.resize(samples.len(), T::default());
        sums.resize(self.horizon, [0.0; LANES]);
        differences.resize(self.horizon / 2, [0.0; LANES]);
        for from in (0..dims).step_by(LANES) {
            let to = dims.min(from + LANES);
            let rows = samples.chunks_exact(dims);
            for (place, row) in sums.iter_mut().zip(rows) {
                *place = wide(row.get(from..to));
            }
            let mut put = |k: usize, values: [f64; LANES]| {
                let values = values.map(&finish);
                let place = out.get_mut(k * dims + from..k * dims + to);
                for (place, value) in place.unwrap_or_default().iter_mut().zip(values) {
                    *place = value;
                }
            };
            let mut step = 1;
            let mut folded = sums.as_mut_slice();
            for rows in &self.folds {
                folded = fold(folded, differences);
                rows.multiply(differences, |row, values| {
                    put((2 * row + 1) * step, values);
                });
                step *= 2;
            }
            self.last
                .multiply(folded, |row, values| put(row * step, values));
        }
    }

    /// `[horizon, dims]` coefficients, each divided by `scale`, back to samples.
    pub(crate) fn inverse(&self, coefficients: &[i32], dims: usize, scale: f64) -> Vec<f32> {
        let width = self.inverse.width;
        // For every dimension one end of its column, from even and from odd frequencies.
        let mut ends = vec![0.0; 2 * width * dims];
        // Room for one more than there can be: see below.
        let mut found = vec![0usize; dims + 1];
        for (k, row) in coefficients.chunks_exact(dims).enumerate() {
            // Most rows of high frequencies are zero.
            if row.iter().fold(0, |some, &c| some | c) == 0 {
                continue;
            }
            // The others mostly too, here and there: found without a branch that no processor could
            // guess, by writing every place and going on only after one that counts.
            let mut count = 0;
            for (dim, &c) in row.iter().enumerate() {
                if let Some(place) = found.get_mut(count) {
                    *place = dim;
                }
                count += usize::from(c != 0);
            }
            for &dim in found.iter().take(count) {
                let weight = row.get(dim).copied().map_or(0.0, f64::from);
                let from = (2 * dim + k % 2) * width;
                let sums = ends.get_mut(from..from + width).unwrap_or_default();
                self.inverse.add(k, weight, sums);
            }
        }
        let unit = 1.0 / scale;
        let half = self.horizon.div_ceil(2);
        let mut out = vec![0.0; coefficients.len()];
        let mut begin = vec![0.0f32; width];
        let mut end = vec![0.0f32; width];
        for (dim, halves) in ends.chunks_exact(2 * width).enumerate() {
            let (even, odd) = halves.split_at(width);
            for (place, (even, odd)) in begin.iter_mut().zip(even.iter().zip(odd)) {
                *place = ((even + odd) * unit) as f32;
            }
            for (place, (even, odd)) in end.iter_mut().zip(even.iter().zip(odd)) {
                *place = ((even - odd) * unit) as f32;
            }
            // The middle of an odd number of rows is written twice, with the same value.
            let rows = out.chunks_exact_mut(dims);
            for (row, &value) in rows.zip(&begin).take(half) {
                if let Some(place) = row.get_mut(dim) {
                    *place = value;
                }
            }
            let rows = out.chunks_exact_mut(dims).rev();
            for (row, &value) in rows.zip(&end).take(half) {
                if let Some(place) = row.get_mut(dim) {
                    *place = value;
                }
            }
        }
        out
    }
}

/// Replaces samples by the sums of both ends, which are half as many, and gives the differences.
fn fold<'a>(
    samples: &'a mut [[f64; LANES]],
    differences: &mut [[f64; LANES]],
) -> &'a mut [[f64; LANES]] {
    let (begin, end) = samples.split_at_mut(samples.len().div_ceil(2));
    // An odd number leaves its middle, the last of the beginning, as it is.
    let ends = begin.iter_mut().zip(end.iter().rev());
    for ((first, last), difference) in ends.zip(differences) {
        for ((first, last), difference) in first.iter_mut().zip(last).zip(difference) {
            *difference = *first - last;
            *first += last;
        }
    }
    begin
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
            let zero = Pair::both(0.0);
            let (mut one, mut two) = ([zero; LANES / 2], [zero; LANES / 2]);
            for ([first, second], values) in weights.iter().zip(columns) {
                let (first, second) = (Pair::both(*first), Pair::both(*second));
                let (values, _) = values.as_chunks();
                for ((one, two), value) in one.iter_mut().zip(&mut two).zip(values) {
                    let value = Pair::of(*value);
                    *one = one.plus_product(first, value);
                    *two = two.plus_product(second, value);
                }
            }
            give(2 * pair, side_by_side(one));
            if 2 * pair + 1 < self.size {
                give(2 * pair + 1, side_by_side(two));
            }
        }
    }
}

#[inline]
fn side_by_side(pairs: [Pair; LANES / 2]) -> [f64; LANES] {
    let mut all = [0.0; LANES];
    for (two, pair) in all.as_chunks_mut().0.iter_mut().zip(pairs) {
        *two = pair.values();
    }
    all
}

/// A matrix of which few rows are added up, each in its own place.
#[derive(Debug, Clone)]
struct Columns {
    /// Columns, those included that fill up with zeros to what is summed at a time.
    width: usize,
    /// `[row, column]`
    values: Vec<f64>,
}

impl Columns {
    fn new(rows: usize, columns: usize, at: impl Fn(usize, usize) -> f64) -> Self {
        let width = columns.next_multiple_of(BLOCK);
        let value = |row, column| {
            if column < columns {
                at(row, column)
            } else {
                0.0
            }
        };
        let values = (0..rows)
            .flat_map(|row| (0..width).map(move |column| (row, column)))
            .map(|(row, column)| value(row, column))
            .collect();
        Self { width, values }
    }

    /// Adds a row, times its weight.
    #[inline]
    fn add(&self, row: usize, weight: f64, sums: &mut [f64]) {
        let from = row * self.width;
        let row = self.values.get(from..from + self.width).unwrap_or_default();
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += weight * value;
        }
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
                dct.forward_with(&samples, dims, &mut workspace, &mut forward, |c| c);
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
