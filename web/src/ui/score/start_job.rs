//! The start of a job: at once, or when its scorer is loaded.

use leptos::prelude::*;
use protocol::worker::{ScorerState, ToWorker};

use super::job::refuse;
use super::scorer_loading::{set_cached, wait_for_scorer};
use super::state::AfterLoad;
use super::{live, video_job};
use crate::scorer::{ScoreLocation, TabScorer};
use crate::ui::state::Studio;

/// Scores the chosen video.
pub(super) fn score_video(studio: Studio, instruction: &str) {
    match video_job::video(studio.score, instruction) {
        Ok(video) => with_scorer(studio, AfterLoad::Video(video)),
        Err(reason) => refuse(studio, reason),
    }
}

/// Starts a job now, or as soon as the scorer is in the tab.
pub(super) fn with_scorer(studio: Studio, job: AfterLoad) {
    let score = studio.score;
    let is_ready = score.location.get_untracked() == ScoreLocation::Studio
        || score.tab_scorer.with_untracked(TabScorer::is_ready);
    if is_ready {
        run(studio, job);
    } else {
        wait_for_scorer(studio, job);
    }
}

fn run(studio: Studio, job: AfterLoad) {
    match job {
        AfterLoad::Follow => live::follow(studio),
        AfterLoad::Video(video) => video_job::begin(studio, video),
    }
}

/// Cancels loading the scorer.
pub(super) fn cancel_load(studio: Studio) {
    studio.score.tab_scorer.update(TabScorer::cancel);
    studio.worker.post(&ToWorker::CancelScorer);
    settle(studio);
}

/// Processes the worker's report on its scorer.
pub(crate) fn on_scorer_state(studio: Studio, state: ScorerState) {
    let is_kept = match &state {
        ScorerState::Fetching { received, .. } => *received > 0,
        ScorerState::Ready(ready) => ready.is_kept,
        _ => false,
    };
    if is_kept {
        set_cached(studio.score, true);
    }
    studio
        .score
        .tab_scorer
        .update(|tab_scorer| tab_scorer.apply(state));
    settle(studio);
}

/// Starts the job that waited for the scorer, or fails it.
fn settle(studio: Studio) {
    let score = studio.score;
    let (is_ready, is_loading, failure) = score.tab_scorer.with_untracked(|tab_scorer| {
        let failure = tab_scorer.failure().map(str::to_owned);
        (tab_scorer.is_ready(), tab_scorer.is_loading(), failure)
    });
    if is_loading {
        return;
    }
    let Some(after_load) = score.after_load.try_update_value(Option::take).flatten() else {
        return;
    };
    if is_ready {
        return run(studio, after_load);
    }
    score.score_job.update(|score_job| match failure {
        Some(reason) => score_job.fail(&reason),
        None => {
            score_job.stop();
        }
    });
}
