//! The baseline on this crate's own model: one long question about shuffled frames, answered in text.

use super::{FrameSource, Scorer, ScorerError};
use crate::{Error, gvl};
use qwen3vl::{OnToken, Part, StopReason};
use vision::{RgbImage, resample_bicubic_u8};

/// Frames are squeezed to this square first, as everywhere in the reference (pixels).
const SIDE: usize = 244;
/// And then to this one: its image loader rounds to multiples of 28, which the model's own do not divide (pixels).
const LOADER_SIDE: usize = 252;

/// Answer to the baseline's question.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineAnswer {
    /// The generated text.
    pub text: String,
    /// Number of generated tokens.
    pub tokens: usize,
    /// Reason why the generation ended.
    pub stop_reason: StopReason,
    /// The parsed answer, or the reason why it cannot be used. The reference leaves such episodes out of its mean.
    pub parsed: Result<gvl::Answer, Error>,
}

impl Scorer {
    /// Asks for the percentages of `shown`, an answer of at most `max_tokens` tokens. The scorer's options do not matter.
    ///
    /// # Errors
    /// [`ScorerError`]. An answer that cannot be read is none.
    pub async fn ask_percentages(
        &self,
        source: &(impl FrameSource + ?Sized),
        shown: &gvl::ShownFrames,
        instruction: &str,
        max_tokens: usize,
        on_token: &mut OnToken<'_>,
    ) -> Result<BaselineAnswer, ScorerError> {
        let question = shown.question(instruction);
        let images = question
            .iter()
            .filter_map(|part| match part {
                gvl::QuestionPart::Frame(index) => Some(squeeze(source, *index)),
                gvl::QuestionPart::Text(_) => None,
            })
            .collect::<Result<Vec<RgbImage>, ScorerError>>()?;
        let mut images = images.iter();
        let parts: Vec<Part<'_>> = question
            .iter()
            .filter_map(|part| match part {
                gvl::QuestionPart::Text(text) => Some(Part::Text(text)),
                gvl::QuestionPart::Frame(_) => images.next().map(Part::Image),
            })
            .collect();
        let (context, prompt) = self.model().prefill_turn(&parts)?;
        let generated = self
            .model()
            .generate(context, &prompt, max_tokens, on_token)
            .await?;
        Ok(BaselineAnswer {
            parsed: shown.parse(&generated.text),
            tokens: generated.ids.len(),
            text: generated.text,
            stop_reason: generated.stop_reason,
        })
    }
}

fn squeeze(source: &(impl FrameSource + ?Sized), index: usize) -> Result<RgbImage, ScorerError> {
    let frame = source.frame(index)?;
    let bad = |error: vision::ImageError| ScorerError::Frame {
        index,
        reason: error.to_string(),
    };
    let small = resample_bicubic_u8(&frame, SIDE, SIDE).map_err(bad)?;
    resample_bicubic_u8(&small, LOADER_SIDE, LOADER_SIDE).map_err(bad)
}
