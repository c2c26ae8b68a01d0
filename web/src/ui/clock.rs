//! What has to happen a few times a second, in a hidden tab too: hearing that the wire is dead, dialling, sending a stop
//! again, ages.
//!
//! A browser runs the timers of a hidden tab once a second, later once a minute. Those of a worker go on, and so do the
//! socket's events; every one of them counts as a tick.

use std::time::Duration;

use leptos::ev::Custom;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{Event, MessageEvent, Worker};

use super::socket;
use super::state::{Studio, now_millis};

/// A worker that does nothing but tick, as often as this. Relative to the page, as Trunk writes it.
const SCRIPT: &str = "clock.js";
const TICK: Duration = Duration::from_millis(250);
/// A tick that has not come by now does not come from the worker.
const LATE_MILLIS: f64 = 400.0;

/// Begins to tick.
pub(crate) fn start(studio: Studio) {
    // Where the worker does not tick.
    set_interval(
        move || {
            if now_millis() - studio.now_millis.get_untracked() > LATE_MILLIS {
                tick(studio);
            }
        },
        TICK,
    );
    if let Ok(worker) = Worker::new(SCRIPT) {
        let on_tick = Closure::<dyn FnMut(MessageEvent)>::new(move |_: MessageEvent| tick(studio));
        worker.set_onmessage(Some(on_tick.as_ref().unchecked_ref()));
        // Both last as long as the page.
        on_tick.forget();
        std::mem::forget(worker);
    }
    for name in ["online", "pageshow", "focus", "visibilitychange"] {
        let handle = window_event_listener(Custom::<Event>::new(name), move |_| hurry(studio));
        on_cleanup(move || handle.remove());
    }
}

/// One tick. Everything in it goes by the time, so an early one does no harm.
pub(crate) fn tick(studio: Studio) {
    let now = now_millis();
    studio.now_millis.set(now);
    socket::tick(studio, now);
    studio.send_stops();
    let mut stream = studio.stream.get_untracked();
    if stream.expire(now) {
        studio.stream.set(stream);
    }
}

/// Somebody looks at the page again, or the network came back.
fn hurry(studio: Studio) {
    socket::hurry(studio);
    tick(studio);
}
