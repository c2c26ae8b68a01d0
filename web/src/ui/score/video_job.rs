//! Scoring of a recorded episode or a video file.

use std::rc::Rc;

use leptos::prelude::*;
use protocol::worker::ToWorker;
use wasm_bindgen_futures::spawn_local;

use super::job;
use super::state::{OpenedFile, ScoreState, VideoSource};
use super::upload::UploadBody;
use super::video::{Video, VideoHandle};
use super::video_element::VideoElement;
use crate::frame_sampling::VideoExtent;
use crate::scorer::ScoreLocation;
use crate::studio_url;
use crate::ui::settings;
use crate::ui::state::Studio;

/// The chosen video with the request about it.
///
/// # Errors
/// The reason that it cannot be scored, as a sentence.
pub(super) fn video(score: ScoreState, instruction: &str) -> Result<Video, String> {
    let (extent, handle) = match score.source.get_untracked() {
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
    let request = job::request(score, instruction, extent.fps, Some(extent.frames))?;
    let shown = extent.frames_to_show(&request.profile, &request.prefixes)?;
    Ok(Video {
        request,
        extent,
        shown,
        handle,
    })
}

/// Starts scoring a video.
pub(super) fn begin(studio: Studio, video: Video) {
    let score = studio.score;
    let request = job::start(studio, video.request.clone(), Some(video.shown.len()));
    let job = request.job;
    let location = score.running_on.get_value();
    let body = match location {
        ScoreLocation::Tab => {
            studio.worker.post(&ToWorker::Score(request.clone()));
            Ok(None)
        }
        ScoreLocation::Studio => UploadBody::new(&request).map(Some),
    };
    spawn_local(async move {
        let outcome = match body {
            Ok(mut body) => match show(studio, job, &video, body.as_mut()).await {
                Ok(true) => job::close(studio, job, body).await,
                Ok(false) => Ok(()),
                Err(reason) => Err(reason),
            },
            Err(reason) => Err(reason),
        };
        if let Err(reason) = outcome {
            job::fail_job(studio, job, &reason);
        }
    });
}

/// Sends every frame that the scorer is shown; `false` if the job was cancelled meanwhile.
async fn show(
    studio: Studio,
    job: u64,
    video: &Video,
    mut body: Option<&mut UploadBody>,
) -> Result<bool, String> {
    let video_element = match &video.handle {
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
        let captured = video_element
            .frame_at(video.extent.seek_secs(index))
            .await?;
        job::send_captured(studio, job, index, &captured, body.as_deref_mut())?;
    }
    Ok(true)
}
