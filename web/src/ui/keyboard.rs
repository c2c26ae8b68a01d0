//! Keyboard shortcuts: Escape stops the robot, Space too where the focused element does not use it, Shift+Escape stops
//! all robots.

use leptos::ev;
use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::state::Studio;

pub(crate) fn listen(studio: Studio) {
    let handle = window_event_listener(ev::keydown, move |event: KeyboardEvent| {
        if event.repeat() {
            return;
        }
        match event.key().as_str() {
            // Also while a character is being composed: a stop has priority over text input.
            "Escape" if event.shift_key() => studio.press_stop_all(),
            "Escape" => studio.press_stop(),
            " " if !event.is_composing() && !focus_uses_space() => studio.press_stop(),
            _ => return,
        }
        event.prevent_default();
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
