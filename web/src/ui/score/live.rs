//! A robot that is watched: a picture every half second, from a command to its end.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use protocol::View;
use protocol::score::ScoreRequest;
use protocol::viewer::{RobotStatus, ViewFrame};
use protocol::worker::ToWorker;
use wasm_bindgen_futures::spawn_local;

use super::frame_capture::{Darkroom, Picture};
use super::job::{self, close, give_up, hand_over};
use super::scorer_loading::{Then, with_scorer};
use super::state::Desk;
use super::upload::Body;
use crate::auto_score::{Following, Step};
use crate::frame_sampling::Sampler;
use crate::score_job::Scoring;
use crate::scorer::{Held, Place};
use crate::ui::canvas_image::decode_jpeg;
use crate::ui::state::Studio;

/// The pose at the end is seen if the watching goes on for a moment.
const LAST_LOOK: Duration = Duration::from_millis(600);
/// So many frames are watched at most [frames of half a second].
const MOST_FRAMES: u32 = 240;
/// A scorer that is this far behind cannot follow [frames].
const MOST_BEHIND: u32 = 48;

/// A robot that is being watched.
pub(super) struct Live {
    job: u64,
    robot_id: String,
    camera: String,
    sampler: Sampler,
    queue: VecDeque<(u32, View)>,
    is_busy: bool,
    /// Frames that were handed over.
    handed: u32,
    last: Option<Rc<Picture>>,
    darkroom: Rc<Darkroom>,
    body: Option<Body>,
}

/// Ends the watching and what it was for.
pub(super) fn abandon(desk: Desk) {
    desk.live.set_value(None);
}

/// The same if it is for this job.
pub(super) fn abandon_job(desk: Desk, job: u64) {
    if is_watching(desk, job) {
        abandon(desk);
    }
}

/// Whether the robot is being watched for this job.
pub(super) fn is_watching(desk: Desk, job: u64) -> bool {
    live_job(desk) == Some(job)
}

fn live_job(desk: Desk) -> Option<u64> {
    desk.live
        .with_value(|live| live.as_ref().map(|live| live.job))
}

/// The camera that is watched: the chosen one, the overview, or the first.
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

/// Scores the robot's commands from now on; the one it is at, from here.
pub(super) fn follow(studio: Studio) {
    let desk = studio.score;
    desk.follows.set(true);
    desk.following.set_value(Following::default());
    let status = studio.status.get_untracked();
    if let Some(status) = &status {
        reported(studio, status);
    }
    // Nobody commands it, but there is a sentence: it may be moved in another way.
    let typed = desk.typed.get_untracked().unwrap_or_default();
    if live_job(desk).is_none() && !typed.trim().is_empty() {
        watch(studio, &typed);
    } else if live_job(desk).is_none() {
        desk.scoring.update(Scoring::forget_wait);
    }
}

/// Follows no more commands; the one at hand is scored as far as it came.
pub(super) fn unfollow(studio: Studio) {
    studio.score.follows.set(false);
    finish(studio);
}

/// Takes in the robot's newest report.
pub(crate) fn reported(studio: Studio, status: &RobotStatus) {
    let desk = studio.score;
    let is_waiting = desk.then.with_value(Option::is_some);
    if !desk.follows.get_untracked() || is_waiting {
        return;
    }
    let step = desk
        .following
        .try_update_value(|following| following.see(status));
    match step {
        Some(Step::Begin(sentence)) => {
            let typed = desk
                .typed
                .get_untracked()
                .filter(|typed| !typed.trim().is_empty());
            watch(studio, typed.as_deref().unwrap_or(&sentence));
        }
        Some(Step::End) => finish_soon(studio),
        Some(Step::Stay) if status.stopped || !status.connected => finish_soon(studio),
        Some(Step::Stay) | None => {}
    }
}

/// Another robot is watched.
pub(crate) fn robot_changed(studio: Studio) {
    studio.score.following.set_value(Following::default());
    finish(studio);
}

fn watch(studio: Studio, sentence: &str) {
    let is_missing = studio.score.place.get_untracked() == Place::Tab
        && !studio.score.held.with_untracked(Held::is_ready);
    if is_missing {
        // The worker began anew, and its scorer is on the way again.
        return with_scorer(studio, Then::Follow);
    }
    if let Err(reason) = try_watch(studio, sentence) {
        studio.score.follows.set(false);
        job::refuse(studio, reason);
    }
}

fn try_watch(studio: Studio, sentence: &str) -> Result<(), String> {
    let desk = studio.score;
    let robot_id = studio
        .watched
        .get_untracked()
        .ok_or_else(|| "There is no robot to watch yet.".to_owned())?;
    let camera = untrack(|| camera(studio))
        .ok_or_else(|| "This robot has no camera to watch it with.".to_owned())?;
    let darkroom = Rc::new(Darkroom::new()?);
    let asked = ScoreRequest {
        // The only one whose frames and times are known before the video is over.
        profile: "aligned".to_owned(),
        ..job::request(desk, sentence, Sampler::FPS, None)?
    };
    let request = job::start(studio, asked, None);
    let body = match desk.running_on.get_value() {
        Place::Tab => {
            worker_post(studio, &request);
            None
        }
        Place::Studio => Some(Body::new(&request)?),
    };
    desk.live.set_value(Some(Live {
        job: request.job,
        robot_id,
        camera,
        sampler: Sampler::default(),
        queue: VecDeque::new(),
        is_busy: false,
        handed: 0,
        last: None,
        darkroom,
        body,
    }));
    Ok(())
}

