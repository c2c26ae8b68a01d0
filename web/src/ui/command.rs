//! Panel for the instruction to the robot, with examples and the choice of the policy's head.

use leptos::html;
use leptos::prelude::*;
use protocol::{Mode, TaskState};

use super::state::Studio;
use crate::backoff::Connection;

/// Placeholder before the robot's examples are known.
const PLACEHOLDER: &str = "push the red cube to the left";

#[component]
pub(crate) fn CommandPanel() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let text = RwSignal::new(String::new());
    let input = NodeRef::<html::Input>::new();
    let examples = Memo::new(move |_| {
        studio
            .robot()
            .map(|robot| robot.example_instructions)
            .unwrap_or_default()
    });
    let warnings = Memo::new(move |_| {
        studio
            .robot()
            .map(|robot| robot.warnings)
            .unwrap_or_default()
    });
    let blocked_reason = Memo::new(move |_| studio.blocked_reason());
    let is_blocked = Memo::new(move |_| blocked_reason.with(Option::is_some));
    // Not while the page is opening: the reason would vanish before it could be read.
    let reason = Memo::new(move |_| {
        blocked_reason
            .get()
            .filter(|_| studio.connection.get() != Connection::Connecting)
    });
    // Clears a refusal whose reason no longer holds.
    Effect::new(move |_| {
        if !is_blocked.get() {
            studio.refusal.set(None);
        }
    });
    let held = move || is_blocked.get().to_string();
    let placeholder = move || {
        examples.with(|examples| {
            examples
                .first()
                .cloned()
                .unwrap_or_else(|| PLACEHOLDER.to_owned())
        })
    };
    let send = move |instruction: String| {
        let instruction = instruction.trim().to_owned();
        if !instruction.is_empty() && studio.command(&instruction) {
            text.set(instruction);
        }
        if let Some(input) = input.get_untracked() {
            input.focus().ok();
        }
    };
    let first_plan = move || {
        studio
            .status
            .get()
            .and_then(|status| status.command_to_chunk_millis)
            .map(|millis| {
                format!(
                    "First plan {} after the instruction",
                    crate::format::millis(f64::from(millis))
                )
            })
    };
    view! {
        <section class="panel command" id="command" aria-labelledby="command-title">
            <h2 id="command-title">"Tell the robot what to do"</h2>
            <Show when=move || !warnings.with(Vec::is_empty)>
                <div class="warnings" role="note" data-testid="robot-warnings">
                    <strong>"Warning: check this before the robot moves"</strong>
                    <ul>
                        <For each=move || warnings.get() key=Clone::clone let:warning>
                            <li>{warning}</li>
                        </For>
                    </ul>
                </div>
            </Show>
            <form
                class="sentence"
                on:submit=move |event| {
                    event.prevent_default();
                    send(text.get_untracked());
                }
            >
                <input
                    node_ref=input
                    type="text"
                    maxlength="500"
                    autocomplete="off"
                    autocapitalize="off"
                    enterkeyhint="send"
                    aria-label="Instruction for the robot"
                    aria-describedby="command-reason command-error"
                    data-testid="command-input"
                    placeholder=placeholder
                    prop:value=text
                    on:input:target=move |event| text.set(event.target().value())
                />
                // Not `disabled`, so that the keyboard reaches it and its reason is announced.
                <button
                    type="submit"
                    class="button primary"
                    data-testid="command-send"
                    aria-disabled=held
                    aria-describedby="command-reason"
                >"Send"</button>
            </form>
            <p class="held-back" id="command-reason" role="status" data-testid="command-reason" hidden=move || reason.with(Option::is_none)>
                {reason}
            </p>
            <p
                class="refusal"
                id="command-error"
                role="alert"
                data-testid="command-error"
            >{move || studio.refusal.get().filter(|refusal| reason.with(|reason| reason.as_ref() != Some(refusal)))}</p>
            <div class="examples" role="group" aria-label="Examples">
                <For
                    each=move || examples.get().into_iter().enumerate()
                    key=Clone::clone
                    let((index, instruction))
                >
                    {
                        let shown = instruction.clone();
                        view! {
                            <button
                                type="button"
                                class="example"
                                aria-disabled=held
                                data-testid=format!("example-{index}")
                                on:click=move |_| send(instruction.clone())
                            >{shown}</button>
                        }
                    }
                </For>
            </div>
            <div class="row">
                <ModeSwitch/>
                <span class="quiet num grow">{first_plan}</span>
                <button
                    type="button"
                    class="button"
                    data-testid="reset-button"
                    on:click=move |_| studio.press_reset()
                >"New scene"</button>
            </div>
        </section>
    }
}

#[component]
fn ModeSwitch() -> impl IntoView {
    let studio = expect_context::<Studio>();
    // A change of mode also applies to the instruction in force.
    let choose = move |mode: Mode| {
        if studio.mode.get_untracked() == mode {
            return;
        }
        studio.mode.set(mode);
        let running = studio.status.with_untracked(|status| {
            status
                .as_ref()
                .filter(|s| matches!(s.task, TaskState::Running | TaskState::Unknown))
                .map(|s| s.instruction.clone())
                .filter(|text| !text.is_empty())
        });
        if let Some(instruction) = running {
            studio.command(&instruction);
        }
    };
    let offered = move |mode: Mode| {
        studio.welcome.with(|welcome| {
            welcome
                .as_ref()
                .is_none_or(|w| w.policy.modes.contains(&mode))
        })
    };
    let option = move |mode: Mode, hook: &'static str, name: &'static str, about: &'static str| {
        view! {
            <button
                type="button"
                data-testid=hook
                title=about
                aria-pressed=move || (studio.mode.get() == mode).to_string()
                disabled=move || !offered(mode)
                on:click=move |_| choose(mode)
            >{name}</button>
        }
    };
    view! {
        <div class="segmented" role="group" aria-label="How the policy acts">
            {option(Mode::Continuous, "mode-continuous", "Continuous", "The flow-matching expert generates the motion")}
            {option(Mode::Discrete, "mode-discrete", "Discrete", "The language model generates the motion as action tokens")}
        </div>
    }
}
