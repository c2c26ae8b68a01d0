//! The connection to the studio: one WebSocket, reopened when it breaks, and everything else that depends on the time.
//!
//! [`crate::backoff`] decides when to close and when to reconnect.

use leptos::prelude::*;
use protocol::viewer::{Heard, ViewerHello};
use protocol::{FrameError, ToViewer};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    AbortSignal, BinaryType, CloseEvent, Event, MessageEvent, RequestInit, Response, WebSocket,
};

use super::panics;
use super::settings;
use super::socket_handle::OpenSocket;
use super::state::Studio;
use super::time::now_millis;
use crate::backoff::{Connection, Link, LinkAction};
use crate::stopping::Stopping;
use crate::studio_url;

/// Time limit of the plain HTTP request that tests whether the studio can be reached.
const PROBE_MILLIS: u32 = 3_000;

/// Updates the link with an event, and the page with what follows from it.
fn update_link<T>(studio: Studio, event: impl FnOnce(&mut Link) -> T) -> Option<T> {
    let outcome = studio.socket.link.try_update_value(event);
    let (connection, is_blocked) = studio
        .socket
        .link
        .with_value(|link| (link.connection(), link.upgrade_is_blocked()));
    if studio.connection.get_untracked() != connection {
        studio.connection.set(connection);
        if connection != Connection::Live {
            // Without a connection the studio's problems are unknown.
            studio.problems.set(vec![]);
        }
    }
    if studio.upgrade_is_blocked.get_untracked() != is_blocked {
        studio.upgrade_is_blocked.set(is_blocked);
    }
    outcome
}

/// One tick: link, stops, and token streams that stopped growing. An early tick does no harm.
pub(crate) fn tick(studio: Studio) {
    if panics::page_has_stopped() {
        return;
    }
    let now = now_millis();
    studio.now_millis.set(now);
    poll(studio, now);
    studio.send_stops();
    let mut stream = studio.stream.get_untracked();
    if stream.expire(now) {
        studio.stream.set(stream);
    }
}

/// Detects silence, closes and reconnects when due.
fn poll(studio: Studio, now_millis: f64) {
    let urgent = studio.stopping.with_untracked(Stopping::is_open);
    // A close is followed by a reconnection, which may be due at once.
    for _ in 0..2 {
        match update_link(studio, |link| link.poll(now_millis, urgent)) {
            Some(LinkAction::Close) => close(studio),
            Some(LinkAction::Connect) => {
                close(studio);
                connect(studio);
            }
            Some(LinkAction::Wait) | None => break,
        }
    }
    probe(studio);
}

/// Reconnects at once: the page is in view again, or the network came back.
pub(crate) fn retry_now(studio: Studio) {
    let now = now_millis();
    update_link(studio, |link| link.retry_now(now));
    tick(studio);
}

/// Records the studio's welcome.
pub(crate) fn welcomed(studio: Studio) {
    let now = now_millis();
    update_link(studio, |link| link.welcomed(now));
}

/// Echoes a heartbeat of the studio. The echo is sent from this handler and not from a timer: it runs in a hidden tab, and
/// does not run in a page that hangs.
pub(crate) fn heartbeat(studio: Studio, beat: u64) {
    let echoes = update_link(studio, |link| {
        link.heartbeat(beat);
        link.echoes()
    });
    if echoes == Some(true) {
        // If the echo cannot be sent, the studio rightly misses it.
        studio.socket.send(&Heard { beat }.into()).ok();
    }
}

/// Processes an unknown-message error; `true` if it was about an echo.
pub(crate) fn echo_refused(studio: Studio) -> bool {
    update_link(studio, Link::echo_refused) == Some(true)
}

/// Records that the page and the studio have different versions.
pub(crate) fn refuse(studio: Studio) {
    update_link(studio, Link::refuse);
}

fn connect(studio: Studio) {
    match open(studio) {
        Some(open) => studio.socket.open.set_value(Some(open)),
        None => lost(studio),
    }
}

fn lost(studio: Studio) {
    let now = now_millis();
    update_link(studio, |link| link.closed(now));
    tick(studio);
}

fn open(studio: Studio) -> Option<OpenSocket> {
    let url = studio_url::websocket(&settings::base()?, "ws/viewer");
    let socket = WebSocket::new(&url).ok()?;
    socket.set_binary_type(BinaryType::Arraybuffer);
    panics::close_when_stopped(&socket);

    let on_open = Closure::<dyn FnMut(Event)>::new(move |_| {
        update_link(studio, Link::opened);
        let client = format!("page {}", env!("CARGO_PKG_VERSION"));
        studio.send(ViewerHello { client });
    });
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        receive(studio, &event);
    });
    let on_close = Closure::<dyn FnMut(CloseEvent)>::new(move |_| lost(studio));

    socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
    socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
    Some(OpenSocket {
        socket,
        _on_open: on_open,
        _on_message: on_message,
        _on_close: on_close,
    })
}

fn receive(studio: Studio, event: &MessageEvent) {
    let now = now_millis();
    update_link(studio, |link| link.message_received(now));
    // Timers of a hidden tab are throttled; socket events are not.
    if document().hidden() {
        tick(studio);
    }
    let Ok(buffer) = event.data().dyn_into::<js_sys::ArrayBuffer>() else {
        return;
    };
    match ToViewer::decode(&js_sys::Uint8Array::new(&buffer).to_vec()) {
        Ok(message) => studio.socket.deliver(message),
        // A newer studio may send kinds that this page does not know.
        Err(FrameError::UnexpectedKind { .. }) => {}
        Err(error) => {
            if matches!(error, FrameError::WrongVersion { .. }) {
                refuse(studio);
            }
            studio.notify(format!(
                "The studio sent a message that this page cannot read: {error}"
            ));
        }
    }
}

fn close(studio: Studio) {
    // Only one socket may deliver messages: the old one's handlers are removed before a new one opens.
    let old = studio.socket.open.try_update_value(Option::take).flatten();
    if let Some(open) = old {
        open.socket.set_onopen(None);
        open.socket.set_onmessage(None);
        open.socket.set_onclose(None);
        open.socket.close().ok();
        // Dropped later, because one of its closures may be running.
        set_timeout(move || drop(open), std::time::Duration::ZERO);
    }
}

/// Checks whether plain HTTP reaches the studio while no socket opens.
fn probe(studio: Studio) {
    let number = studio.socket.link.with_value(Link::probe_due);
    let (Some(number), false) = (number, studio.socket.is_probing.get_value()) else {
        return;
    };
    studio.socket.is_probing.set_value(true);
    spawn_local(async move {
        let answered = is_healthy().await;
        studio.socket.is_probing.set_value(false);
        update_link(studio, |link| link.probed(number, answered));
    });
}

async fn is_healthy() -> bool {
    let init = RequestInit::new();
    init.set_signal(Some(&AbortSignal::timeout_with_u32(PROBE_MILLIS)));
    // The time in the URL keeps caches from answering.
    let url = format!("healthz?at={}", now_millis());
    let response = window().fetch_with_str_and_init(&url, &init);
    match JsFuture::from(response).await {
        Ok(response) => response.unchecked_into::<Response>().ok(),
        Err(_) => false,
    }
}
