//! Loading the scorer into the tab.

use leptos::prelude::*;
use protocol::worker::{LoadScorer, ToWorker};

use super::job::{end_current, refuse};
use super::state::{AfterLoad, ScoreState};
use crate::score_job::ScoreJob;
use crate::scorer::TabScorer;
use crate::studio_url;
use crate::ui::settings;
use crate::ui::state::Studio;

/// Starts a job as soon as the scorer is in the tab, and loads the small one for it.
pub(super) fn wait_for_scorer(studio: Studio, after_load: AfterLoad) {
    let score = studio.score;
    let loading = score.tab_scorer.with_untracked(TabScorer::is_loading);
    if !loading && !score.is_nano() {
        return refuse(
            studio,
            "Load the scorer into this tab first: it is large.".to_owned(),
        );
    }
    end_current(studio);
    score.clear_view();
    score.after_load.set_value(Some(after_load));
    score.score_job.update(ScoreJob::wait);
    if !loading {
        load(studio);
    }
}

/// Requests the scorer.
pub(super) fn load(studio: Studio) {
    let precision = studio.score.precision.get_untracked();
    let precision = (!precision.is_empty()).then_some(precision);
    studio
        .score
        .tab_scorer
        .update(|tab_scorer| tab_scorer.request(precision));
    pump(studio);
}

/// Sends the worker a pending request, if it can load a scorer now.
pub(crate) fn pump(studio: Studio) {
    let score = studio.score;
    let is_large = !score.is_nano();
    if !studio
        .compute
        .with_untracked(|compute| compute.can_load_scorer(is_large))
    {
        return;
    }
    let precision_request = score
        .tab_scorer
        .try_update_untracked(TabScorer::take_request)
        .flatten();
    if let (Some(precision), Some(base)) = (precision_request, settings::base()) {
        let url = studio_url::resolve(&base, "api/scorer");
        studio
            .worker
            .post(&ToWorker::LoadScorer(LoadScorer { url, precision }));
    }
}

/// Deletes the weights from this browser's storage.
pub(super) fn delete_cache(studio: Studio) {
    studio.score.tab_scorer.update(TabScorer::forget);
    studio.worker.post(&ToWorker::ForgetScorers);
}

/// Processes the outcome of the deletion.
pub(crate) fn cache_deleted(studio: Studio, problem: Option<String>) {
    if problem.is_none() {
        set_cached(studio.score, false);
    }
    studio
        .score
        .tab_scorer
        .update(|tab_scorer| tab_scorer.forgotten(problem));
}

/// Records whether files of a scorer are in this browser's storage, also for the next visit.
pub(super) fn set_cached(score: ScoreState, has_cached_files: bool) {
    if score.has_cached_files.get_untracked() != has_cached_files {
        score.has_cached_files.set(has_cached_files);
        settings::set_keeps_scorer(has_cached_files);
    }
}
