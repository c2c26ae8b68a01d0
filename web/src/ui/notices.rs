//! Notices of errors, until they are dismissed.

use leptos::prelude::*;

use super::state::Studio;

#[component]
pub(crate) fn Notices() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let dismiss = move |number: u64| {
        studio
            .notices
            .update(|notices| notices.retain(|notice| notice.number != number));
    };
    view! {
        <div class="notices" role="alert" data-testid="notices">
            <For each=move || studio.notices.get() key=|notice| notice.number let:notice>
                <div class="notice">
                    <p>{notice.text.clone()}</p>
                    <button
                        type="button"
                        class="icon-button"
                        aria-label="Dismiss"
                        on:click=move |_| dismiss(notice.number)
                    >"×"</button>
                </div>
            </For>
        </div>
    }
}
