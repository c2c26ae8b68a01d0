//! Progress of the job, its curves, and remarks on them.

use js_sys::{Array, Uint8Array};
use leptos::prelude::*;
use protocol::score::CurveKind;
use web_sys::{Blob, BlobPropertyBag, Url};

use super::job::cancel;
use super::legend::Legend;
use super::live;
use super::plots::{Moment, Plots};
use super::table::PointTable;
use crate::score_job::{ScoreJob, State};
use crate::score_summary::remarks;
use crate::ui::state::Studio;

#[component]
pub(super) fn Outcome() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let has_points = Memo::new(move |_| {
        score
            .score_job
            .with(|score_job| !score_job.lengths().is_empty())
    });
    let has_frozen = Memo::new(move |_| {
        score.score_job.with(|score_job| {
            score_job
                .curve(CurveKind::Frozen)
                .is_some_and(|curve| !curve.points.is_empty())
        })
    });
    let remark_list = Memo::new(move |_| {
        score.score_job.with(|score_job| {
            let is_over = score_job.state() == State::Done;
            if is_over {
                remarks(score_job)
            } else {
                Vec::new()
            }
        })
    });
    let instruction = move || {
        score.score_job.with(|score_job| {
            score_job
                .request()
                .map(|request| format!("\u{201c}{}\u{201d}", request.instruction))
        })
    };
    view! {
        <div class="outcome" data-testid="score-result" data-state=move || score.score_job.with(|s| s.state().name())>
            <Progress/>
            <ul class="remarks">
                {move || remark_list.get().into_iter().map(|remark| view! {
                    <li
                        class=format!("remark {}", remark.severity.name())
                        data-testid="score-remark"
                        data-weight=remark.severity.name()
                    >{remark.text}</li>
                }).collect_view()}
            </ul>
            <Show when=move || has_points.get()>
                <div class="title-row">
                    <p class="asked" data-testid="score-asked">{instruction}</p>
                    <label class="check" class:off=move || !has_frozen.get()>
                        <input
                            type="checkbox"
                            data-testid="score-subtract"
                            prop:checked=score.subtracts
                            disabled=move || !has_frozen.get()
                            on:change:target=move |event| score.subtracts.set(event.target().checked())
                        />
                        "Subtract the frozen frame"
                    </label>
                </div>
                <Plots/>
                <div class="reading">
                    <Moment/>
                    <Legend/>
                </div>
                <div class="row">
                    <PointTable/>
                    <Download/>
                </div>
            </Show>
        </div>
    }
}

/// Progress of the job, and the buttons to end it.
#[component]
fn Progress() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let state = Memo::new(move |_| score.score_job.with(ScoreJob::state));
    let status_line = Memo::new(move |_| score.score_job.with(ScoreJob::text));
    let is_open = Memo::new(move |_| state.get().is_open());
    let is_watching = Memo::new(move |_| {
        score
            .score_job
            .with(|score_job| score_job.is_live() && score_job.is_open())
    });
    let share = move || score.score_job.with(ScoreJob::share);
    // Text that changes many times a second is announced once, when it is final.
    let read_aloud = move || (!is_open.get()).then(|| status_line.get());
    view! {
        <div class="row progress-row" class:wrong=move || state.get() == State::Failed>
            <Show when=move || is_open.get() && !is_watching.get()>
                <progress
                    aria-label="Scoring"
                    max="1"
                    value=move || share().map(|share| share.to_string())
                ></progress>
            </Show>
            <Show when=move || is_watching.get()>
                <span class="recording" aria-hidden="true"></span>
            </Show>
            <p class="num grow" data-testid="score-words">{status_line}</p>
            <p class="visually-hidden" aria-live="polite">{read_aloud}</p>
            <Show when=move || is_watching.get()>
                <button
                    type="button"
                    class="button"
                    data-testid="score-finish"
                    on:click=move |_| live::finish(studio)
                >"Finish now"</button>
            </Show>
            <Show when=move || is_open.get()>
                <button
                    type="button"
                    class="button"
                    data-testid="score-cancel"
                    disabled=move || state.get() == State::Stopping
                    on:click=move |_| cancel(studio)
                >"Cancel"</button>
            </Show>
        </div>
    }
}

/// Download of the report.
#[component]
fn Download() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let report = Memo::new(move |_| {
        score
            .score_job
            .with(|score_job| score_job.report().cloned())
    });
    let link = RwSignal::new(None::<(String, String)>);
    let revoke = move || {
        if let Some((address, _)) = link.get_untracked() {
            Url::revoke_object_url(&address).ok();
        }
    };
    on_cleanup(revoke);
    Effect::new(move |_| {
        revoke();
        link.set(report.with(|report| {
            let report = report.as_ref()?;
            let text = serde_json::to_string_pretty(report).ok()?;
            let name = format!("progress-{}.json", report.scorer);
            Some((address_of(&text)?, name))
        }));
    });
    move || {
        link.get().map(|(address, name)| {
            view! {
                <a class="button" href=address download=name data-testid="score-download">"Download as JSON"</a>
            }
        })
    }
}

fn address_of(text: &str) -> Option<String> {
    let parts = Array::of1(&Uint8Array::from(text.as_bytes()));
    let kind = BlobPropertyBag::new();
    kind.set_type("application/json");
    let blob = Blob::new_with_u8_array_sequence_and_options(&parts, &kind).ok()?;
    Url::create_object_url_with_blob(&blob).ok()
}
