//! Every cell of a depth map as text.

use leptos::prelude::*;
use protocol::depth::DepthReasoning;

use crate::depth;

#[component]
pub(crate) fn DepthTable(depth: Memo<Option<DepthReasoning>>) -> impl IntoView {
    let is_open = RwSignal::new(false);
    let table = move || {
        depth.with(|map| {
            let map = map.as_ref()?;
            let columns = map.columns.max(1) as usize;
            let heads = (1..=columns)
                .map(|column| view! { <th scope="col">{column}</th> })
                .collect_view();
            let rows = depth::cells(map)
                .chunks(columns)
                .enumerate()
                .map(|(row, cells)| {
                    let cells = cells
                        .iter()
                        .map(|cell| {
                            let fate = if cell.regenerated { "regenerated" } else { "replayed" };
                            let cosine = cell
                                .cosine
                                .map(|cosine| depth::cosine_text(cosine, map.threshold));
                            view! {
                                <td class=fate>
                                    {cell.code}
                                    <span class="quiet">{cosine}</span>
                                    <span class="visually-hidden">{fate}</span>
                                </td>
                            }
                        })
                        .collect_view();
                    view! { <tr><th scope="row">{row + 1}</th>{cells}</tr> }
                })
                .collect_view();
            Some(view! {
                <div class="depth-table" tabindex="0" role="region" aria-label="Codes and cosines of all cells">
                    <table class="num" data-testid="depth-table">
                        <caption class="quiet">
                            "Code of every cell, with its cosine below; regenerated cells are framed"
                        </caption>
                        <thead><tr><td></td>{heads}</tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            })
        })
    };
    view! {
        <div class="depth-more">
            <button
                type="button"
                class="link-button"
                data-testid="depth-table-button"
                aria-expanded=move || is_open.get().to_string()
                on:click=move |_| is_open.update(|open| *open = !*open)
            >
                {move || if is_open.get() { "Hide the table" } else { "All cells as a table" }}
            </button>
            {move || is_open.get().then_some(table)}
        </div>
    }
}
