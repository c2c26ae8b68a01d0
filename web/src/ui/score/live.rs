//! Live scoring of a robot: a frame every half second, from an instruction to its end.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use protocol::View;
use protocol::score::ScoreRequest;
use protocol::viewer::{RobotStatus, ViewFrame};
use protocol::worker::ToWorker;
use wasm_bindgen_futures::spawn_local;

use super::frame_capture::{CapturedFrame, FrameCapture};
use super::job::{self, close, fail_job, send_captured};
use super::live_robot::LiveRobot;
use super::scorer_loading::wait_for_scorer;
use super::state::AfterLoad;
use super::upload::UploadBody;
use crate::auto_score::{FollowStep, InstructionFollower};
use crate::frame_sampling::Sampler;
use crate::score_job::ScoreJob;
use crate::scorer::{ScoreLocation, TabScorer};
use crate::ui::canvas_image::decode_jpeg;
use crate::ui::state::Studio;

/// Time that recording continues after the end, so that the final pose is included.
const LAST_LOOK: Duration = Duration::from_millis(600);
/// Longest video [frames of half a second].
const MAX_FRAMES: u32 = 240;
/// Largest backlog of a scorer that can follow (frames).
const MAX_BACKLOG: u32 = 48;

/// The camera to score: the chosen one, the overview, or the first.
pub(super) fn camera(studio: Studio) -> Option<String> {
    let cameras = studio.robot()?.cameras;
    let chosen = studio.score.camera.get();
    let named = |name: &str| cameras.iter().find(|camera| camera.name == name);
    chosen
        .as_deref()
        .and_then(named)
        .or_else(|| named("overview"))
        .or_else(|| cameras.first())
        .map(|camera| camera.name.clone())
}

/// Scores the robot's instructions from now on, starting with the one in force.
pub(super) fn follow(studio: Studio) {
    let score = studio.score;
    score.follows.set(true);
    score.follower.set_value(InstructionFollower::default());
    let status = studio.status.get_untracked();
    if let Some(status) = &status {
        on_status(studio, status);
    }
    // Without an instruction in force, the typed one is scored: the robot may be moved in another way.
    let typed = score.typed.get_untracked().unwrap_or_default();
    if score.live_job().is_none() && !typed.trim().is_empty() {
        start_live(studio, &typed);
    } else if score.live_job().is_none() {
        score.score_job.update(ScoreJob::forget_wait);
    }
}

/// Stops following; the current job is finished with the frames so far.
pub(super) fn unfollow(studio: Studio) {
    studio.score.follows.set(false);
    finish(studio);
}

/// Processes the robot's newest status.
pub(crate) fn on_status(studio: Studio, status: &RobotStatus) {
    let score = studio.score;
    let is_waiting = score.after_load.with_value(Option::is_some);
    if !score.follows.get_untracked() || is_waiting {
        return;
    }
    let step = score
        .follower
        .try_update_value(|follower| follower.update(status));
    match step {
        Some(FollowStep::Begin(instruction)) => {
            let typed = score
                .typed
                .get_untracked()
                .filter(|typed| !typed.trim().is_empty());
            start_live(studio, typed.as_deref().unwrap_or(&instruction));
        }
        Some(FollowStep::End) => finish_soon(studio),
        Some(FollowStep::Continue) if status.stopped || !status.connected => finish_soon(studio),
        Some(FollowStep::Continue) | None => {}
    }
}

/// Follows a change of the robot in view.
pub(crate) fn robot_changed(studio: Studio) {
    studio
        .score
        .follower
        .set_value(InstructionFollower::default());
    finish(studio);
}

fn start_live(studio: Studio, instruction: &str) {
    let is_missing = studio.score.location.get_untracked() == ScoreLocation::Tab
        && !studio.score.tab_scorer.with_untracked(TabScorer::is_ready);
    if is_missing {
        // The worker was restarted, and its scorer is being loaded again.
        return wait_for_scorer(studio, AfterLoad::Follow);
    }
    if let Err(reason) = try_start_live(studio, instruction) {
        studio.score.follows.set(false);
        job::refuse(studio, reason);
    }
}

fn try_start_live(studio: Studio, instruction: &str) -> Result<(), String> {
    let score = studio.score;
    let robot_id = studio
        .watched
        .get_untracked()
        .ok_or_else(|| "There is no robot to score yet.".to_owned())?;
    let camera = untrack(|| camera(studio))
        .ok_or_else(|| "This robot has no camera to score it by.".to_owned())?;
    let capture = Rc::new(FrameCapture::new()?);
    let request = ScoreRequest {
        // Of the other profiles, frames or times are not known before the video has ended.
        profile: "aligned".to_owned(),
        ..job::request(score, instruction, Sampler::FPS, None)?
    };
    let request = job::start(studio, request, None);
    let body = match score.running_on.get_value() {
        ScoreLocation::Tab => {
            studio.worker.post(&ToWorker::Score(request.clone()));
            None
        }
        ScoreLocation::Studio => Some(UploadBody::new(&request)?),
    };
    score.live.set_value(Some(LiveRobot {
        job: request.job,
        robot_id,
        camera,
        sampler: Sampler::default(),
        queue: VecDeque::new(),
        is_busy: false,
        sent: 0,
        last: None,
        capture,
        body,
    }));
    Ok(())
}

