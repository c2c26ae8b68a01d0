//! Trajectory of every joint: the full chunk faint, the decode of the shown tokens strong. In edit mode the viewer drags
//! its points and sees the effect on the tokens.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent, PointerEvent};

use super::TokenPanel;
use crate::format;
use crate::plot::{HEIGHT, WIDTH};
use crate::trajectory::Trajectory;
use crate::ui::shown_decision::pin_shown;
use crate::ui::state::Studio;
use crate::ui::worker::requests::action_dimensions;
use crate::units::to_robot_units;
use crate::what_if::{WhatIf, normalize};

/// Step of an arrow key, normalized.
const KEY_STEP: f32 = 0.02;

#[component]
pub(crate) fn Trajectories() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let panel = expect_context::<TokenPanel>();
    let dims = Memo::new(move |_| {
        panel
            .view
            .with(|view| view.full.as_ref().map_or(0, |full| full.dims as usize))
    });
    let lasts = move || {
        let rows = panel
            .view
            .with(|view| view.full.as_ref().map_or(0, |full| full.rows));
        format!(
            "{:.2} s at {:.0} Hz",
            rows as f32 / panel.rate_hz.get().max(0.1),
            panel.rate_hz.get()
        )
    };
    let actions = move || {
        panel.view.with(|view| {
            let values = view.now.as_ref().map(|now| {
                let texts: Vec<String> = now.actions.iter().map(f32::to_string).collect();
                texts.join(",")
            });
            format!("[{}]", values.unwrap_or_default())
        })
    };
    let is_editing = Memo::new(move |_| panel.what_if.with(Option::is_some));
    let can_try = move || panel.view.with(|view| view.ended && view.full.is_some());
    let versions = StoredValue::new(1_u64);
    let toggle = move |_| {
        if is_editing.get_untracked() {
            return panel.what_if.set(None);
        }
        pin_shown(studio);
        let full = panel.view.with_untracked(|view| view.full.clone());
        // Far above every edit of the previous session.
        versions.update_value(|versions| *versions += 1 << 32);
        panel
            .what_if
            .set(full.map(|full| WhatIf::new(full, versions.get_value())));
    };
    let each = move || (0..dims.get()).collect::<Vec<_>>();
    view! {
        <figure class="picture">
            <figcaption>
                "Motion" <span class="quiet num">{lasts}</span>
                <button
                    type="button"
                    class="live-button try"
                    class:on=move || is_editing.get()
                    aria-pressed=move || is_editing.get().to_string()
                    data-testid="unfold-try"
                    disabled=move || !can_try()
                    on:click=toggle
                >"Try a change"</button>
                <span class="key" aria-hidden="true">
                    <span class="swatch whole"></span>
                    {move || if is_editing.get() { "the decision" } else { "all tokens" }}
                    <span class="swatch decoded-line"></span>"shown tokens"
                </span>
            </figcaption>
            <div class="trajectories" class:editing=move || is_editing.get() data-testid="unfold-course" data-actions=actions>
                <For each=each key=|dim| *dim let(dim)>
                    {joint(studio, panel, dim)}
                </For>
            </div>
            <WhatIfNote/>
        </figure>
    }
}

/// Note on the cost of the edit, which is sent nowhere.
#[component]
fn WhatIfNote() -> impl IntoView {
    let panel = expect_context::<TokenPanel>();
    let note = Memo::new(move |_| {
        panel.what_if.with(|what_if| {
            let what_if = what_if.as_ref()?;
            if let Some(failure) = what_if.failure() {
                return Some(format!("This cannot be encoded: {failure}."));
            }
            panel.view.with(|view| {
                let full = view.full.as_ref()?;
                let coefficients = what_if.changed_coefficients(&full.coefficients);
                if coefficients == 0 {
                    return Some(
                        "Drag a point of a joint, or focus a joint and use the arrow keys.".to_owned(),
                    );
                }
                let tokens = what_if.changed_tokens(&view.tokens).len();
                Some(format!(
                    "{coefficients} coefficients and {tokens} tokens changed; {} tokens instead of {}.",
                    view.tokens.len(),
                    what_if.base().tokens.len()
                ))
            })
        })
    });
    move || {
        note.get().map(|note| {
            view! {
                <div class="edit-note" data-testid="unfold-trial">
                    <p><strong>"Only in this tab: the change is not sent to the robot. "</strong><span class="num">{note}</span></p>
                    <button
                        type="button"
                        class="button"
                        on:click=move |_| panel.what_if.update(|what_if| {
                            if let Some(what_if) = what_if {
                                what_if.reset();
                            }
                        })
                    >"Undo"</button>
                </div>
            }
        })
    }
}