fn worker_post(studio: Studio, request: &ScoreRequest) {
    crate::ui::worker::post(studio, &ToWorker::Score(request.clone()));
}

/// Takes in a picture of the robot.
pub(crate) fn saw(studio: Studio, frame: &ViewFrame) {
    let desk = studio.score;
    let begin = desk.live.try_update_value(|live| {
        let live = live.as_mut()?;
        if live.robot_id != frame.robot_id || live.camera != frame.view.name {
            return None;
        }
        let index = live.sampler.see(frame.captured_at_micros)?;
        live.queue.push_back((index, frame.view.clone()));
        let was_busy = std::mem::replace(&mut live.is_busy, true);
        (!was_busy).then_some(live.job)
    });
    if let Some(job) = begin.flatten() {
        spawn_local(async move {
            if let Err(reason) = drain(studio, job).await {
                abandon_job(desk, job);
                give_up(studio, job, &reason);
            }
        });
    }
}

/// Hands over what waits, in its order.
async fn drain(studio: Studio, job: u64) -> Result<(), String> {
    let desk = studio.score;
    loop {
        let next = desk.live.try_update_value(|live| {
            let live = live.as_mut().filter(|live| live.job == job)?;
            let next = live.queue.pop_front();
            if next.is_none() {
                live.is_busy = false;
            }
            let (index, view) = next?;
            let last = live.last.clone();
            Some((index, view, live.handed, live.darkroom.clone(), last))
        });
        let Some((index, view, handed, darkroom, last)) = next.flatten() else {
            return Ok(());
        };
        // A picture that does not decode is as if it had not come.
        let picture = match develop(&darkroom, &view).await {
            Some(picture) => Rc::new(picture),
            None => match &last {
                Some(last) => last.clone(),
                None => continue,
            },
        };
        let before = last.unwrap_or_else(|| picture.clone());
        for index in handed..index {
            give(studio, job, index, &before)?;
        }
        give(studio, job, index, &picture)?;
        desk.live.update_value(|live| {
            if let Some(live) = live.as_mut().filter(|live| live.job == job) {
                live.handed = index + 1;
                live.last = Some(picture);
            }
        });
        keep_within(studio, job, index + 1);
    }
}

/// Gives one frame to the worker, or lays it aside for the studio.
fn give(studio: Studio, job: u64, index: u32, picture: &Picture) -> Result<(), String> {
    let desk = studio.score;
    if !is_watching(desk, job) {
        return Ok(());
    }
    let mut body = desk
        .live
        .try_update_value(|live| live.as_mut().and_then(|live| live.body.take()))
        .flatten();
    let outcome = hand_over(studio, job, index, picture, body.as_mut());
    desk.live.update_value(|live| {
        if let Some(live) = live.as_mut().filter(|live| live.job == job) {
            live.body = body;
        }
    });
    outcome
}

/// Ends a watch that has become too long, or that the scorer cannot follow.
fn keep_within(studio: Studio, job: u64, frames: u32) {
    let desk = studio.score;
    let behind = desk.scoring.with_untracked(Scoring::behind);
    let remark = if frames >= MOST_FRAMES {
        "Two minutes are watched at most; the rest was not."
    } else if behind > MOST_BEHIND {
        "This device is too slow to follow, so the watching ended here."
    } else {
        return;
    };
    desk.scoring.update(|scoring| scoring.remark(job, remark));
    finish(studio);
}

async fn develop(darkroom: &Darkroom, view: &View) -> Option<Picture> {
    let bitmap = decode_jpeg(view).await?;
    let picture = darkroom.develop(bitmap.width(), bitmap.height(), |context| {
        context
            .draw_image_with_image_bitmap(&bitmap, 0.0, 0.0)
            .is_ok()
    });
    bitmap.close();
    picture.ok()
}

fn finish_soon(studio: Studio) {
    let Some(job) = live_job(studio.score) else {
        return;
    };
    set_timeout(
        move || {
            if is_watching(studio.score, job) {
                finish(studio);
            }
        },
        LAST_LOOK,
    );
}

/// No more pictures: what was seen is scored with its controls.
pub(super) fn finish(studio: Studio) {
    let desk = studio.score;
    let Some(live) = desk.live.try_update_value(Option::take).flatten() else {
        return;
    };
    if live.last.is_none() {
        let reason = "No picture of this camera came while the robot was watched.";
        return give_up(studio, live.job, reason);
    }
    spawn_local(async move {
        if let Err(reason) = close(studio, live.job, live.body).await {
            give_up(studio, live.job, &reason);
        }
    });
}
