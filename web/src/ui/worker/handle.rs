//! The running worker, and the listener for its messages.

use std::rc::Rc;

use js_sys::Uint8Array;
use leptos::prelude::*;
use protocol::worker::{FromWorker, ToWorker, to_bytes};
use wasm_bindgen::prelude::Closure;
use web_sys::{ErrorEvent, MessageEvent, Worker};

use crate::latest::Latest;

/// A running worker and its event handlers.
pub(super) struct RunningWorker {
    pub(super) worker: Worker,
    pub(super) _on_message: Closure<dyn FnMut(MessageEvent)>,
    pub(super) _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

type Listener = Rc<dyn Fn(FromWorker)>;

/// The worker in use. Copies are handles to the same worker.
#[derive(Clone, Copy)]
pub(crate) struct WorkerHandle {
    pub(super) running: StoredValue<Option<RunningWorker>, LocalStorage>,
    /// The decode in flight, by the number of its decision.
    pub(super) decode: StoredValue<Latest<u64>>,
    /// True if WebGPU must not be used because a worker died while using it.
    pub(super) cpu_only: StoredValue<bool>,
    listener: StoredValue<Option<Listener>, LocalStorage>,
}

impl Default for WorkerHandle {
    fn default() -> Self {
        Self {
            running: StoredValue::new_local(None),
            decode: StoredValue::new(Latest::default()),
            cpu_only: StoredValue::new(false),
            listener: StoredValue::new_local(None),
        }
    }
}

impl WorkerHandle {
    /// Posts a message; without a running worker it is dropped.
    pub(crate) fn post(self, message: &ToWorker) {
        let Ok(bytes) = to_bytes(message) else {
            return;
        };
        self.running.with_value(|running| {
            if let Some(running) = running {
                running
                    .worker
                    .post_message(&Uint8Array::from(bytes.as_slice()))
                    .ok();
            }
        });
    }

    /// Sets the listener that receives every message of the worker.
    pub(super) fn listen(self, listener: impl Fn(FromWorker) + 'static) {
        self.listener.set_value(Some(Rc::new(listener)));
    }

    /// Passes a message to the listener.
    pub(super) fn deliver(self, message: FromWorker) {
        // Not called while the value is borrowed: a message may restart the worker.
        if let Some(listener) = self.listener.get_value() {
            listener(message);
        }
    }
}
