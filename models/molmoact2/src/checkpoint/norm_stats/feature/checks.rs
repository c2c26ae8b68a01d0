//! Faults of recorded statistics: those of arrays that are needed are refused, and other arrays with one are dropped.

use super::{FILE, FeatureStats, NormMode};
use crate::error::{LoadError, bad_value};

/// Refuses impossible statistics among the `needed` ones, and drops others: a minimum above the maximum, quantiles in the
/// wrong order, a negative deviation.
pub(super) fn ordered(
    stats: &mut FeatureStats,
    needed: &[&str],
    place: &str,
) -> Result<(), LoadError> {
    let FeatureStats {
        min,
        max,
        std,
        q01,
        q99,
        q10,
        q90,
        ..
    } = stats;
    for (low_key, low, high_key, high) in [
        ("min", min, "max", max),
        ("q01", q01, "q99", q99),
        ("q10", q10, "q90", q90),
    ] {
        let mut pairs = low.iter().flatten().zip(high.iter().flatten());
        let Some(dim) = pairs.position(|(low, high)| low > high) else {
            continue;
        };
        if needed.contains(&low_key) {
            return Err(bad_value(
                FILE,
                format!("{place}.{low_key}"),
                format!("is above {high_key} in dimension {dim} (from 0)"),
            ));
        }
        (*low, *high) = (None, None);
    }
    let mut deviations = std.iter().flatten().copied();
    match deviations.find(|deviation| *deviation < 0.0) {
        Some(deviation) if needed.contains(&"std") => Err(bad_value(
            FILE,
            format!("{place}.std"),
            format!("holds {deviation}; a deviation is not negative"),
        )),
        Some(_) => {
            *std = None;
            Ok(())
        }
        None => Ok(()),
    }
}

/// Refuses values that are not finite in arrays that `mode` reads, and drops other arrays with such values: writers
/// put NaN where they had no data.
pub(super) fn finite(
    stats: &mut FeatureStats,
    mode: NormMode,
    place: &str,
) -> Result<(), LoadError> {
    if let Some((key, dim)) = stats.not_finite(mode) {
        return Err(bad_value(
            FILE,
            format!("{place}.{key}"),
            format!(
                "holds NaN or Infinity in dimension {dim} (from 0), and norm_mode {mode:?} needs it: the data that the \
                 statistics were computed over were not finite; compute them again"
            ),
        ));
    }
    let odd = |values: &Vec<f32>| values.iter().any(|value| !value.is_finite());
    for (_, array) in stats.arrays_mut() {
        if array.as_ref().is_some_and(odd) {
            *array = None;
        }
    }
    Ok(())
}

/// The common length of the `needed` arrays and of the mask; where there is none of them, that of the first array.
pub(super) fn lengths(
    stats: &FeatureStats,
    needed: &[&str],
    place: &str,
) -> Result<usize, LoadError> {
    let there = stats
        .arrays()
        .into_iter()
        .filter_map(|(key, values)| Some((key, values.as_ref()?.len())));
    let (mut found, others): (Vec<_>, Vec<_>) = there.partition(|(key, _)| needed.contains(key));
    found.extend(stats.mask.iter().map(|mask| ("mask", mask.len())));
    let Some((first, dims)) = found.first().or(others.first()).copied() else {
        return Err(bad_value(FILE, place, "holds no statistics"));
    };
    if dims == 0 {
        return Err(bad_value(FILE, format!("{place}.{first}"), "is empty"));
    }
    match found.iter().find(|(_, len)| *len != dims) {
        Some((key, len)) => Err(bad_value(
            FILE,
            format!("{place}.{key}"),
            format!("has {len} values but {first} has {dims}"),
        )),
        None => Ok(dims),
    }
}
