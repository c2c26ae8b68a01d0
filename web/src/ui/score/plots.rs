//! The curves as they grow: ln p(True) and, beside it, each curve from 0 to 1. One place on the time line is looked at.

use leptos::html;
use leptos::prelude::*;
use protocol::score::{CurveKind, ScoreRequest};
use web_sys::{KeyboardEvent, PointerEvent};

use super::state::Desk;
use crate::curves::{Plot, Scale};
use crate::format;
use crate::plot::{HEIGHT, WIDTH};
use crate::score_job::{Line, Scoring};
use crate::score_summary::{short_name_of, word_of};
use crate::ui::state::Studio;

/// Keys that go far go this far [points].
const PAGE: usize = 5;

#[component]
pub(super) fn Plots() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let desk = studio.score;
    let lengths = Memo::new(move |_| desk.scoring.with(Scoring::lengths));
    let at = looked_at(desk);
    let raw = plot(desk, Scale::Raw);
    let progress = plot(desk, Scale::Progress);
    let position =
        move || lengths.with(|lengths| lengths.iter().position(|length| Some(*length) == at.get()));
    let step = move |event: &KeyboardEvent| {
        let (Some(here), Some(last)) = (
            untrack(position),
            lengths.with_untracked(Vec::len).checked_sub(1),
        ) else {
            return;
        };
        let then = match event.key().as_str() {
            "ArrowLeft" | "ArrowDown" => here.saturating_sub(1),
            "ArrowRight" | "ArrowUp" => here + 1,
            "PageDown" => here.saturating_sub(PAGE),
            "PageUp" => here + PAGE,
            "Home" => 0,
            "End" => last,
            _ => return,
        };
        event.prevent_default();
        desk.looked_at
            .set(lengths.with_untracked(|lengths| lengths.get(then.min(last)).copied()));
    };
    let words = move || at.get().map(|length| in_words(desk, length));
    let title = move || {
        if desk.subtracts.get() {
            "ln p(True), above the frozen frame"
        } else {
            "ln p(True)"
        }
    };
    view! {
        <div
            class="curve-pair"
            role="slider"
            tabindex="0"
            aria-label="Moment of the video"
            aria-valuemin="1"
            aria-valuemax=move || lengths.with(|lengths| lengths.len().max(1)).to_string()
            aria-valuenow=move || position().map(|place| (place + 1).to_string())
            aria-valuetext=words
            data-testid="score-curve"
            data-points=move || desk.scoring.with(own_points)
            on:keydown=move |event| step(&event)
        >
            <Drawing plot=raw at lengths title=Signal::derive(move || title().to_owned())/>
            <Drawing plot=progress at lengths title=Signal::derive(|| "Progress within each curve".to_owned())/>
        </div>
    }
}

/// Points of the instruction's own curve, for tests.
fn own_points(scoring: &Scoring) -> String {
    let own = scoring.line(CurveKind::Instruction);
    own.map_or(0, |line| line.points.len()).to_string()
}

fn plot(desk: Desk, scale: Scale) -> Memo<Plot> {
    Memo::new(move |_| {
        let subtracts = desk.subtracts.get();
        desk.scoring.with(|scoring| {
            let frames = scoring
                .request()
                .and_then(|request: &ScoreRequest| request.frames);
            Plot::new(&scoring.drawn(subtracts), scoring.fps(), frames, scale)
        })
    })
}

/// The chosen prefix, or the newest.
fn looked_at(desk: Desk) -> Memo<Option<u32>> {
    Memo::new(move |_| {
        let lengths = desk.scoring.with(Scoring::lengths);
        desk.looked_at
            .get()
            .filter(|length| lengths.contains(length))
            .or_else(|| lengths.last().copied())
    })
}

