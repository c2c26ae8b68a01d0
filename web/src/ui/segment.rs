//! One option of a segmented control.

use leptos::prelude::*;

/// A toggle button. `hook` is its test id, `is_pressed` its state, and `on_press` runs when it is clicked.
pub(crate) fn segment(
    hook: impl Into<String>,
    name: impl Into<String>,
    is_pressed: impl Fn() -> bool + Send + 'static,
    on_press: impl Fn() + 'static,
) -> impl IntoView {
    let (hook, name): (String, String) = (hook.into(), name.into());
    view! {
        <button
            type="button"
            data-testid=hook
            aria-pressed=move || is_pressed().to_string()
            on:click=move |_| on_press()
        >{name}</button>
    }
}
