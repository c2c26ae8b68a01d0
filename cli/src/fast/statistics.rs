//! Statistics for normalising actions: those of the data set if they are plausible, otherwise those of the rows.

use datasets::lerobot::{DataSet, Episode, NormMode, Stats};

/// Smallest plausible ratio of a recorded range to that of the rows. With a smaller one, every action would be clipped.
const MIN_RANGE_RATIO: f64 = 1e-3;

/// Returns the recorded statistics, or those of the actions themselves if the statistics that the mode needs are not
/// recorded, cannot be used for the encoded dimensions, or contradict the rows. The comparison with the rows is
/// complete only if all episodes were read (`of_all`).
pub(super) fn statistics(
    data_set: &DataSet,
    episodes: &[Episode],
    (mode, dims): (NormMode, &[usize]),
    action_key: &str,
    of_all: bool,
) -> Stats {
    let action_dims = episodes.first().map_or(0, |episode| episode.action_dims);
    let values: Vec<f32> = episodes
        .iter()
        .flat_map(|episode| episode.actions.iter().copied())
        .collect();
    let of_rows = Stats::of_values(&values, action_dims);
    let reason = match data_set.stats(action_key) {
        Err(error) => error.to_string(),
        Ok(None) => "the data set does not record what this normalisation needs".to_owned(),
        Ok(Some(stats)) => {
            let reason = unusable(&figures(&stats, mode), action_dims, dims)
                .or_else(|| contradiction(&stats, &of_rows, mode, dims, of_all));
            match reason {
                None => return stats,
                Some(reason) => reason,
            }
        }
    };
    eprintln!(
        "note: {reason}; computed from the {} episodes read",
        episodes.len()
    );
    of_rows
}

type Figures<'a> = [(&'static str, Option<&'a [f64]>); 2];

/// Statistics that a mode needs, with their names.
fn figures(stats: &Stats, mode: NormMode) -> Figures<'_> {
    match mode {
        NormMode::Quantiles => [("q01", stats.q01.as_deref()), ("q99", stats.q99.as_deref())],
        NormMode::MinMax => [("min", stats.min.as_deref()), ("max", stats.max.as_deref())],
        NormMode::MeanStd => [
            ("mean", stats.mean.as_deref()),
            ("std", stats.std.as_deref()),
        ],
        NormMode::None => [("", None), ("", None)],
    }
}

/// Reason why recorded statistics cannot be used for the actions.
fn unusable(figures: &Figures<'_>, action_dims: usize, dims: &[usize]) -> Option<String> {
    for (name, figure) in figures {
        let Some(figure) = figure else {
            return Some("the data set does not record what this normalisation needs".to_owned());
        };
        if figure.len() != action_dims {
            return Some(format!(
                "the recorded {name} has {} values, the actions have {action_dims}",
                figure.len()
            ));
        }
        let is_bad = |dim: &&usize| figure.get(**dim).is_some_and(|value| !value.is_finite());
        if let Some(dim) = dims.iter().find(is_bad) {
            return Some(format!(
                "the recorded {name} of dimension {dim} is NaN or infinite"
            ));
        }
    }
    None
}

/// Reason why recorded statistics cannot be those of these rows. Other programs may interpolate differently, and
/// percentiles averaged over episodes are rough, but none is further from that of the rows than the span of all rows.
fn contradiction(
    recorded: &Stats,
    of_rows: &Stats,
    mode: NormMode,
    dims: &[usize],
    of_all: bool,
) -> Option<String> {
    let [(first, lows), (second, highs)] = figures(recorded, mode);
    let [(_, own_lows), (_, own_highs)] = figures(of_rows, mode);
    let at = |figure: Option<&[f64]>, dim: usize| figure?.get(dim).copied();
    for &dim in dims {
        let (low, high) = (at(lows, dim)?, at(highs, dim)?);
        let (own_low, own_high) = (at(own_lows, dim)?, at(own_highs, dim)?);
        let span = at(of_rows.max.as_deref(), dim)? - at(of_rows.min.as_deref(), dim)?;
        let prefix = format!(
            "of dimension {dim}, the recorded {first} is {low:.4} and {second} is {high:.4}"
        );
        let is_range = mode != NormMode::MeanStd;
        let (range, own_range) = if is_range {
            (high - low, own_high - own_low)
        } else {
            (high, own_high)
        };
        if range < 0.0 {
            return Some(format!(
                "{prefix}, which is impossible{}",
                if is_range {
                    " (the two are swapped)"
                } else {
                    ""
                }
            ));
        }
        // As in `Normalisation`, a dimension that never moves has no range.
        if own_range > 1e-6 && range < own_range * MIN_RANGE_RATIO {
            return Some(format!(
                "{prefix}, which leaves no range for rows with {own_low:.4} and {own_high:.4}"
            ));
        }
        let far = span.max(1e-3 * (own_low.abs() + own_high.abs())).max(1e-6);
        let is_far = (low - own_low).abs() > far || (high - own_high).abs() > far;
        if of_all && is_far {
            return Some(format!(
                "{prefix}, those of the rows are {own_low:.4} and {own_high:.4}"
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn contradicted(low: f64, high: f64, mode: NormMode, of_all: bool) -> Option<String> {
        // Two dimensions; the second never moves.
        let values: Vec<f32> = (0..101).flat_map(|row| [row as f32, 5.0]).collect();
        let of_rows = Stats::of_values(&values, 2);
        let mut recorded = of_rows.clone();
        let (first, second) = match mode {
            NormMode::MeanStd => (&mut recorded.mean, &mut recorded.std),
            NormMode::MinMax => (&mut recorded.min, &mut recorded.max),
            _ => (&mut recorded.q01, &mut recorded.q99),
        };
        *first = Some(vec![low, 5.0]);
        *second = Some(vec![
            high,
            if mode == NormMode::MeanStd { 0.0 } else { 5.0 },
        ]);
        contradiction(&recorded, &of_rows, mode, &[0, 1], of_all)
    }

    #[test]
    fn statistics_that_contradict_the_rows_are_detected() {
        use NormMode::{MeanStd, MinMax, Quantiles};
        for (low, high, mode) in [
            (1.0, 99.0, Quantiles),
            (-20.0, 140.0, Quantiles),
            (30.0, 60.0, Quantiles),
            (0.0, 100.0, MinMax),
            (45.0, 31.0, MeanStd),
        ] {
            assert_eq!(contradicted(low, high, mode, true), None);
        }
        for (low, high, mode, of_all, expected) in [
            (99.0, 1.0, Quantiles, false, "swapped"),
            (50.0, 50.0, Quantiles, false, "no range"),
            (100.0, 0.0, MinMax, false, "swapped"),
            (50.0, 0.0, MeanStd, false, "no range"),
            (50.0, -1.0, MeanStd, false, "impossible"),
            (
                501.0,
                599.0,
                Quantiles,
                true,
                "those of the rows are 1.0000 and 99.0000",
            ),
        ] {
            let reason = contradicted(low, high, mode, of_all).unwrap();
            assert!(
                reason.contains(expected) && reason.contains("dimension 0"),
                "{reason}"
            );
        }
        // The percentiles of a part of the episodes may differ.
        assert_eq!(contradicted(501.0, 599.0, Quantiles, false), None);
    }
}
