//! Heat map of the coefficients by frequency, in the order of the stream: lowest frequency first.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, MouseEvent};

use super::TokenPanel;
use crate::coefficients::{self, Cell};
use crate::ui::shown_decision::pin_shown;
use crate::ui::state::Studio;

/// Largest shape whose cells have room for a number.
const MAX_NUMBERED: (usize, usize) = (20, 8);
/// Approximate number of frequency labels.
const LABELS: usize = 20;

#[component]
pub(crate) fn HeatMap() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let panel = expect_context::<TokenPanel>();
    let shape = Memo::new(move |_| {
        panel.view.with(|view| {
            view.full
                .as_ref()
                .map_or((0, 0), |full| (full.rows as usize, full.dims as usize))
        })
    });
    let largest = Memo::new(move |_| {
        panel.view.with(|view| {
            let full = view.full.as_ref();
            let coefficients = full.map(|full| full.coefficients.as_slice());
            coefficients
                .unwrap_or_default()
                .iter()
                .map(|value| value.unsigned_abs())
                .max()
                .unwrap_or(0)
        })
    });
    let marked = Memo::new(move |_| {
        let index = panel.marked()?;
        panel.view.with(|view| view.spans().get(index).cloned())
    });
    let is_dense = move || {
        let (rows, dims) = shape.get();
        rows > MAX_NUMBERED.0 || dims > MAX_NUMBERED.1
    };
    let token_at = move |event: &MouseEvent| {
        let index: usize = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok())
            .and_then(|element| element.get_attribute("data-coefficient"))
            .and_then(|index| index.parse().ok())?;
        panel
            .view
            .with_untracked(|view| view.spans().iter().position(|span| span.contains(&index)))
    };
    let rows = move || (0..shape.get().0).collect::<Vec<_>>();
    let scale = move || coefficients::signed(largest.get() as i32);
    view! {
        <figure class="picture">
            <figcaption>"Coefficients" <span class="quiet">"by frequency"</span></figcaption>
            <div class="heatmap-frame" class:dense=is_dense>
                <table
                    class="heatmap num"
                    class:has-mark=move || marked.with(|marked| marked.as_ref().is_some_and(|span| !span.is_empty()))
                    data-testid="unfold-coefficients"
                    on:mouseover=move |event| panel.hovered.set(token_at(&event))
                    on:mouseleave=move |_| panel.hovered.set(None)
                    on:click=move |event| {
                        if let Some(token) = token_at(&event) {
                            pin_shown(studio);
                            panel.chosen.set(Some(token));
                        }
                    }
                >
                    <thead>
                        <tr>
                            <th scope="col">"Hz"</th>
                            {move || (0..shape.get().1).map(|dim| view! {
                                <th scope="col"><span>{panel.name(dim)}</span></th>
                            }).collect_view()}
                        </tr>
                    </thead>
                    <tbody>
                        <For each=rows key=move |k| (*k, shape.get_untracked()) let(k)>
                            {row(panel, k, shape, largest, marked)}
                        </For>
                    </tbody>
                </table>
            </div>
            <p class="heatmap-legend quiet num">
                <span>
                    <span class="heatmap-scale" aria-hidden="true"></span>
                    {move || format!("\u{2212}{0} to {1}, pale is zero", largest.get(), scale())}
                </span>
                <span>
                    <span class="heatmap-swatch unknown" aria-hidden="true"></span>
                    "striped has not arrived yet"
                </span>
            </p>
        </figure>
    }
}

fn row(
    panel: TokenPanel,
    k: usize,
    shape: Memo<(usize, usize)>,
    largest: Memo<u32>,
    marked: Memo<Option<std::ops::Range<usize>>>,
) -> impl IntoView {
    let cells = Memo::new(move |_| {
        let (_, dims) = shape.get();
        let largest = largest.get();
        marked.with(|marked| {
            panel.view.with(|view| {
                let known = view.known();
                let first = k * dims;
                let base = panel
                    .what_if
                    .with(|what_if| what_if.as_ref().map(|what_if| what_if.base().clone()));
                (first..first + dims)
                    .map(|index| {
                        let now = view.now.as_ref();
                        let value = now
                            .and_then(|now| now.coefficients.get(index).copied())
                            .filter(|_| index < known);
                        Cell {
                            value,
                            strength: value
                                .map_or(0, |value| coefficients::strength(value, largest)),
                            is_marked: marked.as_ref().is_some_and(|span| span.contains(&index)),
                            is_changed: base.as_ref().is_some_and(|base| {
                                value.is_some() && base.coefficients.get(index).copied() != value
                            }),
                        }
                    })
                    .collect::<Vec<_>>()
            })
        })
    });
    let label = move || {
        let (rows, _) = shape.get();
        let every = rows.div_ceil(LABELS).max(1);
        let hertz = coefficients::hertz(k, rows, panel.rate_hz.get());
        k.is_multiple_of(every)
            .then(|| coefficients::hertz_text(hertz))
    };
    let style = move || format!("--from: {:.3}", coefficients::band(k, shape.get().0));
    view! {
        <tr>
            <th scope="row" style=style>{label}</th>
            {move || cells.with(|cells| {
                let dims = cells.len();
                cells.iter().enumerate().map(|(dim, cell)| view! {
                    <td
                        class=cell.class()
                        style=format!("--mix: {}%", cell.strength)
                        data-coefficient=(k * dims + dim).to_string()
                    >{cell.text()}</td>
                }).collect_view()
            })}
        </tr>
    }
}
