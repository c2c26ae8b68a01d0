//! The cells over the depth map, for the pointer and the keyboard.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent, MouseEvent};

use super::Shared;
use crate::depth;
use crate::ui::shown_decision::pin_shown;

/// A focusable element per cell over the depth map.
#[component]
pub(super) fn Cells(shared: Shared) -> impl IntoView {
    let cell_at = move |event: &MouseEvent| -> Option<usize> {
        event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok())
            .and_then(|element| element.get_attribute("data-cell"))
            .and_then(|index| index.parse().ok())
    };
    let count = Memo::new(move |_| {
        shared
            .depth
            .with(|d| d.as_ref().map_or(0, |d| d.codes.len()))
    });
    let on_key = move |event: KeyboardEvent| {
        let (columns, _) = shared.shape.get_untracked();
        let Some(last) = count.get_untracked().checked_sub(1) else {
            return;
        };
        let at = shared.chosen.get_untracked().unwrap_or(0).min(last);
        let first = at - at % columns.max(1);
        let then = match event.key().as_str() {
            "ArrowRight" => at + 1,
            "ArrowLeft" => at.saturating_sub(1),
            "ArrowDown" => at + columns,
            "ArrowUp" => at.checked_sub(columns).unwrap_or(at),
            "Home" if event.ctrl_key() => 0,
            "End" if event.ctrl_key() => last,
            "Home" => first,
            "End" => first + columns.saturating_sub(1),
            _ => return,
        };
        event.prevent_default();
        if then <= last {
            focus(then);
        }
    };
    let rows = move || (0..shared.shape.get().1).collect::<Vec<_>>();
    view! {
        <div
            class="depth-cells"
            role="grid"
            aria-label="Cells of the depth map"
            data-testid="depth-cells"
            style=move || format!("--columns: {}", shared.shape.get().0)
            on:keydown=on_key
            on:mouseover=move |event| shared.hovered.set(cell_at(&event))
            on:mouseleave=move |_| shared.hovered.set(None)
            on:click=move |event| {
                if let Some(index) = cell_at(&event) {
                    focus(index);
                }
            }
        >
            <For each=rows key=move |row| (*row, shared.shape.get_untracked()) let(row)>
                <div role="row">
                    {
                        let (columns, _) = shared.shape.get_untracked();
                        let first = row * columns;
                        (first..(first + columns).min(count.get_untracked()))
                            .map(|index| one_cell(shared, index))
                            .collect_view()
                    }
                </div>
            </For>
        </div>
    }
}

fn one_cell(shared: Shared, index: usize) -> impl IntoView {
    let cell = Memo::new(move |_| shared.cell(index));
    let is_entry = move || shared.chosen.get().unwrap_or(0) == index;
    view! {
        <div
            role="gridcell"
            tabindex=move || if is_entry() { "0" } else { "-1" }
            data-cell=index.to_string()
            data-code=move || cell.get().map(|cell| cell.code.to_string())
            data-regenerated=move || cell.get().map(|cell| cell.regenerated.to_string())
            data-cosine=move || cell.get().and_then(|cell| cell.cosine).map(|cosine| cosine.to_string())
            aria-label=move || cell.get().map(|cell| depth::cell_text(&cell, shared.threshold()))
            on:focus=move |_| {
                pin_shown(shared.studio);
                shared.chosen.set(Some(index));
            }
        ></div>
    }
}

fn focus(index: usize) {
    let cell = document()
        .query_selector(&format!(
            "[data-testid=\"depth-cells\"] [data-cell=\"{index}\"]"
        ))
        .ok()
        .flatten();
    if let Some(cell) = cell.and_then(|cell| cell.dyn_into::<HtmlElement>().ok()) {
        cell.focus().ok();
    }
}
