//! Evenly spaced numbers, rounded as NumPy rounds them.

/// `numpy.linspace(first, last, count)`: the last value is `last` itself, the others are
/// `first + index * step`, in that order of operations. One value is `first`.
pub(crate) fn linspace(first: f64, last: f64, count: usize) -> Vec<f64> {
    let intervals = count.saturating_sub(1);
    let span = last - first;
    let step = span / intervals as f64;
    (0..count)
        .map(|index| {
            if index == intervals && intervals > 0 {
                last
            } else if intervals == 0 {
                first
            } else if step == 0.0 {
                index as f64 / intervals as f64 * span + first
            } else {
                index as f64 * step + first
            }
        })
        .collect()
}

/// The same, then to the nearest whole number, ties to even.
pub(crate) fn rounded(first: usize, last: usize, count: usize) -> Vec<usize> {
    linspace(first as f64, last as f64, count)
        .into_iter()
        .map(|value| value.round_ties_even() as usize)
        .collect()
}

/// The same, cut to the whole number below.
pub(crate) fn floored(first: usize, last: usize, count: usize) -> Vec<usize> {
    linspace(first as f64, last as f64, count)
        .into_iter()
        .map(|value| value.floor() as usize)
        .collect()
}