/// One of the two plots.
#[component]
fn Drawing(
    plot: Memo<Plot>,
    at: Memo<Option<u32>>,
    lengths: Memo<Vec<u32>>,
    title: Signal<String>,
) -> impl IntoView {
    let studio = expect_context::<Studio>();
    let desk = studio.score;
    let field = NodeRef::<html::Div>::new();
    let point = move |event: &PointerEvent| {
        let Some(field) = field.get_untracked() else {
            return;
        };
        let bounds = field.get_bounding_client_rect();
        let share = (f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0);
        let fps = desk.scoring.with_untracked(Scoring::fps);
        let nearest = plot.with_untracked(|plot| {
            lengths.with_untracked(|lengths| plot.nearest(share, lengths, fps))
        });
        if nearest.is_some() {
            desk.looked_at.set(nearest);
        }
    };
    let percent = |share: f32| format!("{:.2}%", share * 100.0);
    let cursor = move || {
        let fps = desk.scoring.with(Scoring::fps);
        at.get()
            .map(|length| plot.with(|plot| plot.place(length, fps) * WIDTH))
    };
    view! {
        <figure class="curve">
            <figcaption>{title}</figcaption>
            <div
                node_ref=field
                class="curve-field"
                on:pointermove=move |event: PointerEvent| point(&event)
                on:pointerdown=move |event: PointerEvent| point(&event)
            >
                <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" aria-hidden="true">
                    {move || plot.with(|plot| plot.values.iter().map(|(top, _)| {
                        let y = top * HEIGHT;
                        view! { <line class="grid" x1="0" x2={WIDTH} y1={y} y2={y}/> }
                    }).collect_view())}
                    {move || cursor().map(|x| view! { <line class="cursor" x1={x} x2={x} y1="0" y2={HEIGHT}/> })}
                    {move || plot.with(|plot| plot.strokes.iter().map(|stroke| {
                        let class = format!("stroke {}", word_of(stroke.kind));
                        let dots = format!("dots {}", word_of(stroke.kind));
                        view! {
                            <path class=class d=stroke.path.clone()/>
                            <path class=dots d=stroke.dots.clone()/>
                        }
                    }).collect_view())}
                </svg>
                <div class="value-ticks num" aria-hidden="true">
                    {move || plot.with(|plot| plot.values.iter().map(|(top, text)| {
                        view! { <span style=format!("top: {}", percent(*top))>{text.clone()}</span> }
                    }).collect_view())}
                </div>
                <div class="line-names" aria-hidden="true">
                    {move || plot.with(|plot| plot.names.iter().map(|(kind, top)| view! {
                        <span class=word_of(*kind) style=format!("top: {}", percent(*top))>{short_name_of(*kind)}</span>
                    }).collect_view())}
                </div>
                <div class="time-ticks num" aria-hidden="true">
                    {move || plot.with(|plot| plot.times.iter().map(|(left, text)| {
                        view! { <span style=format!("left: {}", percent(*left))>{text.clone()}</span> }
                    }).collect_view())}
                </div>
            </div>
        </figure>
    }
}

/// The frame at the end of the prefix that is looked at, and its values.
#[component]
pub(super) fn Moment() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let desk = studio.score;
    let at = looked_at(desk);
    let picture = Memo::new(move |_| desk.copy_at(at.get()?));
    let heading = move || {
        at.get().map(|length| {
            let fps = desk.scoring.with(Scoring::fps);
            format!(
                "After {:.1} s, {length} {}",
                f64::from(length) / fps,
                frames(length)
            )
        })
    };
    let values = Memo::new(move |_| {
        let length = at.get()?;
        let subtracts = desk.subtracts.get();
        Some(
            desk.scoring
                .with(|scoring| values_at(&scoring.drawn(subtracts), length)),
        )
    });
    view! {
        <div class="moment" data-testid="score-moment" data-length=move || at.get().map(|length| length.to_string())>
            {move || picture.get().map(|(index, copy)| view! {
                <img src=copy alt=format!("Frame {index} of the video") data-testid="score-frame" data-index=index.to_string()/>
            })}
            <div>
                <p class="num"><strong>{heading}</strong></p>
                <dl class="num">
                    {move || values.get().unwrap_or_default().into_iter().map(|value| view! {
                        <div class=word_of(value.kind)>
                            <dt>{short_name_of(value.kind)}</dt>
                            <dd>{format::decimal(value.log_prob, 3)}</dd>
                            <dd class="quiet">{value.progress.map(|progress| format!("{progress:.2}"))}</dd>
                        </div>
                    }).collect_view()}
                </dl>
            </div>
        </div>
    }
}

/// A curve at one prefix.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    pub(super) kind: CurveKind,
    pub(super) log_prob: f64,
    pub(super) progress: Option<f64>,
}

/// Every curve that has a point at this prefix.
pub(super) fn values_at(lines: &[Line], length: u32) -> Vec<Value> {
    lines
        .iter()
        .filter_map(|line| {
            let place = line.points.binary_search_by_key(&length, |point| point.0);
            let place = place.ok()?;
            let progress = line.progress().get(place).copied();
            Some(Value {
                kind: line.heading.kind,
                log_prob: line.points.get(place)?.1,
                progress: progress.filter(|_| line.points.len() > 1),
            })
        })
        .collect()
}

fn in_words(desk: Desk, length: u32) -> String {
    let subtracts = desk.subtracts.get();
    desk.scoring.with(|scoring| {
        let values = values_at(&scoring.drawn(subtracts), length);
        let values: Vec<String> = values
            .iter()
            .map(|value| {
                let progress = value
                    .progress
                    .map_or_else(String::new, |progress| format!(", progress {progress:.2}"));
                format!(
                    "{} {}{progress}",
                    short_name_of(value.kind),
                    format::decimal(value.log_prob, 2)
                )
            })
            .collect();
        format!(
            "after {:.1} s: {}",
            f64::from(length) / scoring.fps(),
            values.join("; ")
        )
    })
}

fn frames(length: u32) -> &'static str {
    if length == 1 { "frame" } else { "frames" }
}