/// Processes an image of the robot.
pub(crate) fn on_frame(studio: Studio, frame: &ViewFrame) {
    let score = studio.score;
    let begin = score.live.try_update_value(|live| {
        let live = live.as_mut()?;
        if live.robot_id != frame.robot_id || live.camera != frame.view.name {
            return None;
        }
        let index = live.sampler.frame_index(frame.captured_at_micros)?;
        live.queue.push_back((index, frame.view.clone()));
        let was_busy = std::mem::replace(&mut live.is_busy, true);
        (!was_busy).then_some(live.job)
    });
    if let Some(job) = begin.flatten() {
        spawn_local(async move {
            if let Err(reason) = drain(studio, job).await {
                score.drop_live_job(job);
                fail_job(studio, job, &reason);
            }
        });
    }
}

/// Sends the queued frames in order.
async fn drain(studio: Studio, job: u64) -> Result<(), String> {
    let score = studio.score;
    loop {
        let next = score.live.try_update_value(|live| {
            let live = live.as_mut().filter(|live| live.job == job)?;
            let next = live.queue.pop_front();
            if next.is_none() {
                live.is_busy = false;
            }
            let (index, view) = next?;
            let last = live.last.clone();
            Some((index, view, live.sent, live.capture.clone(), last))
        });
        let Some((index, view, sent, capture, last)) = next.flatten() else {
            return Ok(());
        };
        // An image that does not decode counts as missing.
        let captured = match capture_view(&capture, &view).await {
            Some(captured) => Rc::new(captured),
            None => match &last {
                Some(last) => last.clone(),
                None => continue,
            },
        };
        let before = last.unwrap_or_else(|| captured.clone());
        for index in sent..index {
            send_frame(studio, job, index, &before)?;
        }
        send_frame(studio, job, index, &captured)?;
        score.live.update_value(|live| {
            if let Some(live) = live.as_mut().filter(|live| live.job == job) {
                live.sent = index + 1;
                live.last = Some(captured);
            }
        });
        keep_within(studio, job, index + 1);
    }
}

/// Sends one frame to the worker, or adds it to the upload.
fn send_frame(
    studio: Studio,
    job: u64,
    index: u32,
    captured: &CapturedFrame,
) -> Result<(), String> {
    let score = studio.score;
    if !score.is_watching(job) {
        return Ok(());
    }
    let mut body = score
        .live
        .try_update_value(|live| live.as_mut().and_then(|live| live.body.take()))
        .flatten();
    let outcome = send_captured(studio, job, index, captured, body.as_mut());
    score.live.update_value(|live| {
        if let Some(live) = live.as_mut().filter(|live| live.job == job) {
            live.body = body;
        }
    });
    outcome
}

/// Finishes a video that has become too long, or that the scorer cannot follow.
fn keep_within(studio: Studio, job: u64, frames: u32) {
    let score = studio.score;
    let behind = score.score_job.with_untracked(ScoreJob::behind);
    let remark = if frames >= MAX_FRAMES {
        "Live scoring ends after two minutes; the rest was not recorded."
    } else if behind > MAX_BACKLOG {
        "This device is too slow to keep up, so live scoring ended here."
    } else {
        return;
    };
    score
        .score_job
        .update(|score_job| score_job.remark(job, remark));
    finish(studio);
}

async fn capture_view(capture: &FrameCapture, view: &View) -> Option<CapturedFrame> {
    let bitmap = decode_jpeg(view).await?;
    let captured = capture.capture(bitmap.width(), bitmap.height(), |context| {
        context
            .draw_image_with_image_bitmap(&bitmap, 0.0, 0.0)
            .is_ok()
    });
    bitmap.close();
    captured.ok()
}

fn finish_soon(studio: Studio) {
    let Some(job) = studio.score.live_job() else {
        return;
    };
    set_timeout(
        move || {
            if studio.score.is_watching(job) {
                finish(studio);
            }
        },
        LAST_LOOK,
    );
}

/// Finishes the video: its frames are scored with the controls.
pub(super) fn finish(studio: Studio) {
    let score = studio.score;
    let Some(live) = score.live.try_update_value(Option::take).flatten() else {
        return;
    };
    if live.last.is_none() {
        let reason = "No image arrived from this camera.";
        return fail_job(studio, live.job, reason);
    }
    spawn_local(async move {
        if let Err(reason) = close(studio, live.job, live.body).await {
            fail_job(studio, live.job, &reason);
        }
    });
}
