//! A job's course: the pictures, then what comes back.

use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use protocol::score::{ScoreEvent, ScoreFrame, ScoreOutcome, ScoreRequest};
use protocol::worker::ToWorker;
use wasm_bindgen_futures::spawn_local;

use super::frame_capture::CapturedFrame;
use super::live;
use super::scorer_loading::{AfterLoad, with_scorer};
use super::state::{OpenedFile, ScoreState, VideoSource};
use super::upload::{UploadBody, upload};
use super::video_element::VideoElement;
use crate::frame_sampling::VideoExtent;
use crate::score_job::{ScoreJob, State};
use crate::scorer::{ScoreLocation, TabScorer};
use crate::studio_url;
use crate::ui::state::{Studio, now_millis};
use crate::ui::{settings, worker};

/// A worker that does not answer to a cancel within this time is computing and hears nothing.
const STOP_PATIENCE: Duration = Duration::from_millis(2_500);

/// A video and what is asked about it.
pub(super) struct Video {
    request: ScoreRequest,
    extent: VideoExtent,
    shown: Vec<u32>,
    video_element: VideoHandle,
}

enum VideoHandle {
    /// Opened when it was given.
    Open(Rc<VideoElement>),
    /// To be opened.
    At(String),
}

/// Scores the chosen video.
pub(super) fn score_video(studio: Studio, sentence: &str) {
    match video(studio.score, sentence) {
        Ok(video) => with_scorer(studio, AfterLoad::Video(video)),
        Err(reason) => refuse(studio, reason),
    }
}

fn video(score: ScoreState, sentence: &str) -> Result<Video, String> {
    let (extent, video_element) = match score.source.get_untracked() {
        VideoSource::Episode => {
            let episode = untrack(|| score.chosen_episode())
                .ok_or_else(|| "Choose an episode first.".to_owned())?;
            (
                VideoExtent::of_episode(&episode),
                VideoHandle::At(studio_url::resolve(
                    &settings::base().unwrap_or_default(),
                    &episode.video_url,
                )),
            )
        }
        VideoSource::File | VideoSource::Robot => {
            let video_element = score
                .video_element
                .with_value(Clone::clone)
                .filter(|_| matches!(score.opened.get_untracked(), OpenedFile::Video(_)))
                .ok_or_else(|| "Choose a video file first.".to_owned())?;
            let rate = score.fps.get_untracked().trim().replace(',', ".");
            let fps = rate.parse().unwrap_or(f64::NAN);
            (
                VideoExtent::of_file(video_element.secs(), fps)?,
                VideoHandle::Open(video_element),
            )
        }
    };
    let request = request(score, sentence, extent.fps, Some(extent.frames))?;
    let shown = extent.frames_to_show(&request.profile, &request.prefixes)?;
    Ok(Video {
        request,
        extent,
        shown,
        video_element,
    })
}

/// What is asked; its number comes when it begins.
pub(super) fn request(
    score: ScoreState,
    sentence: &str,
    fps: f64,
    frames: Option<u32>,
) -> Result<ScoreRequest, String> {
    let sentence = sentence.trim();
    if sentence.is_empty() {
        return Err("Write what the video is claimed to complete.".to_owned());
    }
    let other = score.other.get_untracked().trim().to_owned();
    Ok(ScoreRequest {
        job: 0,
        instruction: sentence.to_owned(),
        other_instruction: (!other.is_empty()).then_some(other),
        fps,
        frames,
        profile: score.profile.get_untracked().to_owned(),
        prefixes: score.prefixes.get_untracked().to_owned(),
    })
}

pub(super) fn refuse(studio: Studio, reason: String) {
    end_current(studio);
    clear_view(studio.score);
    studio
        .score
        .score_job
        .update(|score_job| score_job.refuse(reason));
}

/// The worker begins anew and holds nothing.
pub(crate) fn worker_restarted(studio: Studio, reason: &str) {
    let score = studio.score;
    score.tab_scorer.update(TabScorer::restarted);
    if score.running_on.get_value() == ScoreLocation::Tab {
        live::drop_live(score);
        score.score_job.update(|score_job| score_job.lost(reason));
    }
}

