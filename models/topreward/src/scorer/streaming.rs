//! Scoring a video that is still being recorded.

use super::run::{Answers, assemble};
use super::{
    FrameSource, PreResized, Question, ReadPlan, ScoredPoint, Scorer, ScorerError, VideoReader,
};
use crate::{
    Clip, ControlInstruction, Error, FrozenFirstFrame, Prefixes, Prompt, Score, ScoreConfig,
};
use qwen3vl::FrameSize;
use std::{borrow::Cow, collections::BTreeMap, ops::ControlFlow};
use vision::RgbImage;

/// Scorer of a live camera: every frame is a prefix, scored before the next one arrives.
///
/// Whole blocks are read once and stay read; the half block of an odd frame is read aside. Frames are those of a clip at
/// the rate at which they come, so a [`Score`] of them equals that of the finished clip with every prefix.
#[derive(Debug)]
pub struct StreamingScorer<'a> {
    scorer: &'a Scorer,
    prompt: Prompt,
    controls: Vec<ControlInstruction>,
    questions: Vec<Question>,
    fps: f64,
    frames: usize,
    /// The first frame and those that have not been read.
    kept: UnreadFrames,
    reader: Option<(VideoReader<'a>, FrameSize)>,
    /// Number of whole blocks read.
    read: usize,
    /// Per frame, both answers to each question.
    points: Vec<Vec<[f32; 2]>>,
}

#[derive(Debug, Default)]
struct UnreadFrames(BTreeMap<usize, RgbImage>);

impl FrameSource for UnreadFrames {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.0
            .get(&index)
            .map(Cow::Borrowed)
            .ok_or_else(|| ScorerError::Frame {
                index,
                reason: "it has been read and dropped".to_owned(),
            })
    }
}

impl<'a> StreamingScorer<'a> {
    /// A scorer before its first frame. Frames come at `fps` per second.
    ///
    /// # Errors
    /// [`ScorerError::Ask`] for an instruction that cannot be, and for a rate at which not every frame is shown; [`ScorerError::Model`] and
    /// [`ScorerError::Answer`] for what the model's tokenizer makes of it.
    pub fn new(
        scorer: &'a Scorer,
        fps: f64,
        instruction: &str,
        other_task: Option<&str>,
    ) -> Result<Self, ScorerError> {
        Clip::new(1, fps)?;
        let profile = scorer.options().profile;
        if !profile.shows_every_frame(fps) {
            let profile = profile.name();
            return Err(Error::NotStreamable { profile, fps }.into());
        }
        let prompt = scorer.prompt(instruction, None)?;
        let (controls, questions) = scorer.questions(&prompt, other_task)?;
        Ok(Self {
            scorer,
            prompt,
            controls,
            questions,
            fps,
            frames: 0,
            kept: UnreadFrames::default(),
            reader: None,
            read: 0,
            points: Vec::new(),
        })
    }

    /// The control instructions, in the order of the answers.
    #[must_use]
    pub fn controls(&self) -> &[ControlInstruction] {
        &self.controls
    }

    /// Number of frames so far.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Takes the next frame and returns both answers to the instruction and to each control, for the video up to it. `None`
    /// when the model cannot take a longer video at this size; what was scored before stays.
    ///
    /// # Errors
    /// [`ScorerError`]; the frame is then not part of the clip.
    pub async fn push(&mut self, frame: RgbImage) -> Result<Option<&[[f32; 2]]>, ScorerError> {
        let length = self.frames + 1;
        let clip = Clip::new(length, self.fps)?;
        let options = self.scorer.options();
        let plan = ReadPlan::new(options.profile, &clip, &[length])?;
        let Some(point) = plan.points.first() else {
            return Ok(None);
        };
        let side = options.pre_resize;
        let own = FrameSize {
            width: side.unwrap_or(frame.width()),
            height: side.unwrap_or(frame.height()),
        };
        let model = self.scorer.model();
        let size = model
            .video()
            .frame_size(point.frames, own, self.scorer.odd_frames())?;
        let (mut reader, first_size) = match self.reader.take() {
            Some(held) => held,
            None => (VideoReader::new(model, options.layout, size)?, size),
        };
        if size != first_size {
            self.reader = Some((reader, first_size));
            return Ok(None);
        }
        self.kept.0.insert(self.frames, frame);
        let source = PreResized {
            source: &self.kept,
            side,
        };
        let whole = point.whole_blocks();
        let result = async {
            reader.read(
                &source,
                point.blocks.get(self.read..whole).unwrap_or_default(),
            )?;
            match point.half_block() {
                Some(half) => {
                    let mut aside = reader.clone();
                    aside.read(&source, std::slice::from_ref(half))?;
                    self.scorer.ask(&aside, &self.questions).await
                }
                None => self.scorer.ask(&reader, &self.questions).await,
            }
        }
        .await;
        self.reader = Some((reader, first_size));
        let answers = match result {
            Ok(answers) => answers,
            Err(error) => {
                self.kept.0.remove(&self.frames);
                return Err(error);
            }
        };
        self.read = whole;
        self.frames = length;
        // The first frame is held for the control; a frame of a whole block is not looked at again.
        let unread = plan
            .points
            .first()
            .and_then(|point| point.half_block())
            .map_or(length, |half| half.indices[0]);
        self.kept
            .0
            .retain(|&index, _| index == 0 || index >= unread);
        self.points.push(answers);
        Ok(self.points.last().map(Vec::as_slice))
    }

    /// Ends the video: computes the control on the frozen first frame and assembles the score. `on_point` is called with
    /// every point of the control.
    ///
    /// # Errors
    /// [`ScorerError`]; [`ScorerError::Ask`] when no frame came.
    pub async fn finish(
        self,
        on_point: &mut impl AsyncFnMut(ScoredPoint<'_>) -> ControlFlow<()>,
    ) -> Result<Score, ScorerError> {
        let profile = self.scorer.options().profile;
        let clip = Clip::new(self.frames, self.fps)?;
        let lengths = Prefixes::Lengths((1..=self.frames).collect()).lengths(&clip, profile)?;
        let plan = ReadPlan::new(profile, &clip, &lengths)?;
        let first = self.questions.get(..1).unwrap_or_default();
        let total = plan.points.len();
        let mut done = 0;
        let frozen = self
            .scorer
            .answer(
                &FrozenFirstFrame(&self.kept),
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
        // A point stands for the shortest prefix that shows its frames, and every frame was scored.
        let answers: Answers = (0..self.questions.len())
            .map(|question| {
                plan.points
                    .iter()
                    .filter_map(|point| {
                        let answers = self.points.get(point.length.checked_sub(1)?)?;
                        answers.get(question).copied()
                    })
                    .collect()
            })
            .collect();
        let config = ScoreConfig::new(profile, &self.prompt, &clip, &lengths)?;
        assemble(config, &plan, &answers, &frozen, self.controls)
    }
}
