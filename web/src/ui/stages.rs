//! Latency of a decision by stages.

use leptos::prelude::*;

use super::shown_decision::shown_trace;
use super::state::Studio;
use crate::format;

#[component]
pub(crate) fn Stages() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let trace = shown_trace(studio);
    let stages = Memo::new(move |_| {
        trace.with(|t| t.as_ref().map(|t| t.stages.clone()).unwrap_or_default())
    });
    let latency = Memo::new(move |_| trace.with(|t| t.as_ref().map_or(0, |t| t.latency_micros)));
    let committed = Memo::new(move |_| trace.with(|t| t.as_ref().map_or(0, |t| t.committed_rows)));
    let computing =
        Memo::new(move |_| stages.with(|s| s.iter().map(|stage| stage.micros).sum::<u64>()));
    let waiting = move || latency.get().saturating_sub(computing.get());
    let whole = move || latency.get().max(computing.get()).max(1) as f64;
    let share = move |micros: u64| format!("flex-grow: {:.3}", micros as f64 / whole() * 100.0);
    view! {
        <div class="block">
            <h3>
                "How long it took"
                <span class="quiet num">
                    {move || format!(
                        "{} from the image to the plan{}",
                        format::duration(latency.get()),
                        begins_with(committed.get()),
                    )}
                </span>
            </h3>
            <div
                class="stages"
                data-testid="stages"
                data-latency-micros=move || latency.get().to_string()
                data-committed-rows=move || committed.get().to_string()
            >
                <div class="stage-bar" aria-hidden="true">
                    {move || stages.with(|stages| stages.iter().enumerate().map(|(index, stage)| {
                        let class = format!("stage stage-{}", index % 6);
                        view! { <span class=class style=share(stage.micros)></span> }
                    }).collect_view())}
                    <span class="stage waiting" style=move || share(waiting())></span>
                </div>
                <dl class="stage-list num">
                    {move || stages.with(|stages| stages.iter().enumerate().map(|(index, stage)| {
                        let class = format!("swatch stage-{}", index % 6);
                        view! {
                            <div>
                                <dt><span class=class></span>{stage.name.clone()}</dt>
                                <dd>{format::duration(stage.micros)}</dd>
                            </div>
                        }
                    }).collect_view())}
                    <div>
                        <dt><span class="swatch waiting"></span>"waiting"</dt>
                        <dd>{move || format::duration(waiting())}</dd>
                    </div>
                </dl>
            </div>
        </div>
    }
}

/// Note on the rows of the previous chunk that real-time chunking kept, because the robot was already executing them.
fn begins_with(committed_rows: u32) -> String {
    match committed_rows {
        0 => String::new(),
        1 => ", which begins with one step of the previous plan".to_owned(),
        rows => format!(", which begins with {rows} steps of the previous plan"),
    }
}
