//! Scores of one episode.

use super::episode::{Episode, Filmed};
use std::ops::ControlFlow;
use topreward::{
    ControlKind, Prefixes, Score,
    scorer::{Request, ScoredPoint, Scorer, ScorerError},
};

/// Largest difference between values of progress that count as equal.
const SAME_PROGRESS: f64 = 0.01;

/// One scored episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// True if the task succeeded, by the simulator.
    pub succeeded: bool,
    /// Rank correlation of the curve with time; `None` for a flat curve.
    pub voc: Option<f64>,
    /// The same for the true progress in the last frame of each prefix.
    pub truth_voc: Option<f64>,
    /// Rank correlation of the curve with the true progress.
    pub agreement: Option<f64>,
    /// Rank correlation with time on the frozen first frame; 0 for a flat curve.
    pub static_voc: f64,
    /// Rise of ln p(True) from the first prefix to the last on the frozen first frame.
    pub static_rise: f64,
    /// Mean of ln p(True) over the last three prefixes.
    pub success_score: f64,
    /// Difference between that and the score of another task's instruction.
    pub wrong_gap: f64,
    /// Difference between that and the score of the instruction's negation.
    pub negation_gap: f64,
    /// Rise of ln p(True) over the last prefixes, in which the true progress is constant; `None` for fewer than two.
    pub plateau_rise: Option<f64>,
}

impl Outcome {
    /// Renders and scores an episode over fifteen prefixes.
    ///
    /// # Errors
    /// [`ScorerError`].
    pub fn of(episode: &Episode, fps: u32, scorer: &Scorer) -> Result<Self, ScorerError> {
        let filmed = episode.film(fps, scorer.options())?;
        let request = Request {
            clip: filmed.clip,
            prefixes: &Prefixes::default(),
            instruction: &filmed.instruction,
            other_task: Some(&filmed.wrong_instruction),
            description: None,
        };
        let score = layers::block_on(scorer.score(
            &filmed,
            &request,
            &mut async |_: ScoredPoint| ControlFlow::Continue(()),
        ))?;
        Self::new(&filmed, &score)
    }

    fn new(filmed: &Filmed, score: &Score) -> Result<Self, ScorerError> {
        let (config, curve) = (&score.config, &score.curve);
        let mut truth = Vec::with_capacity(config.prefix_lengths.len());
        for length in &config.prefix_lengths {
            let shown = config.profile.frames(&filmed.clip, *length)?.indices;
            let last = shown.last().and_then(|index| filmed.truth.get(*index));
            truth.push(last.copied().unwrap_or_default());
        }
        let gap = |kind: ControlKind| {
            let control = score.controls.iter().find(|c| c.asked.kind == kind);
            control.map_or(f64::NAN, |control| control.gap)
        };
        Ok(Self {
            succeeded: filmed.succeeded,
            voc: curve.voc,
            truth_voc: topreward::voc(&truth)?,
            agreement: topreward::spearman(&curve.log_probs, &truth)?,
            static_voc: score.static_voc.unwrap_or(0.0),
            static_rise: rise(&score.static_log_probs).unwrap_or_default(),
            success_score: curve.success_score,
            wrong_gap: gap(ControlKind::OtherTask),
            negation_gap: gap(ControlKind::Negation),
            plateau_rise: plateau(&truth).and_then(|from| rise(curve.log_probs.get(from..)?)),
        })
    }
}

/// Difference between the last value and the first, of at least two.
fn rise(values: &[f64]) -> Option<f64> {
    match values {
        [first, .., last] => Some(last - first),
        _ => None,
    }
}

/// Index from which the values equal the last one.
fn plateau(values: &[f64]) -> Option<usize> {
    let last = values.last()?;
    let constant = values
        .iter()
        .rev()
        .take_while(|value| (*value - last).abs() < SAME_PROGRESS)
        .count();
    Some(values.len() - constant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plateau_is_the_constant_end() {
        assert_eq!(plateau(&[0.1, 0.5, 0.2, 0.504, 0.5]), Some(3));
        assert_eq!(plateau(&[0.0, 0.001, 0.002]), Some(0));
        assert_eq!(plateau(&[]), None);
        assert_eq!(rise(&[1.0, 5.0, 3.0]), Some(2.0));
        assert_eq!(rise(&[1.0]), None);
    }
}
