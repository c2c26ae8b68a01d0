//! Recorded statistics of a vector.

use std::{collections::BTreeMap, path::Path};

use field_files::read_json_lines;
use serde_json::Value;

use super::DataSetError;

/// Statistics per dimension. The recorded ones differ between LeRobot versions and writers.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct Stats {
    pub min: Option<Vec<f64>>,
    pub max: Option<Vec<f64>>,
    pub mean: Option<Vec<f64>>,
    pub std: Option<Vec<f64>>,
    pub q01: Option<Vec<f64>>,
    pub q99: Option<Vec<f64>>,
    /// Number of frames, as a single value.
    pub count: Option<Vec<f64>>,
}

#[derive(serde::Deserialize)]
struct Line {
    #[serde(default)]
    stats: BTreeMap<String, Value>,
}

impl Stats {
    /// Parses the statistics that are present. One that is not a vector is `None`; a value that is not a number is NaN.
    pub(super) fn parse(value: &Value) -> Self {
        let figure = |name: &str| {
            let mut list = value.get(name)?;
            // Some writers wrap the list once.
            if let Some([inner @ Value::Array(_)]) = list.as_array().map(Vec::as_slice) {
                list = inner;
            }
            let numbers = list.as_array()?.iter();
            Some(
                numbers
                    .map(|value| value.as_f64().unwrap_or(f64::NAN))
                    .collect(),
            )
        };
        Self {
            min: figure("min"),
            max: figure("max"),
            mean: figure("mean"),
            std: figure("std"),
            q01: figure("q01"),
            q99: figure("q99"),
            count: figure("count"),
        }
    }

    /// Aggregates `meta/episodes_stats.jsonl` (layout v2.1) as LeRobot does. Quantiles cannot be aggregated.
    pub(super) fn of_episodes(path: &Path, key: &str) -> Result<Option<Self>, DataSetError> {
        let mut episodes = Vec::new();
        let mut broken = None;
        read_json_lines(
            path,
            &mut |line: Line| episodes.extend(line.stats.get(key).map(Self::parse)),
            &mut |problem| {
                broken.get_or_insert(problem);
            },
        )?;
        // With an episode missing, the result would be that of another data set.
        if let Some(problem) = broken {
            return Err(DataSetError::BadStats {
                key: key.to_owned(),
                problem,
            });
        }
        if episodes.is_empty() {
            return Ok(None);
        }
        let counts: Option<Vec<f64>> = episodes
            .iter()
            .map(|stats| stats.count.as_ref()?.first().copied())
            .collect();
        let Some(weights) = counts.filter(|counts| counts.iter().all(|count| *count > 0.0)) else {
            return Ok(None);
        };
        let total: f64 = weights.iter().sum();
        let fold = |read: fn(&Self) -> &Option<Vec<f64>>, with: fn(f64, f64) -> f64| {
            let mut arrays = episodes.iter().map(|stats| read(stats).clone());
            let first = arrays.next()??;
            arrays.try_fold(first, |mut sum, array| {
                let array = array.filter(|array| array.len() == sum.len())?;
                for (value, other) in sum.iter_mut().zip(array) {
                    *value = with(*value, other);
                }
                Some(sum)
            })
        };
        // A value that is NaN in one episode is NaN in the result.
        let min = fold(|stats| &stats.min, |a, b| either(a, b, f64::min));
        let max = fold(|stats| &stats.max, |a, b| either(a, b, f64::max));
        let means: Option<Vec<&Vec<f64>>> =
            episodes.iter().map(|stats| stats.mean.as_ref()).collect();
        let deviations: Option<Vec<&Vec<f64>>> =
            episodes.iter().map(|stats| stats.std.as_ref()).collect();
        let dims = means
            .as_ref()
            .and_then(|means| means.first())
            .map(|mean| mean.len());
        let weighted = |value: &dyn Fn(usize) -> f64| {
            weights
                .iter()
                .enumerate()
                .map(|(episode, weight)| weight * value(episode))
                .sum::<f64>()
                / total
        };
        let at = |arrays: &[&Vec<f64>], episode: usize, dim: usize| {
            let array = arrays.get(episode).and_then(|array| array.get(dim));
            array.copied().unwrap_or(f64::NAN)
        };
        let mean: Option<Vec<f64>> = means.as_ref().zip(dims).map(|(means, dims)| {
            (0..dims)
                .map(|dim| weighted(&|episode| at(means, episode, dim)))
                .collect()
        });
        let std = match (&means, &deviations, &mean) {
            (Some(means), Some(deviations), Some(mean)) => Some(
                mean.iter()
                    .enumerate()
                    .map(|(dim, mean)| {
                        weighted(&|episode| {
                            let difference = at(means, episode, dim) - mean;
                            at(deviations, episode, dim).powi(2) + difference.powi(2)
                        })
                        .sqrt()
                    })
                    .collect(),
            ),
            _ => None,
        };
        Ok(Some(Self {
            min,
            max,
            mean,
            std,
            count: Some(vec![total]),
            ..Self::default()
        }))
    }

