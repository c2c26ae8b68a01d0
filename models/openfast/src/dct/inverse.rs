//! Coefficients back to samples: every coefficient goes to the samples of one end by itself, so that those which are
//! zero can be passed over, and most are.

/// Samples of a column that are summed at a time.
const BLOCK: usize = 4;

/// The transform back for one horizon.
#[derive(Debug, Clone)]
pub(super) struct Inverse {
    horizon: usize,
    /// From coefficients to one end of their columns; the other end is its mirror image.
    columns: Columns,
}

impl Inverse {
    /// `at` is the basis by frequency and sample.
    pub(super) fn new(horizon: usize, at: impl Fn(usize, usize) -> f64) -> Self {
        Self {
            horizon,
            columns: Columns::new(horizon, horizon.div_ceil(2), at),
        }
    }

    /// `[horizon, dims]` coefficients, each divided by `scale`, back to samples.
    pub(super) fn samples(&self, coefficients: &[i32], dims: usize, scale: f64) -> Vec<f32> {
        let width = self.columns.width;
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
                self.columns.add(k, weight, sums);
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
