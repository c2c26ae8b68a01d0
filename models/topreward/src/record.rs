//! The reference's record of one episode: one line of its `…_predictions.jsonl`.

use crate::{Score, gvl};
use serde::{Deserialize, Serialize};

/// One episode, under the reference's keys and in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Position in the run, from 0.
    pub index: usize,
    /// Name of the data set.
    pub dataset: String,
    /// Index of the episode in the data set.
    pub episode_index: usize,
    /// The instruction.
    pub instruction: String,
    /// Log-probability at the last prefix.
    pub reward: f64,
    /// Reduction of the answer's tokens to one number; there is one token.
    pub reduction: String,
    /// Progress per prefix.
    pub normalized_log_probs: Option<Vec<f64>>,
    /// Number of tokens of the answer.
    pub token_count: usize,
    /// Frames of the episode.
    pub num_frames: usize,
    /// Rank correlation. Where it is undefined the reference writes the word NaN, which is not JSON; here
    /// it is null.
    pub voc: Option<f64>,
    /// Error, where there is no score.
    pub error: Option<String>,
    /// The last frame of each prefix.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub original_frames_indices: Option<Vec<usize>>,
    /// Completion there if the episode advances evenly (percent).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub original_frames_task_completion_rates: Option<Vec<u32>>,
    /// The model's description of the video.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trajectory_description: Option<String>,
    /// Length of each prefix (frames).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix_lengths: Option<Vec<usize>>,
    /// Log-probability per prefix.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix_rewards: Option<Vec<f64>>,
    /// Log-probability of the other answer at the last prefix.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub false_reward: Option<f64>,
    /// The same per prefix.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix_false_rewards: Option<Vec<f64>>,
    /// Name of the profile. Our addition; the reference ignores it.
    pub profile: String,
    /// Rank correlation on the frozen first frame. Ours.
    pub static_voc: Option<f64>,
    /// Mean of the last three log-probabilities. Ours.
    pub success_score: f64,
}

impl Record {
    /// The record of a scored episode.
    #[must_use]
    pub fn new(index: usize, dataset: &str, episode_index: usize, score: &Score) -> Self {
        let config = &score.config;
        let last_frames: Vec<usize> = config
            .prefix_lengths
            .iter()
            .map(|length| length.saturating_sub(1))
            .collect();
        Self {
            index,
            dataset: dataset.to_owned(),
            episode_index,
            instruction: config.instruction.clone(),
            reward: score.curve.log_probs.last().copied().unwrap_or(f64::NAN),
            reduction: "mean".to_owned(),
            normalized_log_probs: Some(score.curve.progress.clone()),
            token_count: 1,
            num_frames: config.frames,
            voc: score.curve.voc,
            error: None,
            original_frames_task_completion_rates: Some(
                last_frames
                    .iter()
                    .map(|&frame| gvl::completion(frame, config.frames))
                    .collect(),
            ),
            original_frames_indices: Some(last_frames),
            trajectory_description: config.description.clone(),
            prefix_lengths: Some(config.prefix_lengths.clone()),
            prefix_rewards: Some(score.curve.log_probs.clone()),
            false_reward: score.curve.false_log_probs.last().copied(),
            prefix_false_rewards: Some(score.curve.false_log_probs.clone()),
            profile: config.profile.name().to_owned(),
            static_voc: score.static_voc,
            success_score: score.curve.success_score,
        }
    }

    /// One line, without its end.
    ///
    /// # Errors
    /// Any error of the serializer.
    pub fn to_line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}
