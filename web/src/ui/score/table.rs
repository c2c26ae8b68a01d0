//! Table of all points: the curves as numbers, also for screen readers.

use leptos::prelude::*;

use super::plots::values_at;
use crate::format;
use crate::score_job::ScoreJob;
use crate::score_summary::curve_name;
use crate::ui::state::Studio;

#[component]
pub(super) fn PointTable() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let is_open = RwSignal::new(false);
    let headings = Memo::new(move |_| {
        score.score_job.with(|score_job| {
            let curves = score_job.drawn(score.subtracts.get());
            let kinds = curves.iter().map(|curve| curve.heading.kind);
            kinds.collect::<Vec<_>>()
        })
    });
    let rows = Memo::new(move |_| {
        let subtracts = score.subtracts.get();
        score.score_job.with(|score_job| {
            let curves = score_job.drawn(subtracts);
            let lengths = score_job.lengths().into_iter();
            let rows = lengths.map(|length| {
                let values = values_at(&curves, length);
                let cells = curves.iter().map(|curve| {
                    let here = values.iter().find(|value| value.kind == curve.heading.kind);
                    here.map_or_else(
                        || ("–".to_owned(), "–".to_owned()),
                        |value| {
                            let progress = value.progress.map(|progress| format!("{progress:.3}"));
                            (
                                format::decimal(value.log_prob, 4),
                                progress.unwrap_or_else(|| "–".to_owned()),
                            )
                        },
                    )
                });
                let secs = f64::from(length) / score_job.fps();
                (length, format!("{secs:.2}"), cells.collect::<Vec<_>>())
            });
            rows.collect::<Vec<_>>()
        })
    });
    let has_points = move || {
        score
            .score_job
            .with(|score_job: &ScoreJob| !score_job.lengths().is_empty())
    };
    view! {
        <div class="points grow">
            <button
                type="button"
                class="button"
                data-testid="score-table-button"
                aria-expanded=move || is_open.get().to_string()
                disabled=move || !has_points()
                on:click=move |_| is_open.update(|is_open| *is_open = !*is_open)
            >"Every point as a table"</button>
            <Show when=move || is_open.get()>
                <div class="scroll-x tall">
                    <table class="numbers num" data-testid="score-table">
                        <caption class="visually-hidden">"ln p(True) and progress of every curve at every prefix"</caption>
                        <thead>
                            <tr>
                                <th scope="col">"Frames"</th>
                                <th scope="col">"Seconds"</th>
                                {move || headings.get().into_iter().map(|kind| view! {
                                    <th scope="col">{curve_name(kind)}", ln p"</th>
                                    <th scope="col">"progress"</th>
                                }).collect_view()}
                            </tr>
                        </thead>
                        <tbody>
                            {move || rows.get().into_iter().map(|(length, secs, cells)| view! {
                                <tr>
                                    <th scope="row">{length}</th>
                                    <td>{secs}</td>
                                    {cells.into_iter().map(|(log_prob, progress)| view! {
                                        <td>{log_prob}</td>
                                        <td>{progress}</td>
                                    }).collect_view()}
                                </tr>
                            }).collect_view()}
                        </tbody>
                    </table>
                </div>
            </Show>
        </div>
    }
}
