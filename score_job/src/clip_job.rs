//! Scoring a whole video.

use crate::events::{Teller, headings, report};
use crate::frames::Frames;
use crate::{JobError, MAX_FRAMES, MAX_LOOKS, MAX_SENTENCE_BYTES};
use protocol::score::{ScoreEvent, ScoreFrame, ScoreOutcome, ScoreReport, ScoreRequest};
use qwen3vl::Qwen3Vl;
use std::{ops::ControlFlow, sync::Arc};
use topreward::{
    Clip, Prefixes, Profile, control_instructions,
    scorer::{ReadPlan, Request, ScoredPoint, Scorer, ScorerError, ScorerOptions},
};
use web_time::Instant;

/// A video that is collected and then scored.
#[derive(Debug)]
pub struct ClipJob {
    request: ScoreRequest,
    profile: Profile,
    clip: Clip,
    prefixes: Prefixes,
    /// Which frames are shown, ascending.
    needed: Vec<usize>,
    frames: Frames,
}

impl ClipJob {
    /// Checks what is asked; frames follow.
    ///
    /// # Errors
    /// [`JobError::Sentence`], [`JobError::Length`], [`JobError::Kind`] for a watched robot, [`JobError::Ask`] for names,
    /// rates and prefixes that cannot be, and [`JobError::TooMuch`].
    pub fn open(request: ScoreRequest) -> Result<Self, JobError> {
        check_sentences(&request)?;
        let frames = request.frames.ok_or(JobError::Kind {
            want: "given for a video",
        })?;
        if frames == 0 || frames > MAX_FRAMES {
            return Err(JobError::Length { frames });
        }
        let profile: Profile = request.profile.parse()?;
        let clip = Clip::new(frames as usize, request.fps)?;
        let prefixes: Prefixes = request.prefixes.parse()?;
        let lengths = prefixes.lengths(&clip, profile)?;
        let shown = profile.frames(&clip, clip.frames())?.indices.len();
        if lengths.len().saturating_mul(shown) > MAX_LOOKS {
            return Err(JobError::TooMuch {
                prefixes: lengths.len(),
                shown,
            });
        }
        let mut needed = ReadPlan::new(profile, &clip, &lengths)?.shown_frames();
        // The control holds the first frame, whatever the prefixes show.
        if needed.first() != Some(&0) {
            needed.insert(0, 0);
        }
        Ok(Self {
            frames: Frames::new(profile.pre_resize()),
            request,
            profile,
            clip,
            prefixes,
            needed,
        })
    }

    /// What is asked.
    #[must_use]
    pub fn request(&self) -> &ScoreRequest {
        &self.request
    }

    /// The frames without which it cannot be scored, ascending.
    #[must_use]
    pub fn needed(&self) -> &[usize] {
        &self.needed
    }

    /// Memory that the frames take so far (bytes).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.frames.bytes()
    }

    /// Whether every frame that is needed has come.
    ///
    /// # Errors
    /// [`JobError::Missing`].
    pub fn check_complete(&self) -> Result<(), JobError> {
        match self.frames.missing(&self.needed) {
            Some((count, first)) => Err(JobError::Missing { count, first }),
            None => Ok(()),
        }
    }

    /// Takes a frame; one that is not needed is dropped.
    ///
    /// # Errors
    /// [`JobError::OtherJob`], [`JobError::NoSuchFrame`], [`JobError::Twice`] and [`JobError::BadFrame`].
    pub fn take(&mut self, frame: ScoreFrame) -> Result<(), JobError> {
        let (job, index) = (frame.job, frame.index);
        if job != self.request.job {
            return Err(JobError::OtherJob {
                got: job,
                want: self.request.job,
            });
        }
        if index as usize >= self.clip.frames() {
            return Err(JobError::NoSuchFrame {
                index,
                frames: self.request.frames.unwrap_or(0),
            });
        }
        if self.needed.binary_search(&(index as usize)).is_err() {
            return Ok(());
        }
        self.frames.insert(frame)
    }

    /// Scores the video. `device` is what people are told of where that happens; `emit` is told every event but the last
    /// and ends the job by breaking.
    pub async fn score(
        self,
        model: &Arc<Qwen3Vl>,
        scorer_name: &str,
        device: &str,
        emit: &mut impl AsyncFnMut(ScoreEvent) -> ControlFlow<()>,
    ) -> ScoreOutcome {
        outcome(self.run(model, scorer_name, device, emit).await)
    }

    async fn run(
        self,
        model: &Arc<Qwen3Vl>,
        scorer_name: &str,
        device: &str,
        emit: &mut impl AsyncFnMut(ScoreEvent) -> ControlFlow<()>,
    ) -> Result<ScoreReport, JobError> {
        self.check_complete()?;
        let started = Instant::now();
        let scorer = Scorer::new(model.clone(), options(self.profile));
        let instruction = self.request.instruction.trim();
        let other_task = self.request.other_instruction.as_deref().map(str::trim);
        let curves = headings(instruction, &control_instructions(instruction, other_task));
        let mut teller = Teller::new(self.request.job, curves.len());
        if emit(ScoreEvent::Started {
            job: self.request.job,
            device: device.to_owned(),
            curves,
        })
        .await
        .is_break()
        {
            return Err(ScorerError::Stopped.into());
        }
        let request = Request {
            clip: self.clip,
            prefixes: &self.prefixes,
            instruction,
            other_task,
            description: None,
        };
        teller.start();
        let score = scorer
            .score(&self.frames, &request, &mut async |scored: ScoredPoint| {
                let event = teller.points(&scored);
                let flow = emit(event).await;
                teller.start();
                flow
            })
            .await?;
        let millis = started.elapsed().as_secs_f64() * 1e3;
        Ok(report(scorer_name, &self.request, score, millis)?)
    }
}

/// Frames come squeezed already.
pub(crate) fn options(profile: Profile) -> ScorerOptions {
    ScorerOptions {
        pre_resize: None,
        ..ScorerOptions::new(profile)
    }
}

pub(crate) fn outcome(result: Result<ScoreReport, JobError>) -> ScoreOutcome {
    match result {
        Ok(report) => ScoreOutcome::Scored(Box::new(report)),
        Err(JobError::Score(ScorerError::Stopped)) => ScoreOutcome::Stopped,
        Err(error) => ScoreOutcome::Failed {
            reason: error.to_string(),
        },
    }
}

pub(crate) fn check_sentences(request: &ScoreRequest) -> Result<(), JobError> {
    let other = request.other_instruction.as_deref();
    for (which, sentence) in [
        ("instruction", Some(request.instruction.as_str())),
        ("other task's instruction", other),
    ] {
        let Some(sentence) = sentence.map(str::trim) else {
            continue;
        };
        let bytes = sentence.len();
        if bytes == 0 || bytes > MAX_SENTENCE_BYTES {
            return Err(JobError::Sentence { which, bytes });
        }
    }
    Ok(())
}
