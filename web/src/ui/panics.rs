//! The end of a page that has failed: it is no operator any more, and says so.
//!
//! After a panic, or a trap that no panic precedes, the program's state is unfinished, and yet the browser goes on calling its
//! event handlers: the page would go on echoing heartbeats and could stop no robot. So its socket is closed at once, none is
//! opened again, and a notice that needs nothing of the program covers the page.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use js_sys::Reflect;
use js_sys::WebAssembly::RuntimeError;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{Event, WebSocket};

/// A plain link, because nothing of the program can be relied on; it leads to this page, which loads it anew.
const NOTICE: &str = r#"<div class="page-stopped" role="alert" data-testid="page-stopped"><div>
<h2>This page has stopped working</h2>
<p>A fault in its program has ended it. It cannot stop a robot any more: use the robot’s own emergency stop if it must stand
still now.</p>
<p>The page has closed its connection to the studio. A robot that was instructed from here holds its position, unless it is
simulated or runs unattended.</p>
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
    // A fault of an event handler, and one of a future.
    for name in ["error", "unhandledrejection"] {
        window
            .add_event_listener_with_callback(name, on_error.as_ref().unchecked_ref())
            .ok();
    }
    // It lasts as long as the page.
    on_error.forget();
}

/// Whether the program has failed. Nothing may be begun then.
pub(super) fn have_stopped_page() -> bool {
    HAS_STOPPED.load(Ordering::Relaxed)
}

/// Names the socket that is closed when the page stops; the one before it is closed already.
pub(super) fn close_when_stopped(socket: &WebSocket) {
    SOCKET.set(Some(socket.clone()));
}

/// Whether an event reports that a WebAssembly program was ended. The page has one; its workers report theirs otherwise.
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
