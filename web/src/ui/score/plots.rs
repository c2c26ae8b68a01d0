//! Plots of the curves: ln p(True), and each curve scaled from 0 to 1, with a cursor on the time axis.

use leptos::html;
use leptos::prelude::*;
use protocol::score::{CurveKind, ScoreRequest};
use web_sys::{KeyboardEvent, PointerEvent};

use super::state::ScoreState;
use crate::curves::{Plot, Scale};
use crate::format;
use crate::plot::{HEIGHT, WIDTH};
use crate::score_job::{Curve, ScoreJob};
use crate::score_summary::{curve_id, short_curve_name};
use crate::ui::state::Studio;

/// Step of the page keys [points].
const PAGE: usize = 5;

#[component]
pub(super) fn Plots() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let lengths = Memo::new(move |_| score.score_job.with(ScoreJob::lengths));
    let at = looked_at(score);
    let raw = plot(score, Scale::Raw);
    let progress = plot(score, Scale::Progress);
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
        score
            .looked_at
            .set(lengths.with_untracked(|lengths| lengths.get(then.min(last)).copied()));
    };
    let value_at_cursor = move || at.get().map(|length| value_text(score, length));
    let title = move || {
        if score.subtracts.get() {
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
            aria-valuenow=move || position().map(|index| (index + 1).to_string())
            aria-valuetext=value_at_cursor
            data-testid="score-curve"
            data-points=move || score.score_job.with(own_points)
            on:keydown=move |event| step(&event)
        >
            <Drawing plot=raw at lengths title=Signal::derive(move || title().to_owned())/>
            <Drawing plot=progress at lengths title=Signal::derive(|| "Progress within each curve".to_owned())/>
        </div>
    }
}

/// Number of points of the instruction's curve, for tests.
fn own_points(score_job: &ScoreJob) -> String {
    let own = score_job.curve(CurveKind::Instruction);
    own.map_or(0, |curve| curve.points.len()).to_string()
}

fn plot(score: ScoreState, scale: Scale) -> Memo<Plot> {
    Memo::new(move |_| {
        let subtracts = score.subtracts.get();
        score.score_job.with(|score_job| {
            let frames = score_job
                .request()
                .and_then(|request: &ScoreRequest| request.frames);
            Plot::new(&score_job.drawn(subtracts), score_job.fps(), frames, scale)
        })
    })
}

/// Length of the selected prefix, or of the newest.
fn looked_at(score: ScoreState) -> Memo<Option<u32>> {
    Memo::new(move |_| {
        let lengths = score.score_job.with(ScoreJob::lengths);
        score
            .looked_at
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
    let score = studio.score;
    let field = NodeRef::<html::Div>::new();
    let point = move |event: &PointerEvent| {
        let Some(field) = field.get_untracked() else {
            return;
        };
        let bounds = field.get_bounding_client_rect();
        let share = (f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0);
        let fps = score.score_job.with_untracked(ScoreJob::fps);
        let nearest = plot.with_untracked(|plot| {
            lengths.with_untracked(|lengths| plot.nearest(share, lengths, fps))
        });
        if nearest.is_some() {
            score.looked_at.set(nearest);
        }
    };
    let percent = |share: f32| format!("{:.2}%", share * 100.0);
    let cursor = move || {
        let fps = score.score_job.with(ScoreJob::fps);
        at.get()
            .map(|length| plot.with(|plot| plot.position(length, fps) * WIDTH))
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
                        let class = format!("stroke {}", curve_id(stroke.kind));
                        let dots = format!("dots {}", curve_id(stroke.kind));
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
                        <span class=curve_id(*kind) style=format!("top: {}", percent(*top))>{short_curve_name(*kind)}</span>
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

/// The last frame of the selected prefix, and its values.
#[component]
pub(super) fn Moment() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let score = studio.score;
    let at = looked_at(score);
    let picture = Memo::new(move |_| score.thumbnail_at(at.get()?));
    let heading = move || {
        at.get().map(|length| {
            let fps = score.score_job.with(ScoreJob::fps);
            format!(
                "After {:.1} s, {length} {}",
                f64::from(length) / fps,
                frames(length)
            )
        })
    };
    let values = Memo::new(move |_| {
        let length = at.get()?;
        let subtracts = score.subtracts.get();
        Some(
            score
                .score_job
                .with(|score_job| values_at(&score_job.drawn(subtracts), length)),
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
                        <div class=curve_id(value.kind)>
                            <dt>{short_curve_name(value.kind)}</dt>
                            <dd>{format::decimal(value.log_prob, 3)}</dd>
                            <dd class="quiet">{value.progress.map(|progress| format!("{progress:.2}"))}</dd>
                        </div>
                    }).collect_view()}
                </dl>
            </div>
        </div>
    }
}

/// Value of a curve at one prefix.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    pub(super) kind: CurveKind,
    pub(super) log_prob: f64,
    pub(super) progress: Option<f64>,
}

/// Values of all curves with a point at this prefix.
pub(super) fn values_at(curves: &[Curve], length: u32) -> Vec<Value> {
    curves
        .iter()
        .filter_map(|curve| {
            let index = curve.points.binary_search_by_key(&length, |point| point.0);
            let index = index.ok()?;
            let progress = curve.progress().get(index).copied();
            Some(Value {
                kind: curve.heading.kind,
                log_prob: curve.points.get(index)?.1,
                progress: progress.filter(|_| curve.points.len() > 1),
            })
        })
        .collect()
}

fn value_text(score: ScoreState, length: u32) -> String {
    let subtracts = score.subtracts.get();
    score.score_job.with(|score_job| {
        let values = values_at(&score_job.drawn(subtracts), length);
        let values: Vec<String> = values
            .iter()
            .map(|value| {
                let progress = value
                    .progress
                    .map_or_else(String::new, |progress| format!(", progress {progress:.2}"));
                format!(
                    "{} {}{progress}",
                    short_curve_name(value.kind),
                    format::decimal(value.log_prob, 2)
                )
            })
            .collect();
        format!(
            "after {:.1} s: {}",
            f64::from(length) / score_job.fps(),
            values.join("; ")
        )
    })
}

fn frames(length: u32) -> &'static str {
    if length == 1 { "frame" } else { "frames" }
}
