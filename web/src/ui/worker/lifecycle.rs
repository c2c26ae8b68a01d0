//! Starting and restarting the compute worker.

use std::time::Duration;

use js_sys::{Reflect, Uint8Array};
use leptos::prelude::*;
use protocol::worker::{ComputeKind, FromWorker, Verdict, from_bytes};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::handle::RunningWorker;
use crate::compute::Phase;
use crate::depth::DepthImages;
use crate::latest::Latest;
use crate::partial_decode::PartialDecoder;
use crate::ui::state::Studio;
use crate::ui::time::now_millis;

/// Script of the worker, relative to the page, as Trunk writes it.
const SCRIPT: &str = "worker.js";
/// Latest start of the worker: the first camera image starts it, but there may be no robot.
const LATEST_START_MILLIS: f64 = 3_000.0;
/// Name of a worker that must not use WebGPU.
const CPU_ONLY: &str = "cpu-only";

/// Starts the worker after the first image, so that its large module does not delay the cameras.
pub(crate) fn start_after_first_frame(studio: Studio) {
    let handle = StoredValue::new(None::<IntervalHandle>);
    let poll = move || {
        let seen = studio.canvas_images.with_value(|canvas_images| {
            canvas_images
                .values()
                .any(|canvas_image| canvas_image.frames() > 0)
        });
        if seen || now_millis() > LATEST_START_MILLIS {
            if let Some(handle) = handle.get_value() {
                handle.clear();
            }
            start(studio);
        }
    };
    handle.set_value(set_interval_with_handle(poll, Duration::from_millis(150)).ok());
}

/// Starts or restarts the worker.
pub(crate) fn start(studio: Studio) {
    let phase = match launch(studio) {
        Ok(running) => {
            studio.worker.running.set_value(Some(running));
            Phase::Loading { received: 0.0 }
        }
        Err(reason) => Phase::Dead { reason },
    };
    studio.worker.decode.update_value(Latest::reset);
    studio.partial_decoder.update(PartialDecoder::restart);
    studio.depth_images.update(DepthImages::restart);
    studio
        .score
        .worker_restarted("The worker that computed it ended; score it again.");
    studio.compute.update(|compute| compute.phase = phase);
}

fn launch(studio: Studio) -> Result<RunningWorker, String> {
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    if studio.worker.cpu_only.get_value() {
        options.set_name(CPU_ONLY);
    }
    let worker = Worker::new_with_options(SCRIPT, &options)
        .map_err(|_| "This browser does not support module workers; use a newer one.".to_owned())?;
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        receive(studio, &event.data());
    });
    let on_error = Closure::<dyn FnMut(ErrorEvent)>::new(move |event: ErrorEvent| {
        event.prevent_default();
        // A script that fails to load gives a plain event without a message.
        let message = Reflect::get(&event, &"message".into())
            .ok()
            .and_then(|message| message.as_string())
            .unwrap_or_default();
        // Deferred, because it drops this closure.
        set_timeout(move || died(studio, &message), Duration::ZERO);
    });
    worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
    Ok(RunningWorker {
        worker,
        _on_message: on_message,
        _on_error: on_error,
    })
}

fn receive(studio: Studio, data: &JsValue) {
    let Some(bytes) = data.dyn_ref::<Uint8Array>() else {
        // The loader counts the bytes of the module that have arrived.
        let received = Reflect::get(data, &"received".into())
            .ok()
            .and_then(|v| v.as_f64());
        if let Some(received) = received {
            studio
                .compute
                .update(|compute| compute.phase = Phase::Loading { received });
        }
        return;
    };
    match from_bytes::<FromWorker>(&bytes.to_vec()) {
        Ok(message) => studio.worker.deliver(message),
        Err(error) => studio.notify(format!(
            "Page and worker do not match: {error}. Reload the page."
        )),
    }
}

/// Handles the death of the worker; one that died while WebGPU was being tested is restarted without it.
fn died(studio: Studio, message: &str) {
    let was_testing_webgpu = studio.compute.with_untracked(|compute| {
        compute.report.as_ref().is_some_and(|report| {
            report
                .devices
                .iter()
                .any(|d| d.kind == ComputeKind::Webgpu && d.verdict == Verdict::Testing)
        })
    });
    stop(studio);
    if was_testing_webgpu && !studio.worker.cpu_only.get_value() {
        studio.worker.cpu_only.set_value(true);
        start(studio);
        return;
    }
    let reason = if message.is_empty() {
        "The compute worker could not be loaded. Reload the page.".to_owned()
    } else {
        format!("The compute worker ended: {message}")
    };
    studio.score.worker_restarted(&reason);
    studio
        .compute
        .update(|compute| compute.phase = Phase::Dead { reason });
}

fn stop(studio: Studio) {
    studio.worker.running.update_value(|running| {
        if let Some(running) = running.take() {
            running.worker.terminate();
        }
    });
}

/// Ends a worker that does not respond and starts another.
pub(crate) fn restart(studio: Studio) {
    stop(studio);
    start(studio);
}
