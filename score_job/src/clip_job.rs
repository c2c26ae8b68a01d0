//! Scoring of a complete video.

use crate::events::{PointReporter, headings, report};
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

/// A job that collects the frames of a video and then scores them.
#[derive(Debug)]
pub struct ClipJob {
    request: ScoreRequest,
    profile: Profile,
    clip: Clip,
    prefixes: Prefixes,
    /// Numbers of the frames that the scorer reads, ascending.
    needed: Vec<usize>,
    frames: Frames,
}

impl ClipJob {
    /// Checks a request. The frames follow with [`Self::take`].
    ///
    /// # Errors
    /// [`JobError::Sentence`], [`JobError::Length`], [`JobError::Kind`] for a live robot, [`JobError::Ask`] for invalid
    /// names, rates and prefixes, and [`JobError::TooMuch`].
    pub fn open(request: ScoreRequest) -> Result<Self, JobError> {
        check_instructions(&request)?;
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
        // The frozen-frame control needs the first frame, whatever the prefixes contain.
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

    /// The request.
    #[must_use]
    pub fn request(&self) -> &ScoreRequest {
        &self.request
    }

    /// Numbers of the frames that are required for scoring, ascending.
    #[must_use]
    pub fn needed(&self) -> &[usize] {
        &self.needed
    }

    /// Memory of the frames received so far (bytes).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.frames.bytes()
    }

    /// Checks that every required frame has arrived.
    ///
    /// # Errors
    /// [`JobError::Missing`].
    pub fn check_complete(&self) -> Result<(), JobError> {
        match self.frames.missing(&self.needed) {
            Some((count, first)) => Err(JobError::Missing { count, first }),
            None => Ok(()),
        }
    }

    /// Takes a frame. One that is not required is dropped.
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

    /// Scores the video. `device` names the device for the events. `emit` receives every event but the last, and
    /// returns
    /// `Break` to stop the job.
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
        let mut reporter = PointReporter::new(self.request.job, curves.len());
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
        reporter.start();
        let score = scorer
            .score(&self.frames, &request, &mut async |scored: ScoredPoint| {
                let event = reporter.points(&scored);
                let flow = emit(event).await;
                reporter.start();
                flow
            })
            .await?;
        let millis = started.elapsed().as_secs_f64() * 1e3;
        Ok(report(scorer_name, &self.request, score, millis)?)
    }
}

/// Options of the scorer, without resizing: [`Frames`] resizes on arrival.
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

pub(crate) fn check_instructions(request: &ScoreRequest) -> Result<(), JobError> {
    let other = request.other_instruction.as_deref();
    for (which, instruction) in [
        ("instruction", Some(request.instruction.as_str())),
        ("other task's instruction", other),
    ] {
        let Some(instruction) = instruction.map(str::trim) else {
            continue;
        };
        let bytes = instruction.len();
        if bytes == 0 || bytes > MAX_SENTENCE_BYTES {
            return Err(JobError::Sentence { which, bytes });
        }
    }
    Ok(())
}
