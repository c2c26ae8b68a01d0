//! The scorer's way into the tab, and what waits for it.

use leptos::prelude::*;
use protocol::worker::{LoadScorer, ScorerState, ToWorker};

use super::job::{Video, begin, clear_view, end_current, refuse};
use super::live;
use super::state::ScoreState;
use crate::score_job::ScoreJob;
use crate::scorer::{ScoreLocation, TabScorer};
use crate::studio_url;
use crate::ui::state::Studio;
use crate::ui::{settings, worker};

/// What begins when the scorer is there.
pub(super) enum AfterLoad {
    /// The robot is followed.
    Follow,
    /// This video is scored.
    Video(Video),
}

/// Does it now, or as soon as the scorer is in the tab.
pub(super) fn with_scorer(studio: Studio, then: AfterLoad) {
    let score = studio.score;
    let ready = score.location.get_untracked() == ScoreLocation::Studio
        || score.tab_scorer.with_untracked(TabScorer::is_ready);
    if ready {
        return go(studio, then);
    }
    let loading = score.tab_scorer.with_untracked(TabScorer::is_loading);
    if !loading && !score.is_nano() {
        return refuse(
            studio,
            "Load the scorer into this tab first: it is large.".to_owned(),
        );
    }
    end_current(studio);
    clear_view(score);
    score.after_load.set_value(Some(then));
    score.score_job.update(ScoreJob::wait);
    if !loading {
        load(studio);
    }
}

fn go(studio: Studio, then: AfterLoad) {
    match then {
        AfterLoad::Follow => live::follow(studio),
        AfterLoad::Video(video) => begin(studio, video),
    }
}

/// Has the worker fetch the scorer.
pub(super) fn load(studio: Studio) {
    let precision = studio.score.precision.get_untracked();
    let precision = (!precision.is_empty()).then_some(precision);
    studio
        .score
        .tab_scorer
        .update(|tab_scorer| tab_scorer.want(precision));
    pump(studio);
}

/// Hands on to the worker what waits for it.
pub(crate) fn pump(studio: Studio) {
    let score = studio.score;
    let is_large = !score.is_nano();
    if !studio
        .compute
        .with_untracked(|compute| compute.can_load_scorer(is_large))
    {
        return;
    }
    let asked = score
        .tab_scorer
        .try_update_untracked(TabScorer::ask)
        .flatten();
    if let (Some(precision), Some(base)) = (asked, settings::base()) {
        let url = studio_url::resolve(&base, "api/scorer");
        worker::post(studio, &ToWorker::LoadScorer(LoadScorer { url, precision }));
    }
}

/// Stops what is on its way into the tab.
pub(super) fn cancel_load(studio: Studio) {
    studio.score.tab_scorer.update(TabScorer::cancel);
    worker::post(studio, &ToWorker::CancelScorer);
    settle(studio);
}

/// Takes the weights out of this browser's storage.
pub(super) fn delete_cache(studio: Studio) {
    studio.score.tab_scorer.update(TabScorer::forget);
    worker::post(studio, &ToWorker::ForgetScorers);
}

/// What became of that.
pub(crate) fn cache_deleted(studio: Studio, problem: Option<String>) {
    if problem.is_none() {
        keep(studio.score, false);
    }
    studio
        .score
        .tab_scorer
        .update(|tab_scorer| tab_scorer.forgotten(problem));
}

/// Whether there are files in this browser's storage, now and at the next visit.
fn keep(score: ScoreState, has_cached_files: bool) {
    if score.has_cached_files.get_untracked() != has_cached_files {
        score.has_cached_files.set(has_cached_files);
        settings::set_keeps_scorer(has_cached_files);
    }
}

/// What the worker says of its scorer.
pub(crate) fn on_scorer_state(studio: Studio, state: ScorerState) {
    let is_kept = match &state {
        ScorerState::Fetching { received, .. } => *received > 0,
        ScorerState::Ready(ready) => ready.is_kept,
        _ => false,
    };
    if is_kept {
        keep(studio.score, true);
    }
    studio
        .score
        .tab_scorer
        .update(|tab_scorer| tab_scorer.apply(state));
    settle(studio);
}

/// Begins what waited for the scorer, or tells why it does not begin.
fn settle(studio: Studio) {
    let score = studio.score;
    let (is_ready, is_loading, failure) = score.tab_scorer.with_untracked(|tab_scorer| {
        let failure = tab_scorer.failure().map(str::to_owned);
        (tab_scorer.is_ready(), tab_scorer.is_loading(), failure)
    });
    if is_loading {
        return;
    }
    let Some(then) = score.after_load.try_update_value(Option::take).flatten() else {
        return;
    };
    if is_ready {
        return go(studio, then);
    }
    score.score_job.update(|score_job| match failure {
        Some(reason) => score_job.fail(&reason),
        None => {
            score_job.stop();
        }
    });
}
