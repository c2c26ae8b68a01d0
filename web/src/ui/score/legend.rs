//! Legend of the curves: names, instructions and numbers.

use leptos::prelude::*;

use crate::format;
use crate::score_job::State;
use crate::score_summary::{CurveSummary, curve_id, curve_name, summarize};
use crate::ui::state::Studio;

#[component]
pub(super) fn Legend() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let found = Memo::new(move |_| {
        let subtracts = score.subtracts.get();
        score
            .score_job
            .with(|score_job| summarize(&score_job.drawn(subtracts)))
    });
    let is_done = Memo::new(move |_| {
        score
            .score_job
            .with(|score_job| score_job.state() == State::Done)
    });
    view! {
        <div class="legend-box">
            <table class="numbers num curve-list" data-testid="score-legend">
                <caption class="visually-hidden">"The curves and their numbers"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Curve"</th>
                        <th scope="col">"VOC"</th>
                        <th scope="col">"Success score"</th>
                        <th scope="col">"Gap"</th>
                    </tr>
                </thead>
                <tbody>
                    {move || found.get().into_iter().map(row).collect_view()}
                </tbody>
            </table>
            <p class="quiet">
                {move || if is_done.get() { "" } else { "So far. " }}
                "VOC: how steadily a curve rises, from −1 to 1. Success score: the mean of the last three values; comparable \
                 between videos of one scorer and profile, without a known threshold. Gap: how far the video is above \
                 the control."
            </p>
        </div>
    }
}

fn row(summary: CurveSummary) -> impl IntoView {
    let word = curve_id(summary.kind);
    let number = |value: Option<f64>| {
        value.map_or_else(|| "–".to_owned(), |value| format::decimal(value, 2))
    };
    view! {
        <tr
            class=word
            data-testid="score-finding"
            data-kind=word
            data-voc=summary.voc.map(|voc| voc.to_string())
            data-success=summary.success_score.map(|score| score.to_string())
        >
            <th scope="row">
                <div class="curve-name">
                    <svg class="sample" viewBox="0 0 34 10" aria-hidden="true">
                        <path class=format!("stroke {word}") d="M1 5H33"/>
                        <path class=format!("dots {word}") d="M17 5h0"/>
                    </svg>
                    <span>
                        {curve_name(summary.kind)}
                        <span class="words">{summary.instruction}</span>
                    </span>
                </div>
            </th>
            <td>{number(summary.voc)}</td>
            <td>{number(summary.success_score)}</td>
            <td>{number(summary.gap)}</td>
        </tr>
    }
}
