//! The header: robot, policy, this tab's device, and the connection.

use leptos::prelude::*;

use super::settings;
use super::state::Studio;
use crate::format;

#[component]
pub(crate) fn Header() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let policy = move || studio.welcome.get().map(|welcome| welcome.policy);
    let compute_state = Memo::new(move |_| studio.compute.with(crate::compute::Compute::state));
    let is_settled = Memo::new(move |_| {
        studio
            .compute
            .with(|compute| compute.report.as_ref().is_some_and(|report| report.settled))
    });
    view! {
        <header class="bar">
            <div class="brand">
                <Mark/>
                <h1>"Policy Studio"</h1>
            </div>
            <RobotSelect/>
            <dl class="facts">
                <div class="fact">
                    <dt>"Policy"</dt>
                    <dd data-testid="policy">
                        {move || match policy() {
                            Some(policy) => view! {
                                <strong>{policy.name.clone()}</strong>
                                <span class="quiet num">{format::count(policy.parameters)}</span>
                                <span class="quiet">{format!("on {}", policy.device)}</span>
                                {policy.depth.map(|depth| view! {
                                    <span class="quiet" data-testid="policy-depth" data-mode=depth.mode.name()>
                                        {format!("depth {}", depth.mode.name())}
                                    </span>
                                })}
                            }.into_any(),
                            None => view! { <span class="quiet">"not known yet"</span> }.into_any(),
                        }}
                    </dd>
                </div>
                <div class="fact">
                    <dt>"This tab"</dt>
                    <dd>
                        <a
                            href="#browser"
                            class="chip"
                            data-testid="compute-device"
                            data-state=compute_state
                            data-settled=move || is_settled.get().to_string()
                        >
                            <span class="dot" aria-hidden="true"></span>
                            {move || studio.compute.with(crate::compute::Compute::summary)}
                        </a>
                    </dd>
                </div>
            </dl>
            <ConnectionPill/>
            <button
                class="icon-button"
                type="button"
                aria-label="Switch between light and dark"
                title="Light or dark"
                on:click=|_| settings::toggle_theme()
            >
                <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
                    <circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.6"/>
                    <path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor"/>
                </svg>
            </button>
        </header>
    }
}

/// Logo: two links and their joints.
#[component]
fn Mark() -> impl IntoView {
    view! {
        <svg class="mark" viewBox="0 0 28 28" width="26" height="26" aria-hidden="true">
            <path
                d="M6 23 L10 10 L21 7"
                fill="none"
                stroke="currentColor"
                stroke-width="3"
                stroke-linecap="round"
                stroke-linejoin="round"
            />
            <circle cx="6" cy="23" r="2.6" class="joint"/>
            <circle cx="10" cy="10" r="2.6" class="joint"/>
            <circle cx="21" cy="7" r="2.6" class="tip"/>
        </svg>
    }
}

#[component]
fn ConnectionPill() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let state = Memo::new(move |_| studio.connection.get().state());
    let text = move || studio.connection.get().label();
    view! {
        <p class="pill" role="status" data-testid="connection" data-state=state>
            <span class="dot" aria-hidden="true"></span>
            {text}
        </p>
    }
}

#[component]
fn RobotSelect() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let robots = Memo::new(move |_| {
        studio.robots.with(|robots| {
            robots
                .iter()
                .map(|robot| (robot.robot_id.clone(), robot.name.clone(), robot.connected))
                .collect::<Vec<_>>()
        })
    });
    view! {
        <label class="robot">
            <span class="label">"Robot"</span>
            <select
                data-testid="robot-select"
                disabled=move || robots.with(Vec::is_empty)
                on:change:target=move |event| studio.choose(event.target().value())
            >
                <Show when=move || robots.with(Vec::is_empty)>
                    <option value="">"none yet"</option>
                </Show>
                <For each=move || robots.get() key=Clone::clone let((robot_id, name, connected))>
                    {
                        let value = robot_id.clone();
                        view! {
                            <option
                                value=value
                                selected=move || studio.watched.with(|w| w.as_deref() == Some(robot_id.as_str()))
                            >
                                {if connected { name } else { format!("{name} (not connected)") }}
                            </option>
                        }
                    }
                </For>
            </select>
        </label>
    }
}
