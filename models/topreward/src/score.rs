//! The result: a curve with its controls beside it.

use crate::{Clip, ControlInstruction, Error, Profile, Prompt, Template, curve, rank};
use serde::{Deserialize, Serialize};

/// The values of one instruction over the prefixes of one clip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Natural logarithm of the answer ` True`'s probability, per prefix.
    pub log_probs: Vec<f64>,
    /// The same of ` False`; a diagnostic, not part of the reward.
    pub false_log_probs: Vec<f64>,
    /// `log_probs` from 0 (lowest) to 1 (highest) within this clip.
    pub progress: Vec<f64>,
    /// Rank correlation of progress with time; none where it is undefined.
    pub voc: Option<f64>,
    /// Mean of the last three `log_probs`.
    pub success_score: f64,
}

impl Curve {
    /// From log-probabilities in the order of growing prefixes, at least one.
    ///
    /// # Errors
    /// [`Error::Lengths`], [`Error::NotFinite`], [`Error::NoPrefixes`].
    pub fn new(log_probs: Vec<f64>, false_log_probs: Vec<f64>) -> Result<Self, Error> {
        curve::same_length(
            "log-probabilities of both answers",
            &log_probs,
            &false_log_probs,
        )?;
        let success_score = curve::success_score(&log_probs).ok_or(Error::NoPrefixes)?;
        let progress = curve::min_max(&log_probs)?;
        Ok(Self {
            voc: rank::voc(&progress)?,
            progress,
            success_score,
            log_probs,
            false_log_probs,
        })
    }
}

/// A control and its curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// The control instruction and its kind.
    #[serde(flatten)]
    pub asked: ControlInstruction,
    /// Its curve on the same clip.
    #[serde(flatten)]
    pub curve: Curve,
    /// Success score of the true instruction minus this one's. Above 0 is right.
    pub gap: f64,
}

/// Configuration of a score: everything that two scores must share for their log-probabilities to be comparable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreConfig {
    /// Frame sampling.
    pub profile: Profile,
    /// True if the question is a turn of a conversation.
    pub template: Template,
    /// The model's description of the video, where that was put before the claim.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// The claim.
    pub instruction: String,
    /// Frames per second of the clip.
    pub fps: f64,
    /// Frames of the clip.
    pub frames: usize,
    /// Length of each prefix (frames).
    pub prefix_lengths: Vec<usize>,
    /// Number of frames of each prefix that the model was shown.
    pub shown_frames: Vec<usize>,
}

impl ScoreConfig {
    /// The configuration of a score of `clip` at `prefix_lengths` (frames), as `profile` samples them.
    ///
    /// # Errors
    /// [`Error::BadPrefix`].
    pub fn new(
        profile: Profile,
        prompt: &Prompt,
        clip: &Clip,
        prefix_lengths: &[usize],
    ) -> Result<Self, Error> {
        let shown = |length: &usize| Ok(profile.frames(clip, *length)?.indices.len());
        Ok(Self {
            profile,
            template: prompt.template(),
            description: prompt.description().map(str::to_owned),
            instruction: prompt.instruction().to_owned(),
            fps: clip.fps(),
            frames: clip.frames(),
            shown_frames: prefix_lengths
                .iter()
                .map(shown)
                .collect::<Result<_, Error>>()?,
            prefix_lengths: prefix_lengths.to_vec(),
        })
    }
}

/// A clip's score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Configuration of the score.
    #[serde(flatten)]
    pub config: ScoreConfig,
    /// Curve of the instruction.
    #[serde(flatten)]
    pub curve: Curve,
    /// Rank correlation on the clip's first frame, held for as long as the clip. A sound reward has about 0;
    /// a value near 1 means that the model counts images.
    pub static_voc: Option<f64>,
    /// The raw values on the frozen frame.
    pub static_log_probs: Vec<f64>,
    /// The same of the answer ` False`.
    pub static_false_log_probs: Vec<f64>,
    /// Mean of the last three of those.
    pub static_success_score: f64,
    /// The same clip under instructions that it does not complete.
    pub controls: Vec<Control>,
}

impl Score {
    /// Puts a curve and its controls together. `frozen` is the curve of the frozen first frame.
    #[must_use]
    pub fn new(
        config: ScoreConfig,
        curve: Curve,
        frozen: Curve,
        controls: Vec<(ControlInstruction, Curve)>,
    ) -> Self {
        let controls = controls
            .into_iter()
            .map(|(asked, control)| Control {
                asked,
                gap: curve.success_score - control.success_score,
                curve: control,
            })
            .collect();
        Self {
            config,
            curve,
            static_voc: frozen.voc,
            static_success_score: frozen.success_score,
            static_log_probs: frozen.log_probs,
            static_false_log_probs: frozen.false_log_probs,
            controls,
        }
    }

    /// The curve of the frozen first frame.
    ///
    /// # Errors
    /// As [`Curve::new`], for a score that was read from somewhere.
    pub fn frozen(&self) -> Result<Curve, Error> {
        Curve::new(
            self.static_log_probs.clone(),
            self.static_false_log_probs.clone(),
        )
    }

    /// The raw values minus those of the frozen frame: the part that is not explained by the number of images.
    #[must_use]
    pub fn above_static(&self) -> Vec<f64> {
        self.curve
            .log_probs
            .iter()
            .zip(&self.static_log_probs)
            .map(|(moving, frozen)| moving - frozen)
            .collect()
    }

    /// True if the frozen frame rises about as the video does: such a curve shows the number of images, not progress.
    #[must_use]
    pub fn rises_when_frozen(&self) -> bool {
        match (self.curve.voc, self.static_voc) {
            (Some(own), Some(frozen)) => frozen >= own - 0.1,
            _ => false,
        }
    }
}
