//! The wire to the studio: one WebSocket, opened again when it breaks. When, is decided in [`crate::backoff`].

use leptos::prelude::*;
use protocol::viewer::{FromViewer, ViewerHello};
use protocol::{FrameError, ToViewer};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    AbortSignal, BinaryType, CloseEvent, Event, MessageEvent, RequestInit, Response, WebSocket,
};

use super::state::{Studio, now_millis};
use super::{clock, settings, stop};
use crate::backoff::{Connection, Link, LinkAction};
use crate::studio_url;

/// How long plain HTTP may take to show that it reaches the studio.
const PROBE_MILLIS: u32 = 3_000;

struct Open {
    socket: WebSocket,
    // Held so that the browser may call them.
    _on_open: Closure<dyn FnMut(Event)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
}

/// The socket in use and what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Wire {
    open: StoredValue<Option<Open>, LocalStorage>,
    link: StoredValue<Link>,
    is_probing: StoredValue<bool>,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            open: StoredValue::new_local(None),
            link: StoredValue::new(Link::new(now_millis())),
            is_probing: StoredValue::new(false),
        }
    }
}

impl Wire {
    /// Hands one message to the browser, which is not to say that it arrives.
    ///
    /// # Errors
    /// Why it was not handed over, in words for a person.
    pub(crate) fn send(self, message: &FromViewer) -> Result<(), String> {
        let bytes = message.encode().map_err(|error| error.to_string())?;
        self.open.with_value(|open| match open {
            Some(open) if open.socket.ready_state() == WebSocket::OPEN => open
                .socket
                .send_with_u8_array(&bytes)
                .map_err(|_| "The browser refused to send that.".to_owned()),
            _ => Err("That was not sent: the page is not connected to the studio.".to_owned()),
        })
    }
}

/// Tells the link what happened, and the page what that means.
fn tell<T>(studio: Studio, event: impl FnOnce(&mut Link) -> T) -> Option<T> {
    let outcome = studio.wire.link.try_update_value(event);
    let (connection, is_blocked) = studio
        .wire
        .link
        .with_value(|link| (link.connection(), link.upgrade_is_blocked()));
    if studio.connection.get_untracked() != connection {
        studio.connection.set(connection);
        if connection != Connection::Live {
            // Of a studio that is not heard nothing is known.
            studio.problems.set(vec![]);
        }
    }
    if studio.upgrade_is_blocked.get_untracked() != is_blocked {
        studio.upgrade_is_blocked.set(is_blocked);
    }
    outcome
}

/// Does what is due: noticing silence, hanging up, dialling.
pub(crate) fn tick(studio: Studio, now_millis: f64) {
    let urgent = stop::is_urgent(studio);
    // Hanging up is followed by dialling, which may be due at once.
    for _ in 0..2 {
        match tell(studio, |link| link.poll(now_millis, urgent)) {
            Some(LinkAction::Close) => abandon(studio),
            Some(LinkAction::Connect) => {
                abandon(studio);
                connect(studio);
            }
            Some(LinkAction::Wait) | None => break,
        }
    }
    probe(studio);
}

/// Somebody looks at the page again, or the network came back.
pub(crate) fn hurry(studio: Studio) {
    let now = now_millis();
    tell(studio, |link| link.retry_now(now));
}

/// The studio said hello.
pub(crate) fn welcomed(studio: Studio) {
    let now = now_millis();
    tell(studio, |link| link.welcomed(now));
}

/// Page and studio speak different versions.
pub(crate) fn refuse(studio: Studio) {
    tell(studio, Link::refuse);
}

fn connect(studio: Studio) {
    match open(studio) {
        Some(open) => studio.wire.open.set_value(Some(open)),
        None => lost(studio),
    }
}

fn lost(studio: Studio) {
    let now = now_millis();
    tell(studio, |link| link.closed(now));
    clock::tick(studio);
}

fn open(studio: Studio) -> Option<Open> {
    let address = studio_url::websocket(&settings::base()?, "ws/viewer");
    let socket = WebSocket::new(&address).ok()?;
    socket.set_binary_type(BinaryType::Arraybuffer);

    let on_open = Closure::<dyn FnMut(Event)>::new(move |_| {
        tell(studio, Link::opened);
        let client = format!("page {}", env!("CARGO_PKG_VERSION"));
        studio.send(ViewerHello { client });
    });
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        hear(studio, &event);
    });
    let on_close = Closure::<dyn FnMut(CloseEvent)>::new(move |_| lost(studio));

    socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
    socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
    Some(Open {
        socket,
        _on_open: on_open,
        _on_message: on_message,
        _on_close: on_close,
    })
}

fn hear(studio: Studio, event: &MessageEvent) {
    let now = now_millis();
    tell(studio, |link| link.message_received(now));
    // The timers of a hidden tab sleep, the socket does not.
    if document().hidden() {
        clock::tick(studio);
    }
    let Ok(buffer) = event.data().dyn_into::<js_sys::ArrayBuffer>() else {
        return;
    };
    match ToViewer::decode(&js_sys::Uint8Array::new(&buffer).to_vec()) {
        Ok(message) => studio.receive(message),
        // A newer studio may say more than this page knows.
        Err(FrameError::UnexpectedKind { .. }) => {}
        Err(error) => {
            if matches!(error, FrameError::WrongVersion { .. }) {
                refuse(studio);
            }
            studio.notify(format!(
                "The studio said something this page cannot read: {error}"
            ));
        }
    }
}

fn abandon(studio: Studio) {
    // Only one socket may speak: the old one's events are cut before a new one opens.
    let old = studio.wire.open.try_update_value(Option::take).flatten();
    if let Some(open) = old {
        open.socket.set_onopen(None);
        open.socket.set_onmessage(None);
        open.socket.set_onclose(None);
        open.socket.close().ok();
        // Not now: it may be one of its closures that runs.
        set_timeout(move || drop(open), std::time::Duration::ZERO);
    }
}

/// Finds out whether plain HTTP reaches the studio when no socket opens.
fn probe(studio: Studio) {
    let number = studio.wire.link.with_value(Link::wants_probe);
    let (Some(number), false) = (number, studio.wire.is_probing.get_value()) else {
        return;
    };
    studio.wire.is_probing.set_value(true);
    spawn_local(async move {
        let answered = is_healthy().await;
        studio.wire.is_probing.set_value(false);
        tell(studio, |link| link.probed(number, answered));
    });
}

async fn is_healthy() -> bool {
    let init = RequestInit::new();
    init.set_signal(Some(&AbortSignal::timeout_with_u32(PROBE_MILLIS)));
    // The time, so that no cache answers for the studio.
    let address = format!("healthz?at={}", now_millis());
    let asked = window().fetch_with_str_and_init(&address, &init);
    match JsFuture::from(asked).await {
        Ok(response) => response.unchecked_into::<Response>().ok(),
        Err(_) => false,
    }
}
