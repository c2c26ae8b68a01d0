//! The worker's global scope: time, time-outs, fetching, posting messages, and the WebGPU adapter's name.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use js_sys::{Promise, Reflect, Uint8Array};
use protocol::worker::{FromWorker, to_bytes};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{DedicatedWorkerGlobalScope, Response};

use crate::scorer_fit::AdapterLimits;

/// The worker's global object.
pub(crate) fn global_scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

pub(crate) fn performance_now() -> f64 {
    global_scope()
        .performance()
        .map_or(0.0, |performance| performance.now())
}

/// Sends one message to the page. Encoding fails only when memory runs out, so the error goes to the console.
pub(crate) fn post(message: &FromWorker) {
    match to_bytes(message) {
        Ok(bytes) => {
            global_scope()
                .post_message(&Uint8Array::from(bytes.as_slice()))
                .ok();
        }
        Err(error) => web_sys::console::error_1(&error.to_string().into()),
    }
}

/// Waits for `future`, at most `millis`; `None` on time-out. A WebGPU promise may never settle after a device error.
pub(crate) async fn with_timeout<F: Future>(millis: i32, future: F) -> Option<F::Output> {
    let mut timer = JsFuture::from(sleep(millis));
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        Pin::new(&mut timer).poll(context).map(|_| None)
    })
    .await
}

/// Yields to the event loop, so that messages are handled between two long computations.
pub(crate) async fn yield_to_event_loop() {
    JsFuture::from(sleep(0)).await.ok();
}

fn sleep(millis: i32) -> Promise {
    Promise::new(&mut |resolve, _reject| {
        global_scope()
            .set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, millis)
            .ok();
    })
}

/// The bytes at `url`.
///
/// # Errors
/// A sentence with the URL and the cause.
pub(crate) async fn fetch_bytes(url: &str) -> Result<Vec<u8>, String> {
    let failed = |what: String| format!("{url} could not be fetched: {what}");
    let response: Response = JsFuture::from(global_scope().fetch_with_str(url))
        .await
        .map_err(|e| failed(error_text(&e)))?
        .unchecked_into();
    if !response.ok() {
        return Err(failed(format!("the studio answered {}", response.status())));
    }
    let buffer = response
        .array_buffer()
        .map_err(|e| failed(error_text(&e)))?;
    let buffer = JsFuture::from(buffer)
        .await
        .map_err(|e| failed(error_text(&e)))?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// Name of a WebGPU adapter.
#[derive(Debug, Clone)]
pub(crate) struct AdapterInfo {
    /// Vendor, architecture and description, as far as the browser reports them.
    pub(crate) name: String,
    /// True if it reports itself as a software fallback.
    pub(crate) software: bool,
}

/// Limits of the browser's WebGPU adapter.
pub(crate) async fn adapter_limits() -> Option<AdapterLimits> {
    let limits = property(&open_adapter().await.ok()?, "limits");
    let bytes = |key: &str| property(&limits, key).as_f64().map(|bytes| bytes as u64);
    Some(AdapterLimits {
        buffer_bytes: bytes("maxBufferSize")?,
        binding_bytes: bytes("maxStorageBufferBindingSize")?,
    })
}

async fn open_adapter() -> Result<JsValue, String> {
    let gpu = property(&global_scope().navigator(), "gpu");
    if gpu.is_undefined() {
        return Err("this browser offers no WebGPU on this page; it needs a recent browser and https or localhost".to_owned());
    }
    let request: js_sys::Function = property(&gpu, "requestAdapter").unchecked_into();
    let promise: Promise = request
        .call0(&gpu)
        .map_err(|e| error_text(&e))?
        .unchecked_into();
    let adapter = JsFuture::from(promise).await.map_err(|e| error_text(&e))?;
    if adapter.is_null() || adapter.is_undefined() {
        return Err("the browser supports WebGPU but found no usable adapter".to_owned());
    }
    Ok(adapter)
}

/// Requests a WebGPU adapter from the browser without opening a device.
///
/// # Errors
/// The reason that there is none.
pub(crate) async fn adapter_info() -> Result<AdapterInfo, String> {
    let adapter = open_adapter().await?;
    let info = property(&adapter, "info");
    let text = |key: &str| property(&info, key).as_string().filter(|s| !s.is_empty());
    let mut parts: Vec<String> = Vec::new();
    for part in [text("vendor"), text("architecture"), text("description")]
        .into_iter()
        .flatten()
    {
        if !parts.iter().any(|known| known.eq_ignore_ascii_case(&part)) {
            parts.push(part);
        }
    }
    let software = property(&info, "isFallbackAdapter").is_truthy()
        || parts
            .iter()
            .any(|part| part.eq_ignore_ascii_case("swiftshader"));
    Ok(AdapterInfo {
        name: if parts.is_empty() {
            "unnamed adapter".to_owned()
        } else {
            parts.join(" ")
        },
        software,
    })
}

pub(crate) fn property(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

/// Message of a JavaScript error.
pub(crate) fn error_text(error: &JsValue) -> String {
    property(error, "message")
        .as_string()
        .or_else(|| error.as_string())
        .unwrap_or_else(|| format!("{error:?}"))
}
