//! The end of a page that has failed: it can no longer operate a robot, and shows that.
//!
//! After a panic, or a trap without a panic, the program's state is inconsistent, but the browser keeps calling its event
//! handlers. The page would keep echoing heartbeats and could not stop a robot. Its socket is therefore closed at once, none
//! is opened again, and a notice that does not depend on the program covers the page.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use js_sys::Reflect;
use js_sys::WebAssembly::RuntimeError;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{Event, WebSocket};

/// Notice with a plain link, which works without the program and reloads the page.
const NOTICE: &str = r#"<div class="page-stopped" role="alert" data-testid="page-stopped"><div>
<h2>This page has stopped working</h2>
<p>A fault has ended its program. It can no longer stop a robot: use the robot’s own emergency stop if the robot must
stop now.</p>
<p>The page has closed its connection to the studio. A robot that was instructed from this page holds its position, unless
it is simulated or runs unattended.</p>
<p><a class="button primary" href="">Reload the page</a></p>
</div></div>"#;

static HAS_STOPPED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The newest socket.
    static SOCKET: RefCell<Option<WebSocket>> = const { RefCell::new(None) };
}

/// Starts watching for panics and traps, which are also logged to the console.
pub(super) fn watch() {
    std::panic::set_hook(Box::new(|info| {
        stop_page();
        console_error_panic_hook::hook(info);
    }));
    let Some(window) = web_sys::window() else {
        return;
    };
    let on_error = Closure::<dyn FnMut(Event)>::new(|event: Event| {
        if is_trap(&event) {
            stop_page();
        }
    });
    // Faults of event handlers, and of futures.
    for name in ["error", "unhandledrejection"] {
        window
            .add_event_listener_with_callback(name, on_error.as_ref().unchecked_ref())
            .ok();
    }
    // The listener lasts as long as the page.
    on_error.forget();
}

/// True if the program has failed. Nothing new may start then.
pub(super) fn page_has_stopped() -> bool {
    HAS_STOPPED.load(Ordering::Relaxed)
}

/// Registers the socket to close when the page stops; the previous one is closed already.
pub(super) fn close_when_stopped(socket: &WebSocket) {
    SOCKET.set(Some(socket.clone()));
}

/// True if an event reports a trap of a WebAssembly program. The page has one such program; its workers report traps in
/// another way.
fn is_trap(event: &Event) -> bool {
    ["error", "reason"].into_iter().any(|field| {
        Reflect::get(event, &field.into()).is_ok_and(|cause| cause.is_instance_of::<RuntimeError>())
    })
}

fn stop_page() {
    if HAS_STOPPED.swap(true, Ordering::Relaxed) {
        return;
    }
    // Nothing here may panic: this runs in the hook.
    let socket =
        SOCKET.try_with(|socket| socket.try_borrow().ok().and_then(|socket| socket.clone()));
    if let Ok(Some(socket)) = socket {
        socket.set_onopen(None);
        socket.set_onmessage(None);
        socket.set_onclose(None);
        socket.close().ok();
    }
    let body = web_sys::window()
        .and_then(|window| window.document())
        .and_then(|document| document.body());
    if let Some(body) = body {
        body.insert_adjacent_html("beforeend", NOTICE).ok();
    }
}
