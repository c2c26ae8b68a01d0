//! The course of every joint: the whole chunk faint, the best that the shown tokens give strong. On trial the
//! visitor drags points of it and sees what becomes of the tokens.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent, PointerEvent};

use super::{Wrote, hold};
use crate::format;
use crate::partial_decode::Drawn;
use crate::plot::{Frame, HEIGHT, Point, WIDTH};
use crate::ui::state::Studio;
use crate::ui::worker::action_dimensions;
use crate::units::{column, in_robot_units};
use crate::what_if::{Trial, normalised};

/// Smallest span in robot units that is drawn, so that a resting joint looks at rest.
const LEAST_RANGE: f32 = 40.0;
/// Share of the span that is left free for a trial, above and below.
const TRIAL_ROOM: f32 = 0.7;
/// One arrow key, normalised.
const KEY_STEP: f32 = 0.02;

/// One joint, in drawing units.
#[derive(Debug, Clone, Default, PartialEq)]
struct Course {
    whole: String,
    now: String,
    wanted: String,
    ticks: Vec<(f32, String)>,
    /// How far the shown tokens are from the whole, in robot units; absent before the joint's mean arrived.
    gap: Option<f32>,
    frame: Option<Frame>,
}

#[component]
pub(crate) fn Courses() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let wrote = expect_context::<Wrote>();
    let dims = Memo::new(move |_| {
        wrote
            .drawn
            .with(|drawn| drawn.whole.as_ref().map_or(0, |whole| whole.dims as usize))
    });
    let lasts = move || {
        let rows = wrote
            .drawn
            .with(|drawn| drawn.whole.as_ref().map_or(0, |whole| whole.rows));
        format!(
            "{:.2} s at {:.0} Hz",
            rows as f32 / wrote.rate_hz.get().max(0.1),
            wrote.rate_hz.get()
        )
    };
    let actions = move || {
        wrote.drawn.with(|drawn| {
            let values = drawn.now.as_ref().map(|now| {
                let texts: Vec<String> = now.actions.iter().map(f32::to_string).collect();
                texts.join(",")
            });
            format!("[{}]", values.unwrap_or_default())
        })
    };
    let on_trial = Memo::new(move |_| wrote.trial.with(Option::is_some));
    let can_try = move || {
        wrote
            .drawn
            .with(|drawn| drawn.ended && drawn.whole.is_some())
    };
    let versions = StoredValue::new(1_u64);
    let toggle = move |_| {
        if on_trial.get_untracked() {
            return wrote.trial.set(None);
        }
        hold(studio);
        let whole = wrote.drawn.with_untracked(|drawn| drawn.whole.clone());
        // Far enough for every change of the trial before.
        versions.update_value(|versions| *versions += 1 << 32);
        wrote
            .trial
            .set(whole.map(|whole| Trial::new(whole, versions.get_value())));
    };
    let each = move || (0..dims.get()).collect::<Vec<_>>();
    view! {
        <figure class="picture">
            <figcaption>
                "Motion" <span class="quiet num">{lasts}</span>
                <button
                    type="button"
                    class="live-button try"
                    class:on=move || on_trial.get()
                    aria-pressed=move || on_trial.get().to_string()
                    data-testid="unfold-try"
                    disabled=move || !can_try()
                    on:click=toggle
                >"Try a change"</button>
                <span class="key" aria-hidden="true">
                    <span class="swatch whole"></span>
                    {move || if on_trial.get() { "the decision" } else { "all tokens" }}
                    <span class="swatch decoded-line"></span>"shown tokens"
                </span>
            </figcaption>
            <div class="courses" class:on-trial=move || on_trial.get() data-testid="unfold-course" data-actions=actions>
                <For each=each key=|dim| *dim let(dim)>
                    {joint(studio, wrote, dim)}
                </For>
            </div>
            <TrialNote/>
        </figure>
    }
}

/// What the change costs, and that it goes nowhere.
#[component]
fn TrialNote() -> impl IntoView {
    let wrote = expect_context::<Wrote>();
    let note = Memo::new(move |_| {
        wrote.trial.with(|trial| {
            let trial = trial.as_ref()?;
            if let Some(failure) = trial.failure() {
                return Some(format!("This cannot be written: {failure}."));
            }
            wrote.drawn.with(|drawn| {
                let whole = drawn.whole.as_ref()?;
                let coefficients = trial.changed_coefficients(&whole.coefficients);
                if coefficients == 0 {
                    return Some(
                        "Drag a point of a joint, or focus a joint and use the arrow keys.".to_owned(),
                    );
                }
                let tokens = trial.changed_tokens(&drawn.tokens).len();
                Some(format!(
                    "{coefficients} coefficients and {tokens} tokens changed; {} tokens instead of {}.",
                    drawn.tokens.len(),
                    trial.base().tokens.len()
                ))
            })
        })
    });
    move || {
        note.get().map(|note| {
            view! {
                <div class="trial-note" data-testid="unfold-trial">
                    <p><strong>"Only in this tab: nothing of this is sent to the robot. "</strong><span class="num">{note}</span></p>
                    <button
                        type="button"
                        class="button"
                        on:click=move |_| wrote.trial.update(|trial| {
                            if let Some(trial) = trial {
                                trial.reset();
                            }
                        })
                    >"Undo"</button>
                </div>
            }
        })
    }
}

