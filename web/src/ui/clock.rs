//! Timers: a few ticks a second, in a hidden tab too, and the pace of the plots.
//!
//! A browser runs the timers of a hidden tab once a second, later once a minute. Those of a worker continue, and so do
//! the socket's events; each of them counts as a tick.

use std::time::Duration;

use leptos::ev::Custom;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{Event, MessageEvent, Worker};

use super::socket;
use super::state::Studio;
use super::time::now_millis;

/// Script of a worker that only ticks, every 250 ms. Relative to the page, as Trunk writes it.
const SCRIPT: &str = "clock.js";
const TICK: Duration = Duration::from_millis(250);
/// The page ticks itself when the worker has not ticked for this long.
const LATE_MILLIS: f64 = 400.0;
/// Pace of the plots; faster would cost the viewer's battery and show nothing more.
const REDRAW: Duration = Duration::from_millis(80);

/// Starts the timers.
pub(crate) fn start(studio: Studio) {
    // For browsers in which the worker does not tick.
    set_interval(
        move || {
            if now_millis() - studio.now_millis.get_untracked() > LATE_MILLIS {
                socket::tick(studio);
            }
        },
        TICK,
    );
    if let Ok(worker) = Worker::new(SCRIPT) {
        let on_tick =
            Closure::<dyn FnMut(MessageEvent)>::new(move |_: MessageEvent| socket::tick(studio));
        worker.set_onmessage(Some(on_tick.as_ref().unchecked_ref()));
        // Both last as long as the page.
        on_tick.forget();
        std::mem::forget(worker);
    }
    for name in ["online", "pageshow", "focus", "visibilitychange"] {
        let handle = window_event_listener(Custom::<Event>::new(name), move |_| {
            socket::retry_now(studio);
        });
        on_cleanup(move || handle.remove());
    }
}

/// Starts redrawing the plots whenever something new has arrived.
pub(crate) fn start_redraw(studio: Studio) {
    set_interval(
        move || {
            if studio.has_new.get_value() {
                studio.has_new.set_value(false);
                studio.redraw.update(|count| *count += 1);
            }
        },
        REDRAW,
    );
}