fn joint(studio: Studio, panel: TokenPanel, dim: usize) -> impl IntoView {
    let step = RwSignal::new(0_usize);
    let is_dragging = StoredValue::new(false);
    let field = NodeRef::<html::Div>::new();
    let trajectory = Memo::new(move |_| {
        panel.what_if.with(|what_if| {
            let units = |value: f32| {
                action_dimensions(studio)
                    .get(dim)
                    .map_or(value, |dimension| to_robot_units(value, dimension))
            };
            panel
                .view
                .with(|view| Trajectory::new(view, what_if.as_ref(), dim, step.get(), units))
        })
    });
    let is_editing = Memo::new(move |_| panel.what_if.with(Option::is_some));
    let set = move |value: f32| {
        panel.what_if.update(|what_if| {
            if let Some(what_if) = what_if {
                what_if.set(step.get_untracked(), dim, value);
            }
        });
    };
    let last_step = move || {
        panel
            .view
            .with_untracked(|view| view.full.as_ref().map_or(0, |full| full.rows as usize))
            .saturating_sub(1)
    };
    let drag = move |event: &PointerEvent| {
        let (Some(field), Some(frame)) = (
            field.get_untracked(),
            trajectory.with_untracked(|trajectory| trajectory.frame),
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
            set(normalize(value, dimension));
        }
    };
    let wanted = move || {
        panel.what_if.with(|what_if| {
            let what_if = what_if.as_ref()?;
            let dims = what_if.base().dims as usize;
            what_if.chunk().get(step.get() * dims + dim).copied()
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
    let value_text = move || {
        let value = wanted()?;
        let value = action_dimensions(studio)
            .get(dim)
            .map_or(value, |dimension| to_robot_units(value, dimension));
        let at = step.get() as f32 / panel.rate_hz.get().max(0.1);
        let text = format::joint_value(value, &panel.unit(dim));
        Some(format!(
            "{text} at {at:.2} s; left and right choose the moment"
        ))
    };
    let is_marked = move || {
        let Some(index) = panel.marked() else {
            return false;
        };
        panel.view.with(|view| {
            let (spans, Some(full)) = (view.spans(), view.full.as_ref()) else {
                return false;
            };
            let dims = full.dims.max(1) as usize;
            spans.get(index).cloned().is_some_and(|mut span| {
                span.any(|at| at % dims == dim && full.coefficients.get(at) != Some(&0))
            })
        })
    };
    let gap = move || match trajectory.with(|trajectory| trajectory.gap) {
        None => "not yet".to_owned(),
        // The length of an incomplete stream is unknown.
        Some(_) if !panel.view.with(|view| view.ended) => "so far".to_owned(),
        Some(gap) if gap < 0.05 => "arrived".to_owned(),
        Some(gap) => format!("± {}", format::joint_value(gap, &panel.unit(dim))),
    };
    let part = move |pick: fn(&Trajectory) -> &String| move || trajectory.with(|c| pick(c).clone());
    view! {
        <figure class="plot trajectory" class:marked=is_marked>
            <figcaption>
                <span>{move || panel.name(dim)}</span>
                <span class="num quiet">{gap}</span>
            </figcaption>
            <div
                node_ref=field
                class="trajectory-field"
                data-course=dim.to_string()
                role=move || is_editing.get().then_some("slider")
                tabindex=move || is_editing.get().then_some("0")
                aria-label=move || format!("{}: {}", panel.name(dim), gap())
                aria-valuemin=move || is_editing.get().then_some("-1")
                aria-valuemax=move || is_editing.get().then_some("1")
                aria-valuenow=move || wanted().map(|value| format!("{value:.3}"))
                aria-valuetext=value_text
                on:keydown=on_key
                on:pointerdown=move |event: PointerEvent| {
                    if is_editing.get_untracked() {
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
                    {move || trajectory.with(|c| c.ticks.iter().map(|(y, _)| {
                        view! { <line class="grid" x1="0" x2={WIDTH} y1={*y} y2={*y}/> }
                    }).collect_view())}
                    <path class="whole" d={part(|c| &c.full)}/>
                    <path class="now-known" d={part(|c| &c.now)}/>
                    <path class="wanted" d={part(|c| &c.wanted)}/>
                </svg>
            </div>
            <div class="ticks num" aria-hidden="true">
                {move || trajectory.with(|c| c.ticks.iter().map(|(y, text)| {
                    let top = format!("top: {:.1}%", y / HEIGHT * 100.0);
                    view! { <span style=top>{text.clone()}</span> }
                }).collect_view())}
            </div>
        </figure>
    }
}
