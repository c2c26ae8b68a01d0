//! Live scoring of a robot.

use crate::JobError;
use crate::clip_job::{check_instructions, options, outcome};
use crate::events::{PointReporter, headings, report};
use crate::frames::Frames;
use protocol::score::{ScoreEvent, ScoreFrame, ScoreOutcome, ScoreReport, ScoreRequest};
use qwen3vl::Qwen3Vl;
use std::{ops::ControlFlow, sync::Arc};
use topreward::{
    Profile,
    scorer::{ScoredPoint, Scorer, ScorerError, StreamingScorer},
};
use web_time::Instant;

/// Next input from a live robot.
#[derive(Debug)]
pub enum Next {
    /// A frame.
    Frame(ScoreFrame),
    /// No more frames follow; the controls are computed.
    Closed,
    /// The job is stopped.
    Cancelled,
}

/// Scores frames as they arrive from `next`, each a point of the curve. At the end, or when the video reaches the
/// length that the model can read, the control on the frozen first frame is computed. `emit` is that of
/// [`ClipJob::score`](crate::ClipJob::score).
pub async fn watch(
    request: &ScoreRequest,
    model: &Arc<Qwen3Vl>,
    scorer_name: &str,
    device: &str,
    next: &mut impl AsyncFnMut() -> Next,
    emit: &mut impl AsyncFnMut(ScoreEvent) -> ControlFlow<()>,
) -> ScoreOutcome {
    outcome(run(request, model, scorer_name, device, next, emit).await)
}

async fn run(
    request: &ScoreRequest,
    model: &Arc<Qwen3Vl>,
    scorer_name: &str,
    device: &str,
    next: &mut impl AsyncFnMut() -> Next,
    emit: &mut impl AsyncFnMut(ScoreEvent) -> ControlFlow<()>,
) -> Result<ScoreReport, JobError> {
    check_instructions(request)?;
    if request.frames.is_some() {
        return Err(JobError::Kind {
            want: "absent for a live robot",
        });
    }
    let stopped = || JobError::from(ScorerError::Stopped);
    let profile: Profile = request.profile.parse()?;
    let scorer = Scorer::new(model.clone(), options(profile));
    let instruction = request.instruction.trim();
    let other_task = request.other_instruction.as_deref().map(str::trim);
    let mut scorer_stream = StreamingScorer::new(&scorer, request.fps, instruction, other_task)?;
    let curves = headings(instruction, scorer_stream.controls());
    let mut reporter = PointReporter::new(request.job, curves.len());
    let started = ScoreEvent::Started {
        job: request.job,
        device: device.to_owned(),
        curves,
    };
    if emit(started).await.is_break() {
        return Err(stopped());
    }
    let mut frames = Frames::new(profile.pre_resize());
    loop {
        let frame = match next().await {
            Next::Frame(frame) => frame,
            Next::Closed => break,
            Next::Cancelled => return Err(stopped()),
        };
        if frame.job != request.job {
            return Err(JobError::OtherJob {
                got: frame.job,
                want: request.job,
            });
        }
        let want = u32::try_from(scorer_stream.frames()).unwrap_or(u32::MAX);
        if frame.index != want {
            return Err(JobError::OutOfTurn {
                got: frame.index,
                want,
            });
        }
        reporter.start();
        let image = frames.image(frame)?;
        let length = scorer_stream.frames() + 1;
        let Some(answers) = scorer_stream.push(image).await? else {
            break;
        };
        let scored = ScoredPoint {
            length,
            answers,
            done: length,
            total: 0,
            frozen: false,
        };
        let event = reporter.points(&scored);
        if emit(event).await.is_break() {
            return Err(stopped());
        }
    }
    let closed = Instant::now();
    reporter.start();
    let score = scorer_stream
        .finish(&mut async |scored: ScoredPoint<'_>| {
            let event = reporter.points(&scored);
            let flow = emit(event).await;
            reporter.start();
            flow
        })
        .await?;
    let millis = closed.elapsed().as_secs_f64() * 1e3;
    Ok(report(scorer_name, request, score, millis)?)
}
