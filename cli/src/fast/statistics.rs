//! The statistics that actions are normalised by: those of the data set where they can be true, else those of the rows.

use datasets::lerobot::{DataSet, Episode, NormMode, Stats};

/// A range that is smaller than this share of the rows' own is none: every action would be clipped.
const NO_RANGE: f64 = 1e-3;

/// The recorded statistics, or those of the actions themselves where the mode's figures are not recorded, cannot be used
/// for the dimensions that are encoded, or contradict the rows. The latter can be seen in full where all episodes were read
/// (`of_all`).
pub(super) fn statistics(
    data_set: &DataSet,
    episodes: &[Episode],
    (mode, dims): (NormMode, &[usize]),
    action_key: &str,
    of_all: bool,
) -> Stats {
    let all = episodes.first().map_or(0, |episode| episode.action_dims);
    let values: Vec<f32> = episodes
        .iter()
        .flat_map(|episode| episode.actions.iter().copied())
        .collect();
    let of_rows = Stats::of_values(&values, all);
    let reason = match data_set.stats(action_key) {
        Err(error) => error.to_string(),
        Ok(None) => "the data set does not record what this normalisation needs".to_owned(),
        Ok(Some(stats)) => {
            let reason = unusable(&figures(&stats, mode), all, dims)
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

/// What a mode needs.
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

/// Why recorded figures are not those of vectors like the actions.
fn unusable(figures: &Figures<'_>, all: usize, dims: &[usize]) -> Option<String> {
    for (name, figure) in figures {
        let Some(figure) = figure else {
            return Some("the data set does not record what this normalisation needs".to_owned());
        };
        if figure.len() != all {
            return Some(format!(
                "the recorded {name} has {} values, the actions have {all}",
                figure.len()
            ));
        }
        let is_odd = |dim: &&usize| figure.get(**dim).is_some_and(|value| !value.is_finite());
        if let Some(dim) = dims.iter().find(is_odd) {
            return Some(format!(
                "the recorded {name} of dimension {dim} is NaN or infinite"
            ));
        }
    }
    None
}

/// Why recorded figures cannot be those of these rows. What another program computed may differ in how it interpolates, and
/// percentiles that were averaged over episodes are rough; none is further away than all of the rows span.
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
        let said = format!(
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
                "{said}, which cannot be{}",
                if is_range {
                    " (the two are swapped)"
                } else {
                    ""
                }
            ));
        }
        // As in `Normalisation`: a dimension that never moves has no range.
        if own_range > 1e-6 && range < own_range * NO_RANGE {
            return Some(format!(
                "{said}, which leaves no range for rows whose own are {own_low:.4} and {own_high:.4}"
            ));
        }
        let far = span.max(1e-3 * (own_low.abs() + own_high.abs())).max(1e-6);
        let is_far = (low - own_low).abs() > far || (high - own_high).abs() > far;
        if of_all && is_far {
            return Some(format!(
                "{said}, those of the rows are {own_low:.4} and {own_high:.4}"
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
    fn figures_that_cannot_be_those_of_the_rows_are_told() {
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
        for (low, high, mode, of_all, words) in [
            (99.0, 1.0, Quantiles, false, "swapped"),
            (50.0, 50.0, Quantiles, false, "no range"),
            (100.0, 0.0, MinMax, false, "swapped"),
            (50.0, 0.0, MeanStd, false, "no range"),
            (50.0, -1.0, MeanStd, false, "cannot be"),
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
                reason.contains(words) && reason.contains("dimension 0"),
                "{reason}"
            );
        }
        // Of some episodes, the percentiles may be others.
        assert_eq!(contradicted(501.0, 599.0, Quantiles, false), None);
    }
}
