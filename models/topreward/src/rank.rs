//! Rank statistics: value-order correlation and the area under the ROC curve, both with ties.

use crate::{
    Error,
    curve::{check_finite, same_length},
};

/// Ranks from 1, equal values sharing the mean of theirs (`scipy.stats.rankdata`).
#[must_use]
pub fn average_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
    order.sort_by(|left, right| left.1.total_cmp(&right.1));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|left, right| left.1 == right.1) {
        let mean = before as f64 + (equal.len() as f64 + 1.0) / 2.0;
        for &(index, _) in equal {
            if let Some(rank) = ranks.get_mut(index) {
                *rank = mean;
            }
        }
        before += equal.len();
    }
    ranks
}

/// Spearman's correlation of two series of equal length: Pearson's, of their ranks.
///
/// `None` where it is undefined: fewer than two values, or one of the series constant to within a hundred
/// thousandth of its first value, which is where the reference stops looking.
///
/// # Errors
/// [`Error::Lengths`] and [`Error::NotFinite`].
pub fn spearman(values: &[f64], order: &[f64]) -> Result<Option<f64>, Error> {
    same_length("values and their order", values, order)?;
    check_finite("values", values)?;
    check_finite("order", order)?;
    if values.len() < 2 || constant(values) || constant(order) {
        return Ok(None);
    }
    Ok(Some(pearson(&average_ranks(values), &average_ranks(order))))
}

/// Value-order correlation: [`spearman`] of a curve against time. 1 rises throughout, -1 falls.
///
/// # Errors
/// [`Error::NotFinite`].
pub fn voc(progress: &[f64]) -> Result<Option<f64>, Error> {
    let time: Vec<f64> = (0..progress.len()).map(|index| index as f64).collect();
    spearman(progress, &time)
}

/// `numpy.allclose(values, values[0])`.
fn constant(values: &[f64]) -> bool {
    let Some(first) = values.first() else {
        return true;
    };
    values
        .iter()
        .all(|value| (value - first).abs() <= 1e-8 + 1e-5 * first.abs())
}

fn pearson(left: &[f64], right: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (left_mean, right_mean) = (mean(left), mean(right));
    let (mut both, mut left_only, mut right_only) = (0.0, 0.0, 0.0);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (left - left_mean, right - right_mean);
        both += left * right;
        left_only += left * left;
        right_only += right * right;
    }
    (both / (left_only * right_only).sqrt()).clamp(-1.0, 1.0)
}

/// The probability that a random success scores above a random failure, ties counting half.
///
/// # Errors
/// [`Error::Lengths`], [`Error::NotFinite`], and [`Error::OneClass`] without at least one of each.
pub fn roc_auc(scores: &[f64], succeeded: &[bool]) -> Result<f64, Error> {
    same_length("scores and outcomes", scores, succeeded)?;
    check_finite("scores", scores)?;
    let successes = succeeded.iter().filter(|&&outcome| outcome).count();
    let failures = succeeded.len() - successes;
    if successes == 0 || failures == 0 {
        return Err(Error::OneClass {
            successes,
            failures,
        });
    }
    let ranks: f64 = average_ranks(scores)
        .iter()
        .zip(succeeded)
        .filter(|(_, outcome)| **outcome)
        .map(|(rank, _)| rank)
        .sum();
    let (successes, failures) = (successes as f64, failures as f64);
    Ok((ranks - successes * (successes + 1.0) / 2.0) / (successes * failures))
}
