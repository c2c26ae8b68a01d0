//! A job's course: the pictures, then what comes back.

use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use protocol::score::{ScoreEvent, ScoreFrame, ScoreOutcome, ScoreRequest};
use protocol::worker::ToWorker;
use wasm_bindgen_futures::spawn_local;

use super::frame_capture::Picture;
use super::live;
use super::scorer_loading::{Then, with_scorer};
use super::state::{Desk, Opened, Source};
use super::upload::{Body, post};
use super::video_element::Film;
use crate::frame_sampling::Extent;
use crate::score_job::{Scoring, State};
use crate::scorer::{Held, Place};
use crate::studio_url;
use crate::ui::state::{Studio, now_millis};
use crate::ui::{settings, worker};

/// A worker that does not answer to a cancel within this time is computing and hears nothing.
const STOP_PATIENCE: Duration = Duration::from_millis(2_500);

/// A video and what is asked about it.
pub(super) struct Video {
    request: ScoreRequest,
    extent: Extent,
    shown: Vec<u32>,
    film: Reel,
}

enum Reel {
    /// Opened when it was given.
    Open(Rc<Film>),
    /// To be opened.
    At(String),
}

/// Scores the chosen video.
pub(super) fn score(studio: Studio, sentence: &str) {
    match video(studio.score, sentence) {
        Ok(video) => with_scorer(studio, Then::Video(video)),
        Err(reason) => refuse(studio, reason),
    }
}

fn video(desk: Desk, sentence: &str) -> Result<Video, String> {
    let (extent, film) = match desk.source.get_untracked() {
        Source::Episode => {
            let episode = untrack(|| desk.chosen_episode())
                .ok_or_else(|| "Choose an episode first.".to_owned())?;
            (
                Extent::of_episode(&episode),
                Reel::At(studio_url::of(
                    &settings::base().unwrap_or_default(),
                    &episode.video_url,
                )),
            )
        }
        Source::File | Source::Robot => {
            let film = desk
                .film
                .with_value(Clone::clone)
                .filter(|_| matches!(desk.opened.get_untracked(), Opened::Video(_)))
                .ok_or_else(|| "Choose a video file first.".to_owned())?;
            let rate = desk.fps.get_untracked().trim().replace(',', ".");
            let fps = rate.parse().unwrap_or(f64::NAN);
            (Extent::of_file(film.secs(), fps)?, Reel::Open(film))
        }
    };
    let request = request(desk, sentence, extent.fps, Some(extent.frames))?;
    let shown = extent.shown(&request.profile, &request.prefixes)?;
    Ok(Video {
        request,
        extent,
        shown,
        film,
    })
}

/// What is asked; its number comes when it begins.
pub(super) fn request(
    desk: Desk,
    sentence: &str,
    fps: f64,
    frames: Option<u32>,
) -> Result<ScoreRequest, String> {
    let sentence = sentence.trim();
    if sentence.is_empty() {
        return Err("Write what the video is claimed to complete.".to_owned());
    }
    let other = desk.other.get_untracked().trim().to_owned();
    Ok(ScoreRequest {
        job: 0,
        instruction: sentence.to_owned(),
        other_instruction: (!other.is_empty()).then_some(other),
        fps,
        frames,
        profile: desk.profile.get_untracked().to_owned(),
        prefixes: desk.prefixes.get_untracked().to_owned(),
    })
}

pub(super) fn refuse(studio: Studio, reason: String) {
    end_current(studio);
    clear_view(studio.score);
    studio
        .score
        .scoring
        .update(|scoring| scoring.refuse(reason));
}

/// The worker begins anew and holds nothing.
pub(crate) fn worker_is_anew(studio: Studio, reason: &str) {
    let desk = studio.score;
    desk.held.update(Held::restarted);
    if desk.running_on.get_value() == Place::Tab {
        live::abandon(desk);
        desk.scoring.update(|scoring| scoring.lost(reason));
    }
}

/// What happens to a job, wherever it is computed.
pub(crate) fn heard(studio: Studio, event: ScoreEvent) {
    let is_end = matches!(event, ScoreEvent::Ended { .. });
    // Steps can be counted once there is an end.
    let is_full = matches!(event, ScoreEvent::Points { of, .. } if of > 0);
    let job = event.job();
    let now = now_millis();
    let desk = studio.score;
    if is_full && live::is_watching(desk, job) {
        live::abandon(desk);
        desk.scoring.update(|scoring| {
            scoring.close(job);
            scoring.remark(
                job,
                "The scorer looks at no longer video; the rest was not watched.",
            );
        });
    }
    desk.scoring.update(|scoring| scoring.heard(event, now));
    if is_end {
        live::abandon_job(desk, job);
    }
}

