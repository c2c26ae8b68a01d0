//! The scoring panel: a video and an instruction become a progress curve, in this tab or on the studio's device.
//!
//! - [`state`]: the panel's state, as signals
//! - [`scorer_box`], [`source`], [`instruction_form`]: choice of scorer, video and instruction
//! - [`scorer_loading`], [`start_job`]: loading the scorer, and the job that waits for it
//! - [`job`]: the course of a job; [`video_job`] and [`live`] supply its frames, [`upload`] takes it to the studio
//! - [`video`], [`video_element`], [`live_robot`], [`frame_capture`]: videos, live robots and their frames
//! - [`result`], [`plots`], [`legend`], [`table`]: progress, curves and numbers

mod frame_capture;
mod instruction_form;
pub(super) mod job;
mod legend;
pub(super) mod live;
mod live_robot;
mod plots;
mod result;
mod scorer_box;
pub(super) mod scorer_loading;
mod source;
pub(super) mod start_job;
pub(super) mod state;
mod table;
mod upload;
mod video;
mod video_element;
mod video_job;

use leptos::ev;
use leptos::prelude::*;
use protocol::episodes::EpisodeList;
use protocol::score::ScorerManifest;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{DragEvent, Response};

use super::state::Studio;
use crate::backoff::Connection;
use crate::score_job::State;
use crate::scorer::{ServedScorer, TabScorer};
use state::ScoreState;

#[component]
pub(crate) fn ScorePanel() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let is_over = RwSignal::new(false);
    listen_for_files(studio, is_over);
    // A restarted studio may serve another scorer.
    let is_live = Memo::new(move |_| studio.connection.get() == Connection::Live);
    Effect::new(move |_| {
        if is_live.get() {
            load_description(score);
        }
    });
    let served = Memo::new(move |_| score.served.get());
    let has_begun = Memo::new(move |_| {
        score
            .score_job
            .with(|score_job| score_job.state() != State::Idle)
    });
    view! {
        <section
            class="panel score"
            class:dropping=move || is_over.get()
            id="score"
            aria-labelledby="score-title"
            data-testid="score-panel"
        >
            <div class="title-row">
                <h2 id="score-title">"How far it got"</h2>
                <span class="quiet">"TOPReward"</span>
            </div>
            <p class="empty-note">
                "A video model is shown longer and longer parts of a video. The curve shows how probable it finds each time that the \
                 video completes your instruction. Control curves show whether that means anything."
            </p>
            {move || match served.get() {
                ServedScorer::Unknown => view! { <p class="quiet">"Loading the description of the scorer…"</p> }.into_any(),
                ServedScorer::Nothing(why) => view! {
                    <p class="empty-note" data-testid="score-unavailable">{why}</p>
                }.into_any(),
                ServedScorer::Failed(reason) => view! {
                    <div class="verdict bad" data-testid="score-unavailable">
                        <p>{reason}</p>
                        <button type="button" class="button" on:click=move |_| load_description(score)>"Try again"</button>
                    </div>
                }.into_any(),
                ServedScorer::Scorer(manifest) => view! {
                    <scorer_box::ScorerBox manifest/>
                    <source::SourceBox/>
                    <instruction_form::Question/>
                }.into_any(),
            }}
            <Show when=move || has_begun.get()>
                <result::Outcome/>
            </Show>
        </section>
    }
}

/// Fetches the description of the scorer and the list of recorded episodes.
fn load_description(score: ScoreState) {
    spawn_local(async move {
        let served = match fetch("api/scorer").await {
            Ok((status, body)) => ServedScorer::read(status, &body),
            Err(reason) => ServedScorer::Failed(reason),
        };
        let id = |served: &ServedScorer| {
            served
                .manifest()
                .map(|manifest: &ScorerManifest| manifest.id.clone())
        };
        let (before, now) = (score.served.with_untracked(id), id(&served));
        if before.is_some() && before != now {
            score.tab_scorer.update(TabScorer::drop_all);
        }
        if score.served.with_untracked(|known| *known != served) {
            score.served.set(served);
        }
        // A studio without episodes offers none.
        if let Ok((200, body)) = fetch("api/episodes").await
            && let Ok(list) = serde_json::from_str::<EpisodeList>(&body)
        {
            score.episodes.set(list.episodes);
        }
    });
}

async fn fetch(path: &str) -> Result<(u16, String), String> {
    let failed = |_| "The studio did not answer; is it still running?".to_owned();
    let response: Response = JsFuture::from(window().fetch_with_str(path))
        .await
        .map_err(failed)?
        .unchecked_into();
    let body = upload::body_text(&response).await.unwrap_or_default();
    Ok((response.status(), body))
}

/// Accepts a video dropped anywhere: otherwise the browser would leave the page, and the robot, to open it.
fn listen_for_files(studio: Studio, is_over: RwSignal<bool>) {
    let has_files = |event: &DragEvent| {
        event.data_transfer().is_some_and(|transfer| {
            let types = transfer.types();
            types.includes(&"Files".into(), 0)
        })
    };
    let over = window_event_listener(ev::dragover, move |event: DragEvent| {
        if has_files(&event) {
            event.prevent_default();
            is_over.set(true);
        }
    });
    let leave = window_event_listener(ev::dragleave, move |event: DragEvent| {
        // Only when the pointer leaves the window, not at every element.
        if event.related_target().is_none() {
            is_over.set(false);
        }
    });
    let drop = window_event_listener(ev::drop, move |event: DragEvent| {
        is_over.set(false);
        let files = event
            .data_transfer()
            .filter(|_| has_files(&event))
            .and_then(|transfer| transfer.files());
        let Some(files) = files else {
            return;
        };
        event.prevent_default();
        if studio
            .score
            .served
            .with_untracked(|served| served.manifest().is_none())
        {
            return studio
                .notify("This studio serves no scorer, so the video was not opened.".to_owned());
        }
        source::dropped(studio, &files);
        if let Some(panel) = document().get_element_by_id("score") {
            panel.scroll_into_view();
        }
    });
    on_cleanup(move || {
        over.remove();
        leave.remove();
        drop.remove();
    });
}
