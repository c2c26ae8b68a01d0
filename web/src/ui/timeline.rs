//! The recent decisions as a row of bars whose heights are the latencies. One can be kept in view.

use leptos::prelude::*;
use protocol::Mode;
use web_sys::KeyboardEvent;

use super::state::Studio;
use crate::decisions::Decisions;
use crate::format;

/// Bar of a decision.
#[derive(Debug, Clone, PartialEq)]
struct Bar {
    number: u64,
    latency_micros: u64,
    mode: Mode,
    is_shown: bool,
}

#[component]
pub(crate) fn Timeline() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let bars = Memo::new(move |_| {
        studio.decisions.with(|decisions| {
            let shown = decisions.shown().map(|decision| decision.number);
            decisions
                .iter()
                .map(|decision| Bar {
                    number: decision.number,
                    latency_micros: decision.trace.latency_micros,
                    mode: decision.trace.mode,
                    is_shown: Some(decision.number) == shown,
                })
                .collect::<Vec<_>>()
        })
    });
    let tallest = Memo::new(move |_| {
        bars.with(|bars| {
            bars.iter()
                .map(|bar| bar.latency_micros)
                .max()
                .unwrap_or(1)
                .max(1)
        })
    });
    let is_pinned = Memo::new(move |_| studio.decisions.with(Decisions::is_pinned));
    let position = move || {
        bars.with(|bars| {
            bars.iter()
                .position(|bar| bar.is_shown)
                .map_or(0, |i| i + 1)
        })
    };
    let value_text = move || {
        bars.with(|bars| {
            bars.iter().find(|bar| bar.is_shown).map_or_else(
                || "no decision yet".to_owned(),
                |bar| {
                    format!(
                        "decision {} of {}, {}",
                        position(),
                        bars.len(),
                        format::duration(bar.latency_micros)
                    )
                },
            )
        })
    };
    let look = move |number: u64| {
        studio.decisions.update(|decisions| decisions.pin(number));
        super::worker::requests::decode_next(studio);
    };
    let follow = move || studio.decisions.update(Decisions::follow);
    let on_key = move |event: KeyboardEvent| {
        let steps = match event.key().as_str() {
            "ArrowLeft" | "ArrowDown" => -1,
            "ArrowRight" | "ArrowUp" => 1,
            "PageUp" => -10,
            "PageDown" => 10,
            "Home" => i64::MIN,
            "End" => i64::MAX,
            _ => return,
        };
        event.prevent_default();
        studio.decisions.update(|decisions| decisions.step(steps));
        super::worker::requests::decode_next(studio);
    };
    view! {
        <div class="timeline" hidden=move || bars.with(Vec::is_empty)>
            <div
                class="bars"
                role="slider"
                tabindex="0"
                aria-label="Recent decisions"
                aria-valuemin="1"
                aria-valuemax=move || bars.with(|bars| bars.len().max(1)).to_string()
                aria-valuenow=move || position().to_string()
                aria-valuetext=value_text
                data-testid="timeline"
                on:keydown=on_key
            >
                <For each=move || bars.get() key=|bar| (bar.number, bar.is_shown) let:bar>
                    <span
                        class="decision"
                        class:shown=bar.is_shown
                        class:discrete={bar.mode == Mode::Discrete}
                        title=format::duration(bar.latency_micros)
                        on:click=move |_| look(bar.number)
                    >
                        <span style=move || {
                            let share = bar.latency_micros as f64 / tallest.get() as f64;
                            format!("height: {:.0}%", 18.0 + 82.0 * share)
                        }></span>
                    </span>
                </For>
            </div>
            <button
                type="button"
                class="live-button"
                class:on=move || !is_pinned.get()
                aria-pressed=move || (!is_pinned.get()).to_string()
                data-testid="follow-live"
                title="Show the newest decision"
                on:click=move |_| follow()
            >"Live"</button>
        </div>
    }
}
