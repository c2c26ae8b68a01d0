//! From samples to coefficients, in one precision.

use super::eight::{Eight, LANES};

/// The transform for one horizon, `ROWS` coefficients of eight columns at a time.
#[derive(Clone)]
pub(super) struct Forward<E: Eight, const ROWS: usize> {
    /// From folded samples to coefficients. The sums of an even number of samples are again samples
    /// to be folded: fold by fold, the differences' matrix, and at last the sums'.
    folds: Vec<Rows<E, ROWS>>,
    last: Rows<E, ROWS>,
}

/// Memory for transforming, to be reused.
#[derive(Debug, Default)]
pub(super) struct Scratch<E> {
    sums: Vec<E>,
    differences: Vec<E>,
    /// By frequency.
    coefficients: Vec<E>,
}

impl<E: Eight, const ROWS: usize> std::fmt::Debug for Forward<E, ROWS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes: Vec<usize> = self.folds.iter().map(|rows| rows.size).collect();
        write!(f, "Forward({sizes:?}, {})", self.last.size)
    }
}

impl<E: Eight, const ROWS: usize> Forward<E, ROWS> {
    /// `at` gives the basis: frequency, sample.
    pub(super) fn new(horizon: usize, at: impl Fn(usize, usize) -> f64) -> Self {
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
        Self { folds, last }
    }

    /// The coefficients, by frequency, of the eight columns of `[horizon, dims]` samples from the column
    /// `from` on, or fewer at the end.
    #[inline]
    pub(super) fn columns<'a>(
        &self,
        samples: &[f32],
        dims: usize,
        from: usize,
        scratch: &'a mut Scratch<E>,
    ) -> &'a [E] {
        let Scratch {
            sums,
            differences,
            coefficients,
        } = scratch;
        let horizon = samples.len() / dims.max(1);
        // Only the lengths matter: every place is written before it is read.
        sums.resize(horizon, E::default());
        differences.resize(horizon / 2, E::default());
        coefficients.resize(horizon, E::default());
        let to = dims.min(from + LANES);
        for (place, row) in sums.iter_mut().zip(samples.chunks_exact(dims)) {
            *place = E::of(filled(row.get(from..to)));
        }
        let mut put = |frequency: usize, values| {
            if let Some(place) = coefficients.get_mut(frequency) {
                *place = values;
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
        coefficients
    }
}

/// Replaces samples by the sums of both ends, which are half as many, and gives the differences.
#[inline]
fn fold<'a, E: Eight>(samples: &'a mut [E], differences: &mut [E]) -> &'a mut [E] {
    let (begin, end) = samples.split_at_mut(samples.len().div_ceil(2));
    // An odd number leaves its middle, the last of the beginning, as it is.
    let ends = begin.iter_mut().zip(end.iter().rev());
    for ((first, last), difference) in ends.zip(differences) {
        *difference = first.minus(*last);
        *first = first.plus(*last);
    }
    begin
}

/// Values of a row, filled up with zeros.
#[inline]
fn filled(row: Option<&[f32]>) -> [f32; LANES] {
    let row = row.unwrap_or_default();
    if let Some(whole) = row.first_chunk() {
        return *whole;
    }
    let mut filled = [0.0; LANES];
    for (place, &value) in filled.iter_mut().zip(row) {
        *place = value;
    }
    filled
}

/// A square matrix to multiply with eight columns at a time. Several of its rows are taken together, so
/// that there is enough to do while sums wait for each other.
#[derive(Clone)]
struct Rows<E: Eight, const ROWS: usize> {
    size: usize,
    /// `[row / ROWS, column]`, `ROWS` rows side by side.
    groups: Vec<[E::Number; ROWS]>,
}

impl<E: Eight, const ROWS: usize> Rows<E, ROWS> {
    fn new(size: usize, at: impl Fn(usize, usize) -> f64) -> Self {
        let value = |row, column| E::weight(if row < size { at(row, column) } else { 0.0 });
        let groups = (0..size)
            .step_by(ROWS)
            .flat_map(|row| (0..size).map(move |column| (row, column)))
            .map(|(row, column)| std::array::from_fn(|more| value(row + more, column)))
            .collect();
        Self { size, groups }
    }

    /// Gives every row of the product, with its index.
    #[inline]
    fn multiply(&self, columns: &[E], mut give: impl FnMut(usize, E)) {
        // A matrix of size zero has no groups.
        for (group, weights) in self.groups.chunks_exact(self.size.max(1)).enumerate() {
            let mut sums = [E::default(); ROWS];
            for (weights, values) in weights.iter().zip(columns) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = sum.plus_product(*weight, *values);
                }
            }
            for (row, sum) in (ROWS * group..self.size).zip(sums) {
                give(row, sum);
            }
        }
    }
}
