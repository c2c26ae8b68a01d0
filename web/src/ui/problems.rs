//! Parts of the studio that do not answer, as long as it says so.

use leptos::prelude::*;

use super::state::Studio;

#[component]
pub(crate) fn Problems() -> impl IntoView {
    let studio = expect_context::<Studio>();
    view! {
        // Always there, so that what comes into it is read aloud.
        <div class="problems" role="alert" data-testid="problems">
            <For each=move || studio.problems.get() key=Clone::clone let:problem>
                <p>{problem}</p>
            </For>
        </div>
    }
}
