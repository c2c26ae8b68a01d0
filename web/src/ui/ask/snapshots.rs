//! The images of the question, with the marks of the answer.

use std::rc::Rc;

use leptos::either::Either;
use leptos::html;
use leptos::prelude::*;
use protocol::View;
use protocol::scene::{MarkShape, SceneMark};

use crate::format;
use crate::scene_question::{MARK_COLORS, SceneQuestion, mark_name};
use crate::ui::canvas_image::{CanvasImage, FrameMeter};
use crate::ui::state::Studio;

/// Width of a letter relative to its height.
const LETTER: f64 = 0.58;

#[component]
pub(super) fn Snapshots(looked_at: RwSignal<Option<usize>>) -> impl IntoView {
    let studio = expect_context::<Studio>();
    // Keyed by the question, so that an image is drawn once and not at every token.
    let places = Memo::new(move |_| {
        studio.scene_question.with(|scene_question| {
            let id = scene_question.question_id();
            let names = scene_question.views().iter().map(|view| view.name.clone());
            names.map(|name| (id, name)).collect::<Vec<_>>()
        })
    });
    view! {
        <div class="snapshots">
            <For each=move || places.get() key=Clone::clone let((_id, name))>
                <Snapshot name looked_at/>
            </For>
        </div>
    }
}

#[component]
fn Snapshot(name: String, looked_at: RwSignal<Option<usize>>) -> impl IntoView {
    let studio = expect_context::<Studio>();
    let (view, taken) = studio.scene_question.with_untracked(|scene_question| {
        let view = scene_question.views().iter().find(|view| view.name == name);
        (view.cloned(), scene_question.captured_at_secs())
    });
    let (width, height) = view
        .as_ref()
        .map_or((1, 1), |view: &View| (view.width, view.height));
    let canvas = NodeRef::<html::Canvas>::new();
    let meter = RwSignal::new(FrameMeter::default());
    Effect::new(move |_| {
        if let Some(canvas_image) = canvas
            .get()
            .and_then(|canvas| CanvasImage::new(canvas, meter))
            && let Some(view) = view.clone()
        {
            CanvasImage::show(&Rc::new(canvas_image), view);
        }
    });
    // With their indices in the answer.
    let of = name.clone();
    let marks = Memo::new(move |_| {
        let all = studio.scene_question.with(SceneQuestion::all_marks);
        let named = all.iter().map(|mark| (mark.clone(), mark_name(mark, &all)));
        let here = named
            .enumerate()
            .filter(|(_, (mark, _))| mark.view == of)
            .map(|(index, (mark, name))| (index, mark, name));
        here.collect::<Vec<_>>()
    });
    let label = format::plain_name(&name);
    let when = taken.map_or_else(String::new, |secs| format!("robot's clock {secs:.2} s"));
    let described = format!("{label} camera, the image of the question");
    view! {
        <figure
            class="snapshot"
            data-testid=format!("ask-view-{name}")
            data-captured-secs=taken.map(|secs| format!("{secs:.6}"))
        >
            <div class="marked" style=format!("aspect-ratio: {width} / {height}")>
                <canvas
                    node_ref=canvas
                    width=width
                    height=height
                    role="img"
                    aria-label=described
                    data-frames="0"
                ></canvas>
                <svg
                    viewBox=format!("0 0 {width} {height}")
                    class:looking=move || looked_at.get().is_some()
                    aria-hidden="true"
                >
                    {move || {
                        let size = [f64::from(width), f64::from(height)];
                        let drawn = |(index, mark, name)| drawn(index, mark, name, size, looked_at);
                        marks.get().into_iter().map(drawn).collect_view()
                    }}
                </svg>
            </div>
            <figcaption>
                <span class="name">{label}</span>
                <span class="num">{when}</span>
            </figcaption>
        </figure>
    }
}

/// A mark on an image of this size; lengths are in sixtieths of its shorter side.
fn drawn(
    index: usize,
    mark: SceneMark,
    name: String,
    [width, height]: [f64; 2],
    looked_at: RwSignal<Option<usize>>,
) -> impl IntoView {
    let unit = width.min(height) / 60.0;
    let letters = 3.0 * unit;
    let color = format!("--mark: var(--mark-{})", mark.group % MARK_COLORS);
    let label_width =
        f64::from(u32::try_from(name.chars().count()).unwrap_or(u32::MAX)) * LETTER * letters
            + 1.6 * unit;
    // The preferred start of the label, and its position to the left if there is no room.
    let (left, middle, shape) = match mark.shape {
        MarkShape::Point { x, y } => {
            let (x, y) = (f64::from(x), f64::from(y));
            let right = x + 3.2 * unit;
            let left = if right + label_width > width {
                x - 3.2 * unit - label_width
            } else {
                right
            };
            let shape = view! {
                <circle class="rim" cx=x cy=y r=2.2 * unit></circle>
                <circle class="dot" cx=x cy=y r=1.5 * unit></circle>
            };
            (left, y, Either::Left(shape))
        }
        MarkShape::Box {
            left,
            top,
            right,
            bottom,
        } => {
            let [left, top, right, bottom] = [left, top, right, bottom].map(f64::from);
            let above = top - 2.2 * unit;
            let middle = if above < 2.2 * unit {
                top + 2.6 * unit
            } else {
                above
            };
            let (wide, high) = (right - left, bottom - top);
            let shape = view! {
                <rect class="rim" x=left y=top width=wide height=high stroke-width=1.3 * unit></rect>
                <rect class="edge" x=left y=top width=wide height=high stroke-width=0.7 * unit></rect>
            };
            (left, middle, Either::Right(shape))
        }
    };
    let left = left.clamp(0.0, (width - label_width).max(0.0));
    let middle = middle.clamp(2.1 * unit, (height - 2.1 * unit).max(2.1 * unit));
    view! {
        <g
            class="spot"
            class:seen=move || looked_at.get() == Some(index)
            style=color
            data-testid="ask-mark"
            data-id=mark.id
            data-label=mark.label
        >
            {shape}
            <rect
                class="tag"
                x=left
                y=middle - 2.1 * unit
                width=label_width
                height=4.2 * unit
                rx=unit
            ></rect>
            <text x=left + 0.8 * unit y=middle + 0.36 * letters font-size=letters>{name}</text>
        </g>
    }
}