    /// Statistics of the dimensions `dims`, in that order.
    ///
    /// # Errors
    /// [`DataSetError::BadDims`] for a dimension without statistics.
    pub fn of_dims(&self, dims: &[usize]) -> Result<Self, DataSetError> {
        let pick = |values: &Option<Vec<f64>>| -> Result<Option<Vec<f64>>, DataSetError> {
            let Some(values) = values else {
                return Ok(None);
            };
            dims.iter()
                .map(|&dim| {
                    values.get(dim).copied().ok_or_else(|| {
                        DataSetError::BadDims(format!(
                            "dimension {dim} is requested, but the statistics have {}",
                            values.len()
                        ))
                    })
                })
                .collect::<Result<_, _>>()
                .map(Some)
        };
        Ok(Self {
            min: pick(&self.min)?,
            max: pick(&self.max)?,
            mean: pick(&self.mean)?,
            std: pick(&self.std)?,
            q01: pick(&self.q01)?,
            q99: pick(&self.q99)?,
            count: self.count.clone(),
        })
    }

    /// Statistics computed from values of shape `[rows, dims]`. Quantiles between two values are interpolated, as NumPy
    /// does by default.
    #[must_use]
    pub fn of_values(values: &[f32], dims: usize) -> Self {
        let mut stats = [const { Vec::new() }; 6];
        let rows = values.len() / dims.max(1);
        for dim in 0..dims {
            let mut column: Vec<f64> = values
                .iter()
                .skip(dim)
                .step_by(dims)
                .map(|&value| f64::from(value))
                .collect();
            column.sort_by(f64::total_cmp);
            let mean = column.iter().sum::<f64>() / rows.max(1) as f64;
            let variance = column
                .iter()
                .map(|value| (value - mean).powi(2))
                .sum::<f64>();
            let figures = [
                quantile(&column, 0.0),
                quantile(&column, 1.0),
                mean,
                (variance / rows.max(1) as f64).sqrt(),
                quantile(&column, 0.01),
                quantile(&column, 0.99),
            ];
            for (list, figure) in stats.iter_mut().zip(figures) {
                list.push(figure);
            }
        }
        let [min, max, mean, std, q01, q99] = stats.map(Some);
        Self {
            min,
            max,
            mean,
            std,
            q01,
            q99,
            count: Some(vec![rows as f64]),
        }
    }
}

/// `choose` of two numbers; NaN if one of them is NaN.
fn either(a: f64, b: f64, choose: fn(f64, f64) -> f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        choose(a, b)
    }
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * sorted.len().saturating_sub(1) as f64;
    let at = |index: usize| sorted.get(index).copied();
    let below = at(position.floor() as usize).unwrap_or(f64::NAN);
    let above = at(position.ceil() as usize).unwrap_or(below);
    below + (above - below) * position.fract()
}
