//! The reference's record of one episode under the baseline: one line of its `…_predictions.jsonl`.

use crate::{Error, gvl};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One episode, under the reference's keys and in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GvlRecord {
    /// Position in the run, from 0.
    pub index: usize,
    /// Name of the data set.
    pub dataset: String,
    /// The episode and what was shown of it.
    pub eval_episode: GvlEpisode,
    /// Examples before the question; there are none here.
    pub context_episodes_count: usize,
    /// Indices of the example episodes; empty.
    pub context_episodes_indices: Vec<usize>,
    /// Frames per example episode; empty.
    pub context_episodes_frames_per_episode: Vec<usize>,
    /// Percentages of the answer, in the order in which the frames were shown.
    pub predicted_percentages: Vec<f64>,
    /// True if there is one for every frame.
    pub valid_length: bool,
    /// `voc`, 0 where it is undefined or the answer cannot be read.
    pub metrics: BTreeMap<String, f64>,
    /// Number of errors by the reference's names.
    pub error_count: BTreeMap<String, u32>,
    /// The answer as the model wrote it.
    pub raw_response: String,
}

/// The part of an episode that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GvlEpisode {
    /// Index of the episode in the data set.
    pub episode_index: u64,
    /// The instruction.
    pub instruction: String,
    /// Frames in the order of time.
    pub original_frames_indices: Vec<usize>,
    /// In the order in which they were shown.
    pub shuffled_frames_indices: Vec<usize>,
    /// Completion at each, if the episode advances evenly (percent), in the order of time.
    pub original_frames_task_completion_rates: Vec<u32>,
    /// The same as shown.
    pub shuffled_frames_approx_completion_rates: Vec<u32>,
}

const MISMATCH: &str = "PercentagesCountMismatchError";
const NO_MASS: &str = "PercentagesNormalizationError";

impl GvlRecord {
    /// The record of an answer to a question about `shown`, an episode of `total` frames.
    #[must_use]
    pub fn new(
        index: usize,
        dataset: &str,
        episode_index: u64,
        instruction: &str,
        total: usize,
        shown: &gvl::ShownFrames,
        answer: &str,
    ) -> Self {
        let parsed = shown.parse(answer);
        let percentages = gvl::percentages(answer);
        let no_mass = u32::from(percentages.is_err());
        let percentages = percentages.unwrap_or_default();
        let valid_length = percentages.len() == shown.shuffled.len();
        Self {
            index,
            dataset: dataset.to_owned(),
            eval_episode: GvlEpisode {
                episode_index,
                instruction: instruction.to_owned(),
                original_frames_indices: shown.chronological.clone(),
                shuffled_frames_indices: shown.shuffled.clone(),
                original_frames_task_completion_rates: shown.completion.clone(),
                shuffled_frames_approx_completion_rates: shown
                    .shuffled
                    .iter()
                    .map(|&frame| gvl::completion(frame, total))
                    .collect(),
            },
            context_episodes_count: 0,
            context_episodes_indices: Vec::new(),
            context_episodes_frames_per_episode: Vec::new(),
            predicted_percentages: percentages,
            valid_length,
            metrics: BTreeMap::from([(
                "voc".to_owned(),
                parsed.as_ref().map_or(0.0, |answer| answer.voc),
            )]),
            error_count: BTreeMap::from([
                (MISMATCH.to_owned(), u32::from(!valid_length)),
                (NO_MASS.to_owned(), no_mass),
            ]),
            raw_response: answer.to_owned(),
        }
    }

    /// True if the answer can be used; the reference leaves the others out of its mean.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.error_count.values().all(|count| *count == 0)
    }

    /// Its value-order correlation; 0 where that is undefined.
    #[must_use]
    pub fn voc(&self) -> f64 {
        self.metrics.get("voc").copied().unwrap_or(0.0)
    }
}

/// The mean value-order correlation of the episodes whose answer can be used, and how many those are.
///
/// # Errors
/// [`Error::NotFinite`].
pub fn gvl_mean_voc(records: &[GvlRecord]) -> Result<(Option<f64>, usize), Error> {
    let vocs: Vec<f64> = records
        .iter()
        .filter(|record| record.is_usable())
        .map(GvlRecord::voc)
        .collect();
    crate::curve::check_finite("value-order correlations", &vocs)?;
    let mean = (!vocs.is_empty()).then(|| vocs.iter().sum::<f64>() / vocs.len() as f64);
    Ok((mean, vocs.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::gvl::Gvl;

    #[test]
    fn an_answer_with_too_few_percentages_counts_for_nothing() {
        let shown = Gvl::new(4, 42).show(30, 3).unwrap();
        let record = |answer| GvlRecord::new(0, "set", 3, "open", 30, &shown, answer);
        let good: String = shown
            .shuffled
            .iter()
            .map(|frame| format!("{}% ", frame * 3))
            .collect();
        let good = record(good.as_str());
        assert!(good.is_usable() && good.valid_length);
        assert!((good.voc() - 1.0).abs() < 1e-12);
        let short = record("10% 20%");
        assert!(!short.is_usable());
        assert_eq!(short.error_count[MISMATCH], 1);
        assert_eq!(short.predicted_percentages, [10.0, 20.0]);
        let none = record("0.0% 0.0% 0.0% 0.0%");
        assert!(none.predicted_percentages.is_empty() || none.is_usable());
        assert!(none.voc().abs() < 1e-12);
        let (mean, count) = gvl_mean_voc(&[good, short]).unwrap();
        assert_eq!((mean.unwrap().round(), count), (1.0, 1));
        assert_eq!(gvl_mean_voc(&[]).unwrap(), (None, 0));
    }
}
