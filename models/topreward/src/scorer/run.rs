//! Scoring a video.

use super::{FrameSource, PlannedPrefix, PreResized, Question, ReadPlan, ScorerError, VideoReader};
use crate::{
    Clip, ControlInstruction, Curve, Error, FrozenFirstFrame, Prefixes, Profile, Prompt, Score,
    ScoreConfig, Template, control_instructions,
};
use qwen3vl::{ContextPosition, FrameSize, OddFrames, Qwen3Vl, Suffix, TextLayout};
use std::{ops::ControlFlow, sync::Arc};

/// Order of reading. The results agree to rounding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadStrategy {
    /// Every prefix from its beginning.
    Naive,
    /// The video once, a point as soon as its prefix has been read.
    #[default]
    Streaming,
    /// The video once, then all questions in one pass.
    Packed,
}

/// Options of a scorer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScorerOptions {
    /// Frame sampling.
    pub profile: Profile,
    /// True if the question is a turn of a conversation.
    pub template: Template,
    /// Layout of the video in the text.
    pub layout: TextLayout,
    /// Side of the square that frames are resized to first, ignoring their aspect (pixels).
    pub pre_resize: Option<usize>,
    /// Order of reading.
    pub strategy: ReadStrategy,
}

impl ScorerOptions {
    /// The reference's options for this profile.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            template: Template::Without,
            layout: TextLayout::Plain,
            pre_resize: profile.pre_resize(),
            strategy: ReadStrategy::default(),
        }
    }
}

/// A request to score a video.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// Extent of the video.
    pub clip: Clip,
    /// The prefixes to score.
    pub prefixes: &'a Prefixes,
    /// The instruction that the video is claimed to complete.
    pub instruction: &'a str,
    /// An instruction of another episode, for the control.
    pub other_task: Option<&'a str>,
    /// A description of the video, put before the claim.
    pub description: Option<&'a str>,
}

/// The values of one prefix, as soon as they are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredPoint<'a> {
    /// Length of the prefix (frames).
    pub length: usize,
    /// Natural logarithms of the probabilities of ` True` and ` False`: of the instruction, then of the controls in the
    /// order of [`control_instructions`]; on the frozen frame of the instruction alone.
    pub answers: &'a [[f32; 2]],
    /// Prefixes known and prefixes to come, those of the frozen frame included.
    pub done: usize,
    /// All prefixes of the run.
    pub total: usize,
    /// True if the prefix is of the frozen frame.
    pub frozen: bool,
}

impl ScoredPoint<'_> {
    /// Natural logarithm of the probability of ` True` for the instruction.
    #[must_use]
    pub fn log_prob(&self) -> f64 {
        self.answers
            .first()
            .map_or(f64::NAN, |[yes, _]| f64::from(*yes))
    }
}

/// A model that scores videos. A clone shares the model.
#[derive(Debug, Clone)]
pub struct Scorer {
    model: Arc<Qwen3Vl>,
    options: ScorerOptions,
}

/// Log-probabilities of both answers, per question and prefix.
pub(super) type Answers = Vec<Vec<[f32; 2]>>;

