//! The curves' names, sentences and numbers.

use leptos::prelude::*;

use crate::format;
use crate::score_job::State;
use crate::score_summary::{Finding, findings, name_of, word_of};
use crate::ui::state::Studio;

#[component]
pub(super) fn Legend() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let desk = studio.score;
    let found = Memo::new(move |_| {
        let subtracts = desk.subtracts.get();
        desk.scoring
            .with(|scoring| findings(&scoring.drawn(subtracts)))
    });
    let is_done = Memo::new(move |_| desk.scoring.with(|scoring| scoring.state() == State::Done));
    view! {
        <div class="legend-box">
            <table class="numbers num curve-list" data-testid="score-legend">
                <caption class="visually-hidden">"The curves and what they come to"</caption>
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
                "VOC: how steadily a curve rises, from −1 to 1. Success score: the mean of the last three values; it \
                 compares videos under one scorer and profile, and no threshold is known. Gap: how far the video is above \
                 the control."
            </p>
        </div>
    }
}

fn row(finding: Finding) -> impl IntoView {
    let word = word_of(finding.kind);
    let number = |value: Option<f64>| {
        value.map_or_else(|| "–".to_owned(), |value| format::decimal(value, 2))
    };
    view! {
        <tr
            class=word
            data-testid="score-finding"
            data-kind=word
            data-voc=finding.voc.map(|voc| voc.to_string())
            data-success=finding.success_score.map(|score| score.to_string())
        >
            <th scope="row">
                <div class="curve-name">
                    <svg class="sample" viewBox="0 0 34 10" aria-hidden="true">
                        <path class=format!("stroke {word}") d="M1 5H33"/>
                        <path class=format!("dots {word}") d="M17 5h0"/>
                    </svg>
                    <span>
                        {name_of(finding.kind)}
                        <span class="words">{finding.sentence}</span>
                    </span>
                </div>
            </th>
            <td>{number(finding.voc)}</td>
            <td>{number(finding.success_score)}</td>
            <td>{number(finding.gap)}</td>
        </tr>
    }
}
