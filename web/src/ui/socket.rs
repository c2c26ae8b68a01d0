//! The wire to the studio: one WebSocket, opened again when it breaks.

use std::time::Duration;

use leptos::prelude::*;
use protocol::viewer::{FromViewer, ViewerHello};
use protocol::{FrameError, ToViewer};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{BinaryType, CloseEvent, Event, MessageEvent, WebSocket};

use super::store::{Studio, now_millis};
use crate::reconnect::Connection;

/// A robot that is connected reports every second. Silence longer than this means that the wire is dead
/// though the browser has not noticed.
const SILENCE_MILLIS: f64 = 6_000.0;

struct Open {
    socket: WebSocket,
    // Held so that the browser may call them.
    _on_open: Closure<dyn FnMut(Event)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
}

/// The socket in use and when it last spoke.
#[derive(Clone, Copy)]
pub(crate) struct Wire {
    open: StoredValue<Option<Open>, LocalStorage>,
    heard_at_millis: StoredValue<f64>,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            open: StoredValue::new_local(None),
            heard_at_millis: StoredValue::new(0.0),
        }
    }
}

impl Wire {
    /// Sends one message.
    ///
    /// # Errors
    /// Why it was not sent, in words for a person.
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

/// Opens the wire; what happens next is up to its events.
pub(crate) fn connect(studio: Studio) {
    if let Some(open) = open(studio) {
        studio.wire.open.set_value(Some(open));
    } else {
        lost(studio);
    }
}

fn open(studio: Studio) -> Option<Open> {
    let location = window().location();
    let scheme = if location.protocol().ok()? == "https:" {
        "wss"
    } else {
        "ws"
    };
    let socket = WebSocket::new(&format!("{scheme}://{}/ws/viewer", location.host().ok()?)).ok()?;
    socket.set_binary_type(BinaryType::Arraybuffer);

    let on_open = Closure::<dyn FnMut(Event)>::new(move |_| {
        let client = format!("page {}", env!("CARGO_PKG_VERSION"));
        studio.send(ViewerHello { client });
    });
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        studio.wire.heard_at_millis.set_value(now_millis());
        let Ok(buffer) = event.data().dyn_into::<js_sys::ArrayBuffer>() else {
            return;
        };
        match ToViewer::decode(&js_sys::Uint8Array::new(&buffer).to_vec()) {
            Ok(message) => studio.receive(message),
            // A newer studio may say more than this page knows.
            Err(FrameError::UnexpectedKind { .. }) => {}
            Err(error) => studio.notify(format!(
                "The studio said something this page cannot read: {error}"
            )),
        }
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

fn lost(studio: Studio) {
    let next = studio.connection.get_untracked().after_loss();
    studio.connection.set(next);
    if let Connection::Waiting { pause_millis, .. } = next {
        // Only one socket may speak: the old one's events are cut before a new one opens.
        set_timeout(
            move || {
                abandon(studio);
                connect(studio);
            },
            Duration::from_millis(u64::from(pause_millis)),
        );
    }
}

fn abandon(studio: Studio) {
    studio.wire.open.update_value(|open| {
        if let Some(open) = open.take() {
            open.socket.set_onopen(None);
            open.socket.set_onmessage(None);
            open.socket.set_onclose(None);
            open.socket.close().ok();
        }
    });
}

/// Notices a wire that is dead without having been closed.
pub(crate) fn watch_silence(studio: Studio) {
    set_interval(
        move || {
            let live = studio.connection.get_untracked() == Connection::Live;
            let speaks = studio
                .robots
                .with_untracked(|robots| robots.iter().any(|robot| robot.connected));
            let silent_millis = now_millis() - studio.wire.heard_at_millis.get_value();
            // A hidden tab is throttled and may hear late; it is checked when it is looked at again.
            if live && speaks && silent_millis > SILENCE_MILLIS && !document().hidden() {
                abandon(studio);
                lost(studio);
            }
        },
        Duration::from_secs(1),
    );
}