/// What happens to a job, wherever it is computed.
pub(crate) fn on_event(studio: Studio, event: ScoreEvent) {
    let is_end = matches!(event, ScoreEvent::Ended { .. });
    // Steps can be counted once there is an end.
    let is_full = matches!(event, ScoreEvent::Points { of, .. } if of > 0);
    let job = event.job();
    let now = now_millis();
    let score = studio.score;
    if is_full && live::is_watching(score, job) {
        live::drop_live(score);
        score.score_job.update(|score_job| {
            score_job.close(job);
            score_job.remark(
                job,
                "The scorer looks at no longer video; the rest was not watched.",
            );
        });
    }
    score
        .score_job
        .update(|score_job| score_job.on_event(event, now));
    if is_end {
        live::drop_job(score, job);
    }
}

/// Starts a job: the numbered request. Whatever ran before is stopped.
pub(super) fn start(studio: Studio, request: ScoreRequest, to_send: Option<usize>) -> ScoreRequest {
    let score = studio.score;
    end_current(studio);
    clear_view(score);
    score.running_on.set_value(score.location.get_untracked());
    let begun = score
        .score_job
        .try_update(|score_job| score_job.begin(request.clone(), to_send));
    begun.unwrap_or(request)
}

pub(super) fn clear_view(score: ScoreState) {
    score.thumbnails.update(std::collections::BTreeMap::clear);
    score.looked_at.set(None);
}

/// Nobody wants the job that is computed any more.
pub(super) fn end_current(studio: Studio) {
    let score = studio.score;
    live::drop_live(score);
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
        ScoreLocation::Tab => worker::post(studio, &ToWorker::ScoreCancel { job }),
        ScoreLocation::Studio => studio.score.abort.update_value(|abort| {
            if let Some(abort) = abort.take() {
                abort.abort();
            }
        }),
    }
}

/// Stops the job, or what waits to become one.
pub(super) fn cancel(studio: Studio) {
    let score = studio.score;
    score.after_load.set_value(None);
    live::drop_live(score);
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
                worker::restart(studio);
            }
        },
        STOP_PATIENCE,
    );
}

/// Has the video's frames read and scored.
pub(super) fn begin(studio: Studio, video: Video) {
    let score = studio.score;
    let request = start(studio, video.request.clone(), Some(video.shown.len()));
    let job = request.job;
    let location = score.running_on.get_value();
    let body = match location {
        ScoreLocation::Tab => {
            worker::post(studio, &ToWorker::Score(request.clone()));
            Ok(None)
        }
        ScoreLocation::Studio => UploadBody::new(&request).map(Some),
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
            fail_job(studio, job, &reason);
        }
    });
}

/// The job cannot go on, for a reason on this side.
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

/// Hands over every frame that is shown; `false` if nobody wants them any more.
async fn show(
    studio: Studio,
    job: u64,
    video: &Video,
    mut body: Option<&mut UploadBody>,
) -> Result<bool, String> {
    let video_element = match &video.video_element {
        VideoHandle::Open(video_element) => video_element.clone(),
        VideoHandle::At(address) => Rc::new(VideoElement::of_address(address).await?),
    };
    for &index in &video.shown {
        if !studio
            .score
            .score_job
            .with_untracked(|score_job| score_job.is_running(job))
        {
            return Ok(false);
        }
        let picture = video_element.picture(video.extent.seek_secs(index)).await?;
        send_captured(studio, job, index, &picture, body.as_deref_mut())?;
    }
    Ok(true)
}

/// Gives the scorer one frame.
pub(super) fn send_captured(
    studio: Studio,
    job: u64,
    index: u32,
    picture: &CapturedFrame,
    body: Option<&mut UploadBody>,
) -> Result<(), String> {
    let score = studio.score;
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
    score.thumbnails.update(|thumbnails| {
        thumbnails.insert(index, picture.thumbnail.clone());
    });
    score
        .score_job
        .update(|score_job| score_job.sent_frame(job));
    Ok(())
}

/// Says that no more frames come.
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
            worker::post(studio, &ToWorker::ScoreClose { job });
            Ok(())
        }
        Some(body) => upload(studio, job, body).await,
    }
}
