//! The WebSocket in use, and the listener for its messages.

use std::rc::Rc;

use leptos::prelude::*;
use protocol::ToViewer;
use protocol::viewer::FromViewer;
use wasm_bindgen::prelude::Closure;
use web_sys::{CloseEvent, Event, MessageEvent, WebSocket};

use super::time::now_millis;
use crate::backoff::Link;

/// An open socket and its event handlers.
pub(super) struct OpenSocket {
    pub(super) socket: WebSocket,
    // Kept alive so that the browser can call them.
    pub(super) _on_open: Closure<dyn FnMut(Event)>,
    pub(super) _on_message: Closure<dyn FnMut(MessageEvent)>,
    pub(super) _on_close: Closure<dyn FnMut(CloseEvent)>,
}

type Listener = Rc<dyn Fn(ToViewer)>;

/// The socket in use and the state of its link. Copies are handles to the same socket.
#[derive(Clone, Copy)]
pub(crate) struct SocketHandle {
    pub(super) open: StoredValue<Option<OpenSocket>, LocalStorage>,
    pub(super) link: StoredValue<Link>,
    pub(super) is_probing: StoredValue<bool>,
    listener: StoredValue<Option<Listener>, LocalStorage>,
}

impl Default for SocketHandle {
    fn default() -> Self {
        Self {
            open: StoredValue::new_local(None),
            link: StoredValue::new(Link::new(now_millis())),
            is_probing: StoredValue::new(false),
            listener: StoredValue::new_local(None),
        }
    }
}

impl SocketHandle {
    /// Sets the listener that receives every message of the studio.
    pub(super) fn listen(self, listener: impl Fn(ToViewer) + 'static) {
        self.listener.set_value(Some(Rc::new(listener)));
    }

    /// Passes a message to the listener.
    pub(super) fn deliver(self, message: ToViewer) {
        // Not called while the value is borrowed: a message may replace the socket.
        if let Some(listener) = self.listener.get_value() {
            listener(message);
        }
    }

    /// The newest heartbeat of this connection, for messages that must not arrive late.
    pub(crate) fn heard_beat(self) -> Option<u64> {
        self.link.with_value(Link::heard_beat)
    }

    /// Hands one message to the browser, which does not guarantee that it arrives.
    ///
    /// # Errors
    /// The reason that it was not handed over, as a sentence.
    pub(crate) fn send(self, message: &FromViewer) -> Result<(), String> {
        let bytes = message.encode().map_err(|error| error.to_string())?;
        self.open.with_value(|open| match open {
            Some(open) if open.socket.ready_state() == WebSocket::OPEN => open
                .socket
                .send_with_u8_array(&bytes)
                .map_err(|_| "Not sent: the browser refused it.".to_owned()),
            _ => Err("Not sent: the page is not connected to the studio.".to_owned()),
        })
    }
}
