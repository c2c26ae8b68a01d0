//! Box of the scorer: its description, the device that computes, and its state in this tab.

use leptos::prelude::*;
use protocol::score::ScorerManifest;

use super::scorer_loading::{delete_cache, load};
use super::start_job::cancel_load;
use crate::compute::{Phase, kind_phrase};
use crate::format;
use crate::scorer::{ScoreLocation, TabScorer};
use crate::ui::segment::segment;
use crate::ui::state::Studio;

/// Precisions of the weights, by the worker's names.
const PRECISIONS: [(&str, &str); 6] = [
    ("", "as stored"),
    ("f32", "f32"),
    ("f16", "f16"),
    ("bf16", "bf16"),
    ("int8", "int8, half of f16"),
    ("int4", "int4, a third of f16"),
];

#[component]
pub(super) fn ScorerBox(manifest: ScorerManifest) -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let size = format!(
        "{} parameters, {} of {}",
        format::count(manifest.parameters),
        format::bytes(manifest.bytes()),
        manifest.dtype
    );
    let studio_device = manifest.studio_device.clone();
    let can_choose = studio_device.is_some();
    let location = score.location;
    if !can_choose {
        location.set(ScoreLocation::Tab);
    }
    let where_to = move || match (location.get(), &studio_device) {
        (ScoreLocation::Studio, Some(device)) => format!(
            "The frames are sent to the studio and scored there, on {device}. Nothing is loaded into this tab."
        ),
        _ => "Frames stay in this tab: nothing is uploaded.".to_owned(),
    };
    let option = move |this: ScoreLocation, hook: &'static str, name: &'static str| {
        segment(
            hook,
            name,
            move || location.get() == this,
            move || location.set(this),
        )
    };
    let is_nano = manifest.is_nano;
    let all_bytes = manifest.bytes();
    view! {
        <div
            class="scorer"
            data-testid="scorer"
            data-place=move || location.get().name()
            data-state=move || score.tab_scorer.with(TabScorer::name)
            data-is-forgotten=move || score.tab_scorer.with(TabScorer::is_forgotten).to_string()
            data-fetched-bytes=move || score.tab_scorer.with(TabScorer::fetched_bytes).map(|bytes| bytes.to_string())
        >
            <div class="scorer-head">
                <div>
                    <p>
                        <strong data-testid="scorer-name">{manifest.name}</strong>
                        " "
                        <span class="quiet num">{size}</span>
                    </p>
                    <p class="quiet" data-testid="scorer-about">{manifest.note}</p>
                </div>
                <Show when=move || can_choose>
                    <div class="segmented" role="group" aria-label="Where scores are computed">
                        {option(ScoreLocation::Tab, "score-in-tab", "In this tab")}
                        {option(ScoreLocation::Studio, "score-on-studio", "On the studio")}
                    </div>
                </Show>
            </div>
            <p class="quiet" data-testid="scorer-where">{where_to}</p>
            <Show when=move || location.get() == ScoreLocation::Tab>
                <InTab is_nano all_bytes/>
            </Show>
        </div>
    }
}

/// Loading of the scorer into the tab.
#[component]
fn InTab(is_nano: bool, all_bytes: u64) -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let state = Memo::new(move |_| score.tab_scorer.with(TabScorer::name));
    let is_loading = Memo::new(move |_| score.tab_scorer.with(TabScorer::is_loading));
    let is_ready = Memo::new(move |_| score.tab_scorer.with(TabScorer::is_ready));
    let may_keep = Memo::new(move |_| score.has_cached_files.get() && !is_loading.get());
    let dead = Memo::new(move |_| {
        studio
            .compute
            .with(|compute| matches!(compute.phase, Phase::Dead { .. }))
    });
    let is_bad = move || matches!(state.get(), "refused" | "failed");
    let status_line = move || {
        if dead.get() {
            "This tab’s worker has ended. Restart it under “What this tab computes”.".to_owned()
        } else {
            score.tab_scorer.with(TabScorer::text)
        }
    };
    let share = move || score.tab_scorer.with(TabScorer::share);
    // The viewer chose another device after the scorer was loaded.
    let elsewhere = Memo::new(move |_| {
        let chosen = studio
            .compute
            .with(|compute| compute.report.as_ref().and_then(|report| report.chosen));
        let here = score.tab_scorer.with(TabScorer::computed_on)?;
        chosen.filter(|chosen| *chosen != here)
    });
    let load_label = move || match state.get() {
        "cancelled" => "Continue loading".to_owned(),
        "refused" | "failed" => "Try again".to_owned(),
        _ => format!("Load {}", format::bytes(all_bytes)),
    };
    view! {
        <div class="in-tab" class:bad=is_bad>
            <p class="num" role="status" data-testid="scorer-state">{status_line}</p>
            <Show when=move || is_loading.get()>
                // Indeterminate without a value.
                <progress
                    aria-label="Loading the scorer"
                    max="1"
                    value=move || share().map(|share| share.to_string())
                ></progress>
            </Show>
            <div class="row">
                <Show when=move || !is_nano && !is_ready.get() && !is_loading.get()>
                    <label class="inline">
                        <span class="label">"Weights in"</span>
                        <select
                            data-testid="scorer-precision"
                            on:change:target=move |event| score.precision.set(event.target().value())
                        >
                            {PRECISIONS.into_iter().map(|(word, text)| view! {
                                <option value=word selected=move || score.precision.get() == word>{text}</option>
                            }).collect_view()}
                        </select>
                    </label>
                </Show>
                <Show when=move || !is_ready.get() && !is_loading.get()>
                    <button type="button" class="button" data-testid="scorer-load" on:click=move |_| load(studio)>{load_label}</button>
                </Show>
                {move || elsewhere.get().map(|kind| view! {
                    <button type="button" class="button" data-testid="scorer-move" on:click=move |_| load(studio)>
                        {format!("Move it to {}", kind_phrase(kind))}
                    </button>
                })}
                <Show when=move || is_loading.get()>
                    <button
                        type="button"
                        class="button"
                        data-testid="scorer-cancel"
                        disabled=move || state.get() == "cancelling"
                        on:click=move |_| cancel_load(studio)
                    >"Cancel"</button>
                </Show>
                <Show when=move || may_keep.get()>
                    <button
                        type="button"
                        class="button plain"
                        title="Deletes the weights from this browser’s storage"
                        data-testid="scorer-forget"
                        on:click=move |_| delete_cache(studio)
                    >"Delete cached files"</button>
                </Show>
            </div>
        </div>
    }
}
