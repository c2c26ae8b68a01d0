//! The scorer's way into the tab, and what waits for it.

use leptos::prelude::*;
use protocol::worker::{LoadScorer, ScorerState, ToWorker};

use super::job::{Video, begin, clear_view, end_current, refuse};
use super::live;
use super::state::Desk;
use crate::score_job::Scoring;
use crate::scorer::{Held, Place};
use crate::studio_url;
use crate::ui::state::Studio;
use crate::ui::{settings, worker};

/// What begins when the scorer is there.
pub(super) enum Then {
    /// The robot is followed.
    Follow,
    /// This video is scored.
    Video(Video),
}

/// Does it now, or as soon as the scorer is in the tab.
pub(super) fn with_scorer(studio: Studio, then: Then) {
    let desk = studio.score;
    let ready =
        desk.place.get_untracked() == Place::Studio || desk.held.with_untracked(Held::is_ready);
    if ready {
        return go(studio, then);
    }
    let loading = desk.held.with_untracked(Held::is_loading);
    if !loading && !desk.is_nano() {
        return refuse(
            studio,
            "Load the scorer into this tab first: it is large.".to_owned(),
        );
    }
    end_current(studio);
    clear_view(desk);
    desk.then.set_value(Some(then));
    desk.scoring.update(Scoring::wait);
    if !loading {
        load(studio);
    }
}

fn go(studio: Studio, then: Then) {
    match then {
        Then::Follow => live::follow(studio),
        Then::Video(video) => begin(studio, video),
    }
}

/// Has the worker fetch the scorer.
pub(super) fn load(studio: Studio) {
    let precision = studio.score.precision.get_untracked();
    let precision = (!precision.is_empty()).then_some(precision);
    studio.score.held.update(|held| held.want(precision));
    pump(studio);
}

/// Hands on to the worker what waits for it.
pub(crate) fn pump(studio: Studio) {
    let desk = studio.score;
    let is_large = !desk.is_nano();
    if !studio
        .compute
        .with_untracked(|compute| compute.can_load_scorer(is_large))
    {
        return;
    }
    let asked = desk.held.try_update_untracked(Held::ask).flatten();
    if let (Some(precision), Some(base)) = (asked, settings::base()) {
        let url = studio_url::of(&base, "api/scorer");
        worker::post(studio, &ToWorker::LoadScorer(LoadScorer { url, precision }));
    }
}

/// Stops what is on its way into the tab.
pub(super) fn cancel_load(studio: Studio) {
    studio.score.held.update(Held::cancel);
    worker::post(studio, &ToWorker::CancelScorer);
    settle(studio);
}

/// Takes the weights out of this browser's storage.
pub(super) fn forget(studio: Studio) {
    studio.score.held.update(Held::forget);
    worker::post(studio, &ToWorker::ForgetScorers);
}

/// What became of that.
pub(crate) fn forgotten(studio: Studio, problem: Option<String>) {
    if problem.is_none() {
        keep(studio.score, false);
    }
    studio.score.held.update(|held| held.forgotten(problem));
}

/// Whether there are files in this browser's storage, now and at the next visit.
fn keep(desk: Desk, keeps: bool) {
    if desk.keeps.get_untracked() != keeps {
        desk.keeps.set(keeps);
        settings::set_keeps_scorer(keeps);
    }
}

/// What the worker says of its scorer.
pub(crate) fn scorer_heard(studio: Studio, state: ScorerState) {
    let is_kept = match &state {
        ScorerState::Fetching { received, .. } => *received > 0,
        ScorerState::Ready(ready) => ready.is_kept,
        _ => false,
    };
    if is_kept {
        keep(studio.score, true);
    }
    studio.score.held.update(|held| held.apply(state));
    settle(studio);
}

/// Begins what waited for the scorer, or tells why it does not begin.
fn settle(studio: Studio) {
    let desk = studio.score;
    let (is_ready, is_loading, failure) = desk.held.with_untracked(|held| {
        let failure = held.failure().map(str::to_owned);
        (held.is_ready(), held.is_loading(), failure)
    });
    if is_loading {
        return;
    }
    let Some(then) = desk.then.try_update_value(Option::take).flatten() else {
        return;
    };
    if is_ready {
        return go(studio, then);
    }
    desk.scoring.update(|scoring| match failure {
        Some(reason) => scoring.fail(&reason),
        None => {
            scoring.stop();
        }
    });
}
