//! TOP-AWR: weights of the steps of an episode in advantage-weighted regression.

use crate::Error;
use serde::{Deserialize, Serialize};

/// Baseline subtracted from a step's progress before it is weighed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Center {
    /// Nothing: equation 3 of the paper as it is printed.
    #[default]
    Nothing,
    /// The mean over all steps of the data set: the paper's section on training says that advantages are
    /// values less their mean, and not how that meets equation 3. This is one reading of it.
    DataSetMean,
}

/// Parameters of [`top_awr`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopAwr {
    /// The weight of a step that changes nothing.
    pub tau: f64,
    /// Upper bound of a weight.
    pub max: f64,
    /// Baseline subtracted first.
    pub center: Center,
}

impl Default for TopAwr {
    /// The paper's: with these every step that does not lose progress weighs 2, and only losses weigh less.
    fn default() -> Self {
        Self {
            tau: 2.0,
            max: 2.0,
            center: Center::Nothing,
        }
    }
}

/// `clip(tau * exp(s_k - s_(k-1)), 0, max)` for every step of every episode; an episode of n values has
/// n - 1 steps.
///
/// # Errors
/// [`Error::Parameter`] for a `tau` or `max` that is negative or no number, [`Error::NotFinite`].
pub fn top_awr(episodes: &[Vec<f64>], settings: TopAwr) -> Result<Vec<Vec<f64>>, Error> {
    for (name, value) in [("tau", settings.tau), ("max", settings.max)] {
        if !(value.is_finite() && value >= 0.0) {
            return Err(Error::Parameter {
                name,
                value,
                want: "0 or more",
            });
        }
    }
    for episode in episodes {
        crate::curve::check_finite("progress", episode)?;
    }
    let steps: Vec<Vec<f64>> = episodes
        .iter()
        .map(|episode| {
            episode
                .iter()
                .zip(episode.iter().skip(1))
                .map(|(before, after)| after - before)
                .collect()
        })
        .collect();
    let count = steps.iter().map(Vec::len).sum::<usize>();
    let off = match settings.center {
        Center::DataSetMean if count > 0 => steps.iter().flatten().sum::<f64>() / count as f64,
        _ => 0.0,
    };
    Ok(steps
        .into_iter()
        .map(|episode| {
            episode
                .into_iter()
                .map(|step| (settings.tau * (step - off).exp()).clamp(0.0, settings.max))
                .collect()
        })
        .collect())
}
