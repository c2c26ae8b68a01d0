//! The keyboard: Escape stops the robot from anywhere, Space from anywhere that has no use for it.

use leptos::ev;
use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::store::Studio;

pub(crate) fn listen(studio: Studio) {
    let handle = window_event_listener(ev::keydown, move |event: KeyboardEvent| {
        if event.is_composing() || event.repeat() {
            return;
        }
        let stops = match event.key().as_str() {
            "Escape" => true,
            " " => !focus_uses_space(),
            _ => false,
        };
        if stops {
            event.prevent_default();
            studio.press_stop();
        }
    });
    on_cleanup(move || handle.remove());
}

fn focus_uses_space() -> bool {
    const USERS: &str =
        "input, textarea, select, button, summary, [contenteditable], [role=slider]";
    document()
        .active_element()
        .is_some_and(|element| element.matches(USERS).unwrap_or(false))
}
