//! Problems that the studio reports about its parts, while they last.

use leptos::prelude::*;

use super::state::Studio;

#[component]
pub(crate) fn Problems() -> impl IntoView {
    let studio = expect_context::<Studio>();
    view! {
        // Always present, so that its content is announced.
        <div class="problems" role="alert" data-testid="problems">
            <For each=move || studio.problems.get() key=Clone::clone let:problem>
                <p>{problem}</p>
            </For>
        </div>
    }
}