fn joint(studio: Studio, wrote: Wrote, dim: usize) -> impl IntoView {
    let step = RwSignal::new(0_usize);
    let is_dragging = StoredValue::new(false);
    let field = NodeRef::<html::Div>::new();
    let course = Memo::new(move |_| {
        wrote.trial.with(|trial| {
            let units = |value: f32| {
                action_dimensions(studio)
                    .get(dim)
                    .map_or(value, |dimension| in_robot_units(value, dimension))
            };
            wrote
                .drawn
                .with(|drawn| course(drawn, trial.as_ref(), dim, step.get(), units))
        })
    });
    let on_trial = Memo::new(move |_| wrote.trial.with(Option::is_some));
    let set = move |value: f32| {
        wrote.trial.update(|trial| {
            if let Some(trial) = trial {
                trial.set(step.get_untracked(), dim, value);
            }
        });
    };
    let last_step = move || {
        wrote
            .drawn
            .with_untracked(|drawn| drawn.whole.as_ref().map_or(0, |whole| whole.rows as usize))
            .saturating_sub(1)
    };
    let drag = move |event: &PointerEvent| {
        let (Some(field), Some(frame)) = (
            field.get_untracked(),
            course.with_untracked(|course| course.frame),
        ) else {
            return;
        };
        let bounds = field.get_bounding_client_rect();
        let x = (f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0);
        let y = (f64::from(event.client_y()) - bounds.top()) / bounds.height().max(1.0);
        if !is_dragging.get_value() {
            let nearest = (x.clamp(0.0, 1.0) * last_step() as f64).round();
            step.set(nearest as usize);
            is_dragging.set_value(true);
        }
        let value = frame.high - (frame.high - frame.low) * y.clamp(0.0, 1.0) as f32;
        if let Some(dimension) = action_dimensions(studio).get(dim) {
            set(normalised(value, dimension));
        }
    };
    let wanted = move || {
        wrote.trial.with(|trial| {
            let trial = trial.as_ref()?;
            let dims = trial.base().dims as usize;
            trial.chunk().get(step.get() * dims + dim).copied()
        })
    };
    let on_key = move |event: KeyboardEvent| {
        let Some(value) = untrack(wanted) else {
            return;
        };
        match event.key().as_str() {
            "ArrowLeft" => step.update(|step| *step = step.saturating_sub(1)),
            "ArrowRight" => step.update(|step| *step = (*step + 1).min(last_step())),
            "Home" => step.set(0),
            "End" => step.set(last_step()),
            "ArrowUp" => set(value + KEY_STEP),
            "ArrowDown" => set(value - KEY_STEP),
            "PageUp" => set(value + 5.0 * KEY_STEP),
            "PageDown" => set(value - 5.0 * KEY_STEP),
            _ => return,
        }
        event.prevent_default();
    };
    let in_words = move || {
        let value = wanted()?;
        let value = action_dimensions(studio)
            .get(dim)
            .map_or(value, |dimension| in_robot_units(value, dimension));
        let at = step.get() as f32 / wrote.rate_hz.get().max(0.1);
        let text = format::joint_value(value, &wrote.unit(dim));
        Some(format!(
            "{text} at {at:.2} s; left and right choose the moment"
        ))
    };
    let is_marked = move || {
        let Some(index) = wrote.marked() else {
            return false;
        };
        wrote.drawn.with(|drawn| {
            let (spans, Some(whole)) = (drawn.spans(), drawn.whole.as_ref()) else {
                return false;
            };
            let dims = whole.dims.max(1) as usize;
            spans.get(index).cloned().is_some_and(|mut span| {
                span.any(|at| at % dims == dim && whole.coefficients.get(at) != Some(&0))
            })
        })
    };
    let gap = move || match course.with(|course| course.gap) {
        None => "not yet".to_owned(),
        // Nobody knows yet how far a stream has to go.
        Some(_) if !wrote.drawn.with(|drawn| drawn.ended) => "so far".to_owned(),
        Some(gap) if gap < 0.05 => "arrived".to_owned(),
        Some(gap) => format!("± {}", format::joint_value(gap, &wrote.unit(dim))),
    };
    let part = move |pick: fn(&Course) -> &String| move || course.with(|c| pick(c).clone());
    view! {
        <figure class="plot course" class:marked=is_marked>
            <figcaption>
                <span>{move || wrote.name(dim)}</span>
                <span class="num quiet">{gap}</span>
            </figcaption>
            <div
                node_ref=field
                class="course-field"
                data-course=dim.to_string()
                role=move || on_trial.get().then_some("slider")
                tabindex=move || on_trial.get().then_some("0")
                aria-label=move || format!("{}: {}", wrote.name(dim), gap())
                aria-valuemin=move || on_trial.get().then_some("-1")
                aria-valuemax=move || on_trial.get().then_some("1")
                aria-valuenow=move || wanted().map(|value| format!("{value:.3}"))
                aria-valuetext=in_words
                on:keydown=on_key
                on:pointerdown=move |event: PointerEvent| {
                    if on_trial.get_untracked() {
                        is_dragging.set_value(false);
                        let target = event.current_target().and_then(|t| t.dyn_into::<Element>().ok());
                        if let Some(target) = target {
                            target.set_pointer_capture(event.pointer_id()).ok();
                        }
                        drag(&event);
                    }
                }
                on:pointermove=move |event: PointerEvent| {
                    if is_dragging.get_value() {
                        drag(&event);
                    }
                }
                on:pointerup=move |_| is_dragging.set_value(false)
                on:pointercancel=move |_| is_dragging.set_value(false)
            >
                <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" aria-hidden="true">
                    {move || course.with(|c| c.ticks.iter().map(|(y, _)| {
                        view! { <line class="grid" x1="0" x2={WIDTH} y1={*y} y2={*y}/> }
                    }).collect_view())}
                    <path class="whole" d={part(|c| &c.whole)}/>
                    <path class="now-known" d={part(|c| &c.now)}/>
                    <path class="wanted" d={part(|c| &c.wanted)}/>
                </svg>
            </div>
            <div class="ticks num" aria-hidden="true">
                {move || course.with(|c| c.ticks.iter().map(|(y, text)| {
                    let top = format!("top: {:.1}%", y / HEIGHT * 100.0);
                    view! { <span style=top>{text.clone()}</span> }
                }).collect_view())}
            </div>
        </figure>
    }
}

