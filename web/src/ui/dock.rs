//! Always in view: what the robot is doing, and the button that stops it.

use leptos::html;
use leptos::prelude::*;

use super::store::Studio;
use crate::figures;

#[component]
pub(crate) fn Dock() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let situation = Memo::new(move |_| studio.situation());
    let state = Memo::new(move |_| situation.with(|said| said.state));
    let headline = Memo::new(move |_| situation.with(|said| said.headline.clone()));
    let is_stopped = Memo::new(move |_| state.get() == "stopped");
    let release = NodeRef::<html::Button>::new();

    let detail = move || {
        let stop = studio.stop.get();
        if stop.waits_for_connection {
            return "The stop goes out as soon as the connection is back.".to_owned();
        }
        match (state.get(), stop.confirmed_after_millis) {
            ("stopped", Some(millis)) => format!(
                "It took {} from the press to the robot's word. Nothing moves it until it is released.",
                figures::millis(millis)
            ),
            _ => situation.with(|said| said.detail.clone()),
        }
    };
    // A keyboard user who stopped the robot finds the way back under the fingers.
    Effect::new(move |was_stopped: Option<bool>| {
        let stopped = is_stopped.get();
        if stopped
            && was_stopped == Some(false)
            && let Some(button) = release.get_untracked()
        {
            button.focus().ok();
        }
        stopped
    });
    let can_stop = move || studio.watched.with(Option::is_some);
    view! {
        <section class="dock" aria-label="Robot control" data-state=state>
            <div class="dock-inner">
                <div class="said" data-testid="task-status" data-state=state>
                    <span class="dot" aria-hidden="true"></span>
                    <p class="headline">{headline}</p>
                    <p class="detail num">{detail}</p>
                </div>
                <p class="visually-hidden" aria-live="assertive" data-testid="announcement">{headline}</p>
                <div class="stopped" data-testid="stopped-banner" hidden=move || !is_stopped.get()>
                    <button
                        node_ref=release
                        type="button"
                        class="button release"
                        data-testid="release-button"
                        on:click=move |_| studio.press_release()
                    >"Release"</button>
                </div>
                <button
                    type="button"
                    class="stop"
                    data-testid="stop-button"
                    aria-keyshortcuts="Escape Space"
                    disabled=move || !can_stop()
                    on:click=move |_| studio.press_stop()
                >
                    <span>"Stop"</span>
                    <kbd aria-hidden="true">"Esc"</kbd>
                </button>
            </div>
        </section>
    }
}
