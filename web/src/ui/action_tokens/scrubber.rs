//! Scrubber for the number of tokens shown: by pointer, by keyboard, or played.

use std::time::Duration;

use leptos::prelude::*;

use super::TokenPanel;
use crate::coefficients;
use crate::format;
use crate::partial_decode::TokenSource;
use crate::ui::shown_decision::pin_shown;
use crate::ui::state::Studio;

/// Approximate duration of playing all tokens.
const PLAY_MILLIS: u64 = 4_500;
/// Shortest and longest time that a token is shown.
const STEP_MILLIS: (u64, u64) = (60, 420);

#[component]
pub(crate) fn Scrubber() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let panel = expect_context::<TokenPanel>();
    let timer = StoredValue::new_local(None::<IntervalHandle>);
    let is_playing = RwSignal::new(false);
    let stop = move || {
        timer.update_value(|timer| {
            if let Some(timer) = timer.take() {
                timer.clear();
            }
        });
        is_playing.set(false);
    };
    on_cleanup(stop);
    // Another stream in view ends the playback.
    let source = Memo::new(move |_| panel.view.with(|view| view.source));
    Effect::new(move |_| {
        source.track();
        stop();
    });
    let count = Memo::new(move |_| panel.view.with(|view| view.count));
    let all = Memo::new(move |_| panel.view.with(|view| view.tokens.len()));
    let is_stream = Memo::new(move |_| matches!(source.get(), Some(TokenSource::Stream(_))));
    let cut = move |to: usize| {
        pin_shown(studio);
        studio
            .partial_decoder
            .update(|partial_decoder| partial_decoder.show_first(to));
    };
    let step = move || {
        let (count, all) = (count.get_untracked(), all.get_untracked());
        if count >= all {
            stop();
        } else {
            cut(count + 1);
        }
    };
    let play = move |_| {
        if is_playing.get_untracked() {
            return stop();
        }
        if count.get_untracked() >= all.get_untracked() {
            cut(0);
        }
        if crate::ui::settings::prefers_reduced_motion() {
            return step();
        }
        let millis =
            (PLAY_MILLIS / all.get_untracked().max(1) as u64).clamp(STEP_MILLIS.0, STEP_MILLIS.1);
        let started = set_interval_with_handle(step, Duration::from_millis(millis));
        timer.set_value(started.ok());
        is_playing.set(timer.with_value(Option::is_some));
    };
    let text = Memo::new(move |_| panel.view.with(crate::partial_decode::DecodeView::summary));
    let detail = move || {
        let rate_hz = panel.rate_hz.get();
        panel.view.with(|view| {
            let full = view.full.as_ref()?;
            let dims = full.dims.max(1) as usize;
            let known = view.known();
            let upto = known.checked_div(dims)?.checked_sub(1);
            let hz = upto.map(|k| {
                coefficients::hertz_text(coefficients::hertz(k, full.rows as usize, rate_hz))
            });
            let reach = match hz {
                Some(hz) if hz == "0" => "The mean of every joint".to_owned(),
                Some(hz) => format!("Every joint up to {hz} Hz"),
                None => "Not yet the mean of every joint".to_owned(),
            };
            let far = view
                .farthest()
                .filter(|_| view.ended && known >= dims && view.count < view.tokens.len());
            Some(match far {
                Some((gap, dim)) => format!(
                    "{reach}; at most {} off the whole chunk, on {}.",
                    format::joint_value(gap, &panel.unit(dim)),
                    panel.name(dim).to_lowercase()
                ),
                None => format!("{reach}."),
            })
        })
    };
    let play_label = move || match (
        is_playing.get(),
        crate::ui::settings::prefers_reduced_motion(),
    ) {
        (true, _) => "Pause",
        (false, true) => "Next token",
        (false, false) => "Play",
    };
    view! {
        <div class="scrubber">
            <button
                type="button"
                class="button play"
                data-testid="unfold-play"
                aria-pressed=move || is_playing.get().to_string()
                disabled=move || is_stream.get()
                on:click=play
            >
                <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
                    <path d=move || if is_playing.get() { "M3 2h4v12H3zM9 2h4v12H9z" } else { "M3 1.5 14 8 3 14.5z" }/>
                </svg>
                {play_label}
            </button>
            <input
                type="range"
                min="0"
                max=move || all.get().to_string()
                step="1"
                prop:value=move || count.get().to_string()
                // Not `disabled`, which would take the keyboard focus away each time a chunk begins to arrive.
                aria-disabled=move || is_stream.get().to_string()
                aria-label="Number of tokens shown"
                aria-valuetext=move || text.get()
                data-testid="unfold-scrubber"
                style=move || format!("--done: {:.2}%", 100.0 * count.get() as f32 / all.get().max(1) as f32)
                on:input:target=move |event| {
                    stop();
                    if is_stream.get_untracked() {
                        event.target().set_value(&count.get_untracked().to_string());
                        return;
                    }
                    if let Ok(to) = event.target().value().parse() {
                        cut(to);
                    }
                }
            />
            <p class="scrub-words num">
                <span data-testid="unfold-words">{text}</span>
                <span class="quiet">{detail}</span>
            </p>
        </div>
    }
}