/// Starts a job: the numbered request. Whatever ran before is stopped.
pub(super) fn start(studio: Studio, request: ScoreRequest, to_send: Option<usize>) -> ScoreRequest {
    let desk = studio.score;
    end_current(studio);
    clear_view(desk);
    desk.running_on.set_value(desk.place.get_untracked());
    let begun = desk
        .scoring
        .try_update(|scoring| scoring.begin(request.clone(), to_send));
    begun.unwrap_or(request)
}

pub(super) fn clear_view(desk: Desk) {
    desk.copies.update(std::collections::BTreeMap::clear);
    desk.looked_at.set(None);
}

/// Nobody wants the job that is computed any more.
pub(super) fn end_current(studio: Studio) {
    let desk = studio.score;
    live::abandon(desk);
    let current = desk.scoring.with_untracked(|scoring| {
        let computing = matches!(scoring.state(), State::Running | State::Stopping);
        computing.then(|| scoring.job())
    });
    if let Some(job) = current {
        tell_to_stop(studio, job);
    }
}

fn tell_to_stop(studio: Studio, job: u64) {
    match studio.score.running_on.get_value() {
        Place::Tab => worker::post(studio, &ToWorker::ScoreCancel { job }),
        Place::Studio => studio.score.abort.update_value(|abort| {
            if let Some(abort) = abort.take() {
                abort.abort();
            }
        }),
    }
}

/// Stops the job, or what waits to become one.
pub(super) fn cancel(studio: Studio) {
    let desk = studio.score;
    desk.then.set_value(None);
    live::abandon(desk);
    let Some(job) = desk.scoring.try_update(Scoring::stop).flatten() else {
        return;
    };
    tell_to_stop(studio, job);
    if desk.running_on.get_value() == Place::Studio {
        let outcome = ScoreOutcome::Stopped;
        return heard(studio, ScoreEvent::Ended { job, outcome });
    }
    set_timeout(
        move || {
            let late = desk.scoring.try_update(|scoring| scoring.gave_up(job));
            if late == Some(true) {
                worker::restart(studio);
            }
        },
        STOP_PATIENCE,
    );
}

/// Has the video's frames read and scored.
pub(super) fn begin(studio: Studio, video: Video) {
    let desk = studio.score;
    let request = start(studio, video.request.clone(), Some(video.shown.len()));
    let job = request.job;
    let place = desk.running_on.get_value();
    let body = match place {
        Place::Tab => {
            worker::post(studio, &ToWorker::Score(request.clone()));
            Ok(None)
        }
        Place::Studio => Body::new(&request).map(Some),
    };
    spawn_local(async move {
        let outcome = match body {
            Ok(mut body) => match show(studio, job, &video, body.as_mut()).await {
                Ok(true) => close(studio, job, body).await,
                Ok(false) => Ok(()),
                Err(reason) => Err(reason),
            },
            Err(reason) => Err(reason),
        };
        if let Err(reason) = outcome {
            give_up(studio, job, &reason);
        }
    });
}

/// The job cannot go on, for a reason on this side.
pub(super) fn give_up(studio: Studio, job: u64, reason: &str) {
    if studio
        .score
        .scoring
        .with_untracked(|scoring| scoring.is_running(job))
    {
        studio.score.scoring.update(|scoring| scoring.fail(reason));
        tell_to_stop(studio, job);
    }
}

/// Hands over every frame that is shown; `false` if nobody wants them any more.
async fn show(
    studio: Studio,
    job: u64,
    video: &Video,
    mut body: Option<&mut Body>,
) -> Result<bool, String> {
    let film = match &video.film {
        Reel::Open(film) => film.clone(),
        Reel::At(address) => Rc::new(Film::of_address(address).await?),
    };
    for &index in &video.shown {
        if !studio
            .score
            .scoring
            .with_untracked(|scoring| scoring.is_running(job))
        {
            return Ok(false);
        }
        let picture = film.picture(video.extent.seek_secs(index)).await?;
        hand_over(studio, job, index, &picture, body.as_deref_mut())?;
    }
    Ok(true)
}

/// Gives the scorer one frame.
pub(super) fn hand_over(
    studio: Studio,
    job: u64,
    index: u32,
    picture: &Picture,
    body: Option<&mut Body>,
) -> Result<(), String> {
    let desk = studio.score;
    let frame = ScoreFrame {
        job,
        index,
        width: picture.width,
        height: picture.height,
        rgb: picture.rgb.clone(),
    };
    match body {
        Some(body) => body.push(&frame)?,
        None => worker::post(studio, &ToWorker::ScoreFrame(frame)),
    }
    desk.copies.update(|copies| {
        copies.insert(index, picture.copy.clone());
    });
    desk.scoring.update(|scoring| scoring.sent_frame(job));
    Ok(())
}

/// Says that no more frames come.
pub(super) async fn close(studio: Studio, job: u64, body: Option<Body>) -> Result<(), String> {
    studio.score.scoring.update(|scoring| scoring.close(job));
    match body {
        None => {
            worker::post(studio, &ToWorker::ScoreClose { job });
            Ok(())
        }
        Some(body) => post(studio, job, body).await,
    }
}
