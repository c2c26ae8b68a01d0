//! The course of a scoring job: its frames, then its events.

use std::time::Duration;

use leptos::prelude::*;
use protocol::score::{ScoreEvent, ScoreFrame, ScoreOutcome, ScoreRequest};
use protocol::worker::ToWorker;
use web_sys::AbortController;

use super::frame_capture::CapturedFrame;
use super::state::ScoreState;
use super::upload::{UploadBody, upload};
use crate::score_job::{ScoreJob, State};
use crate::scorer::ScoreLocation;
use crate::ui::state::Studio;
use crate::ui::time::now_millis;
use crate::ui::worker::lifecycle;

/// Time that a worker has to respond to a cancellation before it is restarted.
const STOP_PATIENCE: Duration = Duration::from_millis(2_500);

/// The request of a job; its number is set at the start.
pub(super) fn request(
    score: ScoreState,
    instruction: &str,
    fps: f64,
    frames: Option<u32>,
) -> Result<ScoreRequest, String> {
    let instruction = instruction.trim();
    if instruction.is_empty() {
        return Err("Enter the instruction that the video should complete.".to_owned());
    }
    let other = score.other.get_untracked().trim().to_owned();
    Ok(ScoreRequest {
        job: 0,
        instruction: instruction.to_owned(),
        other_instruction: (!other.is_empty()).then_some(other),
        fps,
        frames,
        profile: score.profile.get_untracked().to_owned(),
        prefixes: score.prefixes.get_untracked().to_owned(),
    })
}

pub(super) fn refuse(studio: Studio, reason: String) {
    end_current(studio);
    studio.score.clear_view();
    studio
        .score
        .score_job
        .update(|score_job| score_job.refuse(reason));
}

/// Processes an event of a job, from the worker or the studio.
pub(crate) fn on_event(studio: Studio, event: ScoreEvent) {
    let is_end = matches!(event, ScoreEvent::Ended { .. });
    // The number of steps is known only once the video has ended.
    let is_full = matches!(event, ScoreEvent::Points { of, .. } if of > 0);
    let job = event.job();
    let now = now_millis();
    let score = studio.score;
    if is_full && score.is_watching(job) {
        score.drop_live();
        score.score_job.update(|score_job| {
            score_job.close(job);
            score_job.remark(
                job,
                "The scorer takes no longer video; the rest was not recorded.",
            );
        });
    }
    score
        .score_job
        .update(|score_job| score_job.on_event(event, now));
    if is_end {
        score.drop_live_job(job);
    }
}

/// Starts a job and returns its numbered request. A running job is stopped.
pub(super) fn start(studio: Studio, request: ScoreRequest, to_send: Option<usize>) -> ScoreRequest {
    let score = studio.score;
    end_current(studio);
    score.clear_view();
    score.running_on.set_value(score.location.get_untracked());
    let begun = score
        .score_job
        .try_update(|score_job| score_job.begin(request.clone(), to_send));
    begun.unwrap_or(request)
}

/// Stops the running job.
pub(super) fn end_current(studio: Studio) {
    let score = studio.score;
    score.drop_live();
    let current = score.score_job.with_untracked(|score_job| {
        let computing = matches!(score_job.state(), State::Running | State::Stopping);
        computing.then(|| score_job.job())
    });
    if let Some(job) = current {
        send_stop(studio, job);
    }
}

fn send_stop(studio: Studio, job: u64) {
    match studio.score.running_on.get_value() {
        ScoreLocation::Tab => studio.worker.post(&ToWorker::ScoreCancel { job }),
        ScoreLocation::Studio => studio.score.abort.update_value(|abort| {
            if let Some(abort) = abort.take() {
                abort.abort();
            }
        }),
    }
}

/// Cancels the job, or the one that waits for the scorer.
pub(super) fn cancel(studio: Studio) {
    let score = studio.score;
    score.after_load.set_value(None);
    score.drop_live();
    let Some(job) = score.score_job.try_update(ScoreJob::stop).flatten() else {
        return;
    };
    send_stop(studio, job);
    if score.running_on.get_value() == ScoreLocation::Studio {
        let outcome = ScoreOutcome::Stopped;
        return on_event(studio, ScoreEvent::Ended { job, outcome });
    }
    set_timeout(
        move || {
            let late = score
                .score_job
                .try_update(|score_job| score_job.gave_up(job));
            if late == Some(true) {
                lifecycle::restart(studio);
            }
        },
        STOP_PATIENCE,
    );
}

/// Fails a job for a reason in the page.
pub(super) fn fail_job(studio: Studio, job: u64, reason: &str) {
    if studio
        .score
        .score_job
        .with_untracked(|score_job| score_job.is_running(job))
    {
        studio
            .score
            .score_job
            .update(|score_job| score_job.fail(reason));
        send_stop(studio, job);
    }
}

/// Sends the scorer one frame.
pub(super) fn send_captured(
    studio: Studio,
    job: u64,
    index: u32,
    captured: &CapturedFrame,
    body: Option<&mut UploadBody>,
) -> Result<(), String> {
    let score = studio.score;
    let frame = ScoreFrame {
        job,
        index,
        width: captured.width,
        height: captured.height,
        rgb: captured.rgb.clone(),
    };
    match body {
        Some(body) => body.push(&frame)?,
        None => studio.worker.post(&ToWorker::ScoreFrame(frame)),
    }
    score.thumbnails.update(|thumbnails| {
        thumbnails.insert(index, captured.thumbnail.clone());
    });
    score
        .score_job
        .update(|score_job| score_job.sent_frame(job));
    Ok(())
}

/// Reports that all frames were sent.
pub(super) async fn close(
    studio: Studio,
    job: u64,
    body: Option<UploadBody>,
) -> Result<(), String> {
    studio
        .score
        .score_job
        .update(|score_job| score_job.close(job));
    match body {
        None => {
            studio.worker.post(&ToWorker::ScoreClose { job });
            Ok(())
        }
        Some(body) => {
            let abort = AbortController::new()
                .map_err(|_| "This browser cannot cancel a request.".to_owned())?;
            studio.score.abort.set_value(Some(abort.clone()));
            upload(&abort, job, body, |event| on_event(studio, event)).await
        }
    }
}