impl Scorer {
    /// A scorer of `model` with `options`.
    #[must_use]
    pub fn new(model: impl Into<Arc<Qwen3Vl>>, options: ScorerOptions) -> Self {
        Self {
            model: model.into(),
            options,
        }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Qwen3Vl {
        &self.model
    }

    /// Its options.
    #[must_use]
    pub fn options(&self) -> &ScorerOptions {
        &self.options
    }

    /// The same model with other options.
    #[must_use]
    pub fn with_options(self, options: ScorerOptions) -> Self {
        Self { options, ..self }
    }

    /// Scores a video with its controls: its negation and another instruction on the same reading of the video,
    /// and the instruction on its first frame held. `on_point` is called with every prefix and may break; it is awaited, so
    /// that a browser's event loop can run in between.
    ///
    /// # Errors
    /// [`ScorerError`].
    pub async fn score(
        &self,
        source: &(impl FrameSource + ?Sized),
        request: &Request<'_>,
        on_point: &mut impl AsyncFnMut(ScoredPoint<'_>) -> ControlFlow<()>,
    ) -> Result<Score, ScorerError> {
        let clip = request.clip;
        let lengths = request.prefixes.lengths(&clip, self.options.profile)?;
        let plan = ReadPlan::new(self.options.profile, &clip, &lengths)?;
        let prompt = self.prompt(request.instruction, request.description)?;
        let (controls, questions) = self.questions(&prompt, request.other_task)?;
        let each = plan.points.len();
        let total = 2 * each;
        let mut done = 0;
        let answers = self
            .answer(source, &plan, &questions, &mut async |length, answers| {
                done += 1;
                on_point(ScoredPoint {
                    length,
                    answers,
                    done,
                    total,
                    frozen: false,
                })
                .await
            })
            .await?;
        let first = questions.get(..1).unwrap_or_default();
        let frozen = self
            .answer(
                &FrozenFirstFrame(source),
                &plan,
                first,
                &mut async |length, answers| {
                    done += 1;
                    on_point(ScoredPoint {
                        length,
                        answers,
                        done,
                        total,
                        frozen: true,
                    })
                    .await
                },
            )
            .await?;
        let config = ScoreConfig::new(self.options.profile, &prompt, &clip, &lengths)?;
        assemble(config, &plan, &answers, &frozen, controls)
    }

    /// The instruction's question, then those of its controls.
    pub(super) fn questions(
        &self,
        prompt: &Prompt,
        other_task: Option<&str>,
    ) -> Result<(Vec<ControlInstruction>, Vec<Question>), ScorerError> {
        let controls = control_instructions(prompt.instruction(), other_task);
        let mut questions = vec![self.question(prompt)?];
        for control in &controls {
            // The description is of the video, whatever is claimed.
            let prompt = self.prompt(&control.instruction, prompt.description())?;
            questions.push(self.question(&prompt)?);
        }
        Ok((controls, questions))
    }

    pub(super) fn prompt(
        &self,
        instruction: &str,
        description: Option<&str>,
    ) -> Result<Prompt, Error> {
        let prompt = Prompt::new(instruction)?.with_template(self.options.template);
        match description {
            None => Ok(prompt),
            Some(description) => prompt.with_description(description),
        }
    }

    fn question(&self, prompt: &Prompt) -> Result<Question, ScorerError> {
        Question::new(self.model.tokenizer(), self.options.layout, prompt)
    }

    /// Log-probabilities of the answers to `questions` at every point of `plan`, per question and point. `on_answers` is
    /// called with each point's as soon as they are known.
    ///
    /// # Errors
    /// [`ScorerError`].
    pub async fn answer(
        &self,
        source: &(impl FrameSource + ?Sized),
        plan: &ReadPlan,
        questions: &[Question],
        on_answers: &mut impl AsyncFnMut(usize, &[[f32; 2]]) -> ControlFlow<()>,
    ) -> Result<Answers, ScorerError> {
        let source = PreResized {
            source,
            side: self.options.pre_resize,
        };
        let Some(last) = plan.points.last() else {
            return Ok(vec![Vec::new(); questions.len()]);
        };
        let first = source.frame(0)?;
        let own = FrameSize {
            width: first.width(),
            height: first.height(),
        };
        drop(first);
        let size_of = |point: &PlannedPrefix| {
            self.model
                .video()
                .frame_size(point.frames, own, self.odd_frames())
        };
        let size = size_of(last)?;
        let mut points: Vec<Vec<[f32; 2]>> = Vec::with_capacity(plan.points.len());
        let mut pending: Vec<(usize, ContextPosition)> = Vec::new();
        let mut reader = VideoReader::new(&self.model, self.options.layout, size)?;
        let mut read = 0;
        for (index, point) in plan.points.iter().enumerate() {
            let own_size = size_of(point)?;
            let alone = self.options.strategy == ReadStrategy::Naive
                || !self.options.profile.prefix_stable()
                || own_size != size;
            let answers = if alone {
                let mut alone = VideoReader::new(&self.model, self.options.layout, own_size)?;
                alone.read(&source, &point.blocks)?;
                self.ask(&alone, questions).await?
            } else {
                let whole = point.whole_blocks();
                reader.read(&source, point.blocks.get(read..whole).unwrap_or_default())?;
                read = whole;
                match point.half_block() {
                    Some(half) => {
                        let mut aside = reader.clone();
                        aside.read(&source, std::slice::from_ref(half))?;
                        self.ask(&aside, questions).await?
                    }
                    None if self.options.strategy == ReadStrategy::Packed => {
                        pending.push((index, reader.position()));
                        Vec::new()
                    }
                    None => self.ask(&reader, questions).await?,
                }
            };
            if !answers.is_empty() && on_answers(point.length, &answers).await.is_break() {
                return Err(ScorerError::Stopped);
            }
            points.push(answers);
        }
        let positions: Vec<ContextPosition> =
            pending.iter().map(|(_, position)| *position).collect();
        let packed = self.ask_at(&reader, &positions, questions).await?;
        for ((index, _), answers) in pending.into_iter().zip(packed) {
            if let (Some(place), Some(point)) = (points.get_mut(index), plan.points.get(index)) {
                if on_answers(point.length, &answers).await.is_break() {
                    return Err(ScorerError::Stopped);
                }
                *place = answers;
            }
        }
        Ok((0..questions.len())
            .map(|question| {
                points
                    .iter()
                    .filter_map(|answers| answers.get(question).copied())
                    .collect()
            })
            .collect())
    }

    /// The publication's processor counts an odd frame otherwise than LeRobot's.
    pub(super) fn odd_frames(&self) -> OddFrames {
        match self.options.profile {
            Profile::Lerobot => OddFrames::Padded,
            Profile::Aligned | Profile::Legacy => OddFrames::HalfToEven,
        }
    }

    /// The answers to every question where the reader is.
    pub(super) async fn ask(
        &self,
        reader: &VideoReader<'_>,
        questions: &[Question],
    ) -> Result<Vec<[f32; 2]>, ScorerError> {
        let answers = self.ask_at(reader, &[reader.position()], questions).await?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }

    /// The answers to every question at each of the positions, all in one pass.
    async fn ask_at(
        &self,
        reader: &VideoReader<'_>,
        positions: &[ContextPosition],
        questions: &[Question],
    ) -> Result<Vec<Vec<[f32; 2]>>, ScorerError> {
        if positions.is_empty() || questions.is_empty() {
            return Ok(Vec::new());
        }
        let queries: Vec<_> = questions.iter().map(Question::queries).collect();
        let suffixes: Vec<Suffix<'_>> = positions
            .iter()
            .flat_map(|position| {
                questions
                    .iter()
                    .zip(&queries)
                    .map(|(question, queries)| Suffix {
                        position: *position,
                        ids: &question.ids,
                        queries,
                    })
            })
            .collect();
        let log_probs = self
            .model
            .network()
            .log_probs(reader.context(), &suffixes)
            .await?;
        let pairs: Vec<[f32; 2]> = log_probs
            .iter()
            .filter_map(|pair| <[f32; 2]>::try_from(pair.as_slice()).ok())
            .collect();
        Ok(pairs
            .chunks(questions.len())
            .map(<[[f32; 2]]>::to_vec)
            .collect())
    }
}

/// Curves of answers per question and point, and of those on the frozen frame.
pub(super) fn assemble(
    config: ScoreConfig,
    plan: &ReadPlan,
    answers: &Answers,
    frozen: &Answers,
    controls: Vec<ControlInstruction>,
) -> Result<Score, ScorerError> {
    let mut curves = answers
        .iter()
        .map(|answers| curve(answers, plan))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter();
    let own = curves.next().ok_or(Error::NoPrefixes)?;
    let frozen = frozen.first().ok_or(Error::NoPrefixes)?;
    let controls: Vec<(ControlInstruction, Curve)> = controls.into_iter().zip(curves).collect();
    Ok(Score::new(config, own, curve(frozen, plan)?, controls))
}

/// Values per requested prefix, from one per point read.
fn curve(answers: &[[f32; 2]], plan: &ReadPlan) -> Result<Curve, Error> {
    let of = |side: usize| -> Vec<f64> {
        plan.answers
            .iter()
            .filter_map(|point| answers.get(*point)?.get(side))
            .map(|value| f64::from(*value))
            .collect()
    };
    Curve::new(of(0), of(1))
}