fn course(
    drawn: &Drawn,
    trial: Option<&Trial>,
    dim: usize,
    step: usize,
    robot_units: impl Fn(f32) -> f32,
) -> Course {
    let Some(whole) = drawn.whole.as_deref() else {
        return Course::default();
    };
    let dims = whole.dims.max(1) as usize;
    let points = |values: &[f32]| -> Vec<Point> {
        column(values, dims, dim)
            .enumerate()
            .map(|(row, value)| Point {
                at_micros: row as i64,
                value,
            })
            .collect()
    };
    // On trial the faint line is the decision, whatever becomes of the change.
    let all = points(&trial.map_or(whole, |trial| trial.base()).actions);
    // A joint whose mean has not arrived would be drawn at its mid-range, which means nothing.
    let now = drawn
        .now
        .as_ref()
        .filter(|_| drawn.known() > dim)
        .map(|now| points(&now.actions))
        .unwrap_or_default();
    let last = i64::from(whole.rows).max(2) - 1;
    // The frame belongs to the whole chunk, or it would jump while the tokens come.
    let framed = if drawn.ended { &all } else { &now };
    let is_framed = !framed.is_empty();
    let mut frame = Frame::around(0, last, framed.iter().map(|p| p.value), LEAST_RANGE);
    if trial.is_some() {
        let room = TRIAL_ROOM * (frame.high - frame.low);
        frame.low -= room;
        frame.high += room;
    }
    let wanted = trial
        .and_then(|trial| trial.chunk().get(step * dims + dim))
        .map(|value| {
            let (x, y) = (frame.x(step as i64), frame.y(robot_units(*value)));
            format!("M{x:.1} {y:.1}h0")
        })
        .unwrap_or_default();
    let gap = now
        .iter()
        .zip(&all)
        .map(|(a, b)| (a.value - b.value).abs())
        .fold(None, |most: Option<f32>, gap| {
            Some(most.map_or(gap, |most| most.max(gap)))
        });
    Course {
        whole: if drawn.ended {
            frame.path(all.into_iter(), i64::MAX)
        } else {
            String::new()
        },
        now: frame.path(now.into_iter(), i64::MAX),
        wanted,
        ticks: frame
            .ticks()
            .into_iter()
            .filter(|_| is_framed)
            .map(|value| {
                let text = format!("{value:.0}").replace('-', "\u{2212}");
                (frame.y(value), text)
            })
            .collect(),
        gap,
        frame: is_framed.then_some(frame),
    }
}
