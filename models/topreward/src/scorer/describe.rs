//! The variant that puts the model's own description of the video before the claim.
//!
//! Each prefix has a separate description, as in the reference: one of the whole video would leak the outcome to the
//! first prefixes. Generating takes one pass per token and prefix, so this is many times slower than the plain question.

use super::{
    FrameSource, PreResized, Question, ReadPlan, Request, Scorer, ScorerError, VideoReader,
};
use crate::{
    ControlInstruction, Curve, DESCRIBE_TOKENS, Error, FrozenFirstFrame, Score, ScoreConfig,
    control_instructions, describe,
};
use qwen3vl::FrameSize;
use std::ops::ControlFlow;

/// A point of a described curve, as soon as it is known.
#[derive(Debug, Clone, Copy)]
pub struct DescribedPoint<'a> {
    /// Length of the prefix (frames).
    pub length: usize,
    /// The model's description of the prefix.
    pub description: &'a str,
    /// Natural logarithm of the probability of ` True` for the instruction.
    pub log_prob: f64,
    /// Points known, controls included.
    pub done: usize,
    /// All points.
    pub total: usize,
    /// True if the point belongs to the frozen frame.
    pub frozen: bool,
}

/// Called with every point; a break stops the scoring.
pub type OnDescribedPoint<'a> = &'a mut dyn FnMut(DescribedPoint<'_>) -> ControlFlow<()>;

/// A score and the descriptions behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedScore {
    /// The score; its configuration has the description of the longest prefix.
    pub score: Score,
    /// One description per prefix.
    pub descriptions: Vec<String>,
}

/// Log-probabilities of both answers per question, and the description, per point.
struct DescribedAnswers {
    answers: Vec<Vec<[f32; 2]>>,
    descriptions: Vec<String>,
}

impl Scorer {
    /// As [`Scorer::score`], with a description of each prefix before the claims about it; the frozen frame has its own.
    ///
    /// # Errors
    /// [`ScorerError`].
    pub async fn score_described(
        &self,
        source: &(impl FrameSource + ?Sized),
        request: &Request<'_>,
        on_point: OnDescribedPoint<'_>,
    ) -> Result<DescribedScore, ScorerError> {
        let profile = self.options().profile;
        let lengths = request.prefixes.lengths(&request.clip, profile)?;
        let plan = ReadPlan::new(profile, &request.clip, &lengths)?;
        let controls = control_instructions(request.instruction, request.other_task);
        let mut claims = vec![request.instruction];
        claims.extend(controls.iter().map(|control| control.instruction.as_str()));
        let own = self
            .read_described(source, &plan, &claims, false, on_point)
            .await?;
        let first = claims.get(..1).unwrap_or_default();
        let frozen = self
            .read_described(&FrozenFirstFrame(source), &plan, first, true, on_point)
            .await?;
        let mut curves = (0..claims.len())
            .map(|claim| curve(&own.answers, claim, &plan))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter();
        let curve_of_claim = curves.next().ok_or(Error::NoPrefixes)?;
        let descriptions: Vec<String> = plan
            .answers
            .iter()
            .filter_map(|point| own.descriptions.get(*point).cloned())
            .collect();
        let last = descriptions.last().map(String::as_str).unwrap_or_default();
        let prompt = self.prompt(request.instruction, Some(last))?;
        let config = ScoreConfig::new(profile, &prompt, &request.clip, &lengths)?;
        let controls: Vec<(ControlInstruction, Curve)> = controls.into_iter().zip(curves).collect();
        let frozen = curve(&frozen.answers, 0, &plan)?;
        Ok(DescribedScore {
            score: Score::new(config, curve_of_claim, frozen, controls),
            descriptions,
        })
    }

    async fn read_described(
        &self,
        source: &(impl FrameSource + ?Sized),
        plan: &ReadPlan,
        claims: &[&str],
        frozen: bool,
        on_point: &mut dyn FnMut(DescribedPoint<'_>) -> ControlFlow<()>,
    ) -> Result<DescribedAnswers, ScorerError> {
        let options = self.options();
        let source = PreResized {
            source,
            side: options.pre_resize,
        };
        let first = source.frame(0)?;
        let own = FrameSize {
            width: first.width(),
            height: first.height(),
        };
        drop(first);
        let mut read = DescribedAnswers {
            answers: Vec::new(),
            descriptions: Vec::new(),
        };
        for point in &plan.points {
            let size = self
                .model()
                .video()
                .frame_size(point.frames, own, self.odd_frames())?;
            let mut reader = VideoReader::new(self.model(), options.layout, size)?;
            reader.read(&source, &point.blocks)?;
            let description = self.describe(&reader).await?;
            let questions = claims
                .iter()
                .map(|claim| {
                    let prompt = self.prompt(claim, Some(&description))?;
                    Question::new(self.model().tokenizer(), options.layout, &prompt)
                })
                .collect::<Result<Vec<_>, ScorerError>>()?;
            let answers = self.ask(&reader, &questions).await?;
            if let Some([yes, _]) = answers.first() {
                let told = on_point(DescribedPoint {
                    length: point.length,
                    description: &description,
                    log_prob: f64::from(*yes),
                    done: read.answers.len() + 1 + if frozen { plan.points.len() } else { 0 },
                    total: 2 * plan.points.len(),
                    frozen,
                });
                if told.is_break() {
                    return Err(ScorerError::Stopped);
                }
            }
            read.answers.push(answers);
            read.descriptions.push(description);
        }
        Ok(read)
    }

    /// Generates a description of the video up to the reader's position, without special tokens.
    async fn describe(&self, reader: &VideoReader<'_>) -> Result<String, ScorerError> {
        let (_, after) = describe();
        let prompt = format!("{}{after}", self.options().layout.close());
        let ids = self.model().tokenizer().encode(&prompt)?;
        let generated = self
            .model()
            .generate(reader.context().clone(), &ids, DESCRIBE_TOKENS, &mut |_| {
                ControlFlow::Continue(())
            })
            .await?;
        Ok(generated.text.trim().to_owned())
    }
}

/// Values of a claim per requested prefix, from one per point read.
fn curve(answers: &[Vec<[f32; 2]>], claim: usize, plan: &ReadPlan) -> Result<Curve, Error> {
    let of = |side: usize| -> Vec<f64> {
        plan.answers
            .iter()
            .filter_map(|point| answers.get(*point)?.get(claim)?.get(side))
            .map(|value| f64::from(*value))
            .collect()
    };
    Curve::new(of(0), of(1))
}
