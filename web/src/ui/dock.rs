//! The dock, which is always in view: status of the robot, and the stop buttons.

use leptos::prelude::*;

use super::state::Studio;

#[component]
pub(crate) fn Dock() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let status_text = Memo::new(move |_| studio.status_text());
    let state = Memo::new(move |_| status_text.with(|text| text.state));
    let headline = Memo::new(move |_| status_text.with(|text| text.headline.clone()));
    let detail = Memo::new(move |_| status_text.with(|text| text.detail.clone()));
    let is_latched = Memo::new(move |_| status_text.with(|text| text.is_latched));
    let has_several = Memo::new(move |_| studio.robots.with(|robots| robots.len() > 1));
    // The remedy for a failed stop is announced with the headline; other details change too often.
    let aloud = Memo::new(move |_| {
        status_text.with(|text| match text.state {
            "undelivered" | "unconfirmed" => format!("{} {}", text.headline, text.detail),
            _ => text.headline.clone(),
        })
    });
    let stop_button = move |class: &'static str,
                            hook: &'static str,
                            keys: &'static str,
                            name: &'static str,
                            key_name: &'static str,
                            press: fn(Studio)| {
        view! {
            <button
                type="button"
                class=class
                data-testid=hook
                aria-keyshortcuts=keys
                on:click=move |_| press(studio)
            >
                <span>{name}</span>
                <kbd aria-hidden="true">{key_name}</kbd>
            </button>
        }
    };
    view! {
        <section class="dock" aria-label="Robot control" data-state=state>
            <div class="dock-inner">
                <div class="said" data-testid="task-status" data-state=state>
                    <span class="dot" aria-hidden="true"></span>
                    <p class="headline">{headline}</p>
                    <p class="detail num">{detail}</p>
                </div>
                <p class="visually-hidden" aria-live="assertive" data-testid="announcement">{aloud}</p>
                // The focus does not move here: otherwise pressing the space bar twice would release the stop.
                <div class="stopped" data-testid="stopped-banner" hidden=move || !is_latched.get()>
                    <button
                        type="button"
                        class="button release"
                        data-testid="release-button"
                        aria-describedby="release-about"
                        on:click=move |_| studio.press_release()
                    >
                        <span>"Release"</span>
                        <small id="release-about">"nothing moves until a new instruction"</small>
                    </button>
                </div>
                <Show when=move || has_several.get()>
                    {stop_button(
                        "stop all", "stop-all-button", "Shift+Escape", "Stop all", "Shift Esc", Studio::press_stop_all,
                    )}
                </Show>
                {stop_button("stop", "stop-button", "Escape Space", "Stop", "Esc", Studio::press_stop)}
            </div>
        </section>
    }
}
