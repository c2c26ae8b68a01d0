//! What the scores of a data set come to.

use super::{Finished, ScoringError};
use serde::Serialize;
use std::collections::BTreeMap;
use topreward::{ControlKind, roc_auc};

/// An episode that could not be scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which one.
    pub episode_index: u64,
    /// Why not.
    pub error: String,
}

/// The reference's summary, and what its controls add.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the checkpoint's folder.
    pub model_name: String,
    /// Name of the data set's folder.
    pub dataset_name: String,
    /// `topreward`.
    pub method: &'static str,
    /// Scored episodes.
    pub valid_count: usize,
    /// Episodes that could not be scored in this run.
    pub error_count: usize,
    /// Those.
    pub failed: Vec<Failure>,
    /// The figures.
    pub metrics: Metrics,
}

/// Means and spreads over episodes; none where no episode has a value.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the first nine are the reference's keys")]
pub struct Metrics {
    pub topreward_mean: Option<f64>,
    pub topreward_std: Option<f64>,
    pub topreward_min: Option<f64>,
    pub topreward_max: Option<f64>,
    pub voc_mean: Option<f64>,
    pub voc_std: Option<f64>,
    pub voc_min: Option<f64>,
    pub voc_max: Option<f64>,
    pub voc_valid_count: usize,
    /// Rank correlation on the frozen first frame.
    pub static_voc_mean: Option<f64>,
    /// Mean of the success scores.
    pub success_score_mean: Option<f64>,
    /// How far the success score is above that of the frozen first frame.
    pub static_gap_mean: Option<f64>,
    /// How far it is above that of the negation.
    pub negation_gap_mean: Option<f64>,
    /// How far it is above that of another task, or of shuffled words.
    pub wrong_instruction_gap_mean: Option<f64>,
    /// How often the true instruction scores above another task, or shuffled words.
    pub wrong_instruction_share_below: Option<f64>,
    /// Area under the ROC curve of the success score.
    pub success_auc: Option<f64>,
    /// Successes and failures that it is made of.
    pub successes: usize,
    pub failures: usize,
}

impl Summary {
    /// Of scored episodes, whichever run scored them. `labels` says of episodes whether they succeeded.
    ///
    /// # Errors
    /// [`ScoringError::Method`] for scores that are no numbers.
    pub fn new(
        model_name: &str,
        dataset_name: &str,
        finished: &BTreeMap<usize, Finished>,
        failed: Vec<Failure>,
        labels: Option<&BTreeMap<u64, bool>>,
    ) -> Result<Self, ScoringError> {
        let of = |value: &dyn Fn(&Finished) -> Option<f64>| -> Vec<f64> {
            finished.values().filter_map(value).collect()
        };
        let rewards = of(&|episode| Some(episode.record.reward));
        let vocs = of(&|episode| episode.score.curve.voc);
        let gap = |kinds: &'static [ControlKind]| {
            of(&move |episode| {
                let mut controls = episode.score.controls.iter();
                controls
                    .find(|control| kinds.contains(&control.asked.kind))
                    .map(|control| control.gap)
            })
        };
        let wrong = gap(&[ControlKind::OtherTask, ControlKind::ShuffledWords]);
        let above = wrong.iter().filter(|gap| **gap > 0.0).count();
        let (scores, outcomes): (Vec<f64>, Vec<bool>) = finished
            .iter()
            .filter_map(|(index, episode)| {
                let label = labels?.get(&(*index as u64))?;
                Some((episode.score.curve.success_score, *label))
            })
            .unzip();
        let successes = outcomes.iter().filter(|outcome| **outcome).count();
        let failures = outcomes.len() - successes;
        let success_auc = (successes > 0 && failures > 0)
            .then(|| roc_auc(&scores, &outcomes))
            .transpose()?;
        let metrics = Metrics {
            topreward_mean: mean(&rewards),
            topreward_std: deviation(&rewards),
            topreward_min: rewards.iter().copied().reduce(f64::min),
            topreward_max: rewards.iter().copied().reduce(f64::max),
            voc_mean: mean(&vocs),
            voc_std: deviation(&vocs),
            voc_min: vocs.iter().copied().reduce(f64::min),
            voc_max: vocs.iter().copied().reduce(f64::max),
            voc_valid_count: vocs.len(),
            static_voc_mean: mean(&of(&|episode| episode.score.static_voc)),
            success_score_mean: mean(&of(&|episode| Some(episode.score.curve.success_score))),
            static_gap_mean: mean(&of(&|episode| {
                Some(episode.score.curve.success_score - episode.score.static_success_score)
            })),
            negation_gap_mean: mean(&gap(&[ControlKind::Negation])),
            wrong_instruction_share_below: (!wrong.is_empty())
                .then(|| above as f64 / wrong.len() as f64),
            wrong_instruction_gap_mean: mean(&wrong),
            success_auc,
            successes,
            failures,
        };
        Ok(Self {
            model_name: model_name.to_owned(),
            dataset_name: dataset_name.to_owned(),
            method: "topreward",
            valid_count: finished.len(),
            error_count: failed.len(),
            failed,
            metrics,
        })
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Over all values, as NumPy's by default.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    Some((squares.sum::<f64>() / values.len() as f64).sqrt())
}
