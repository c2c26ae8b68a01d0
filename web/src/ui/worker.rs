//! The wire to the compute worker. The page only posts and files messages; the worker computes.

use std::time::Duration;

use js_sys::{Reflect, Uint8Array};
use leptos::prelude::*;
use protocol::viewer::ActionDimension;
use protocol::worker::{
    CodecRun, ComputeKind, DecodeRequest, DrawRequest, EncodeRequest, FromWorker, ToWorker,
    UnfoldRequest, Verdict, from_bytes, to_bytes,
};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::state::{Studio, now_millis};
use super::{score, settings};
use crate::compute::Phase;
use crate::depth::DepthImages;
use crate::partial_decode::PartialDecode;
use crate::studio_url;

/// Relative to the page, as Trunk writes it.
const SCRIPT: &str = "worker.js";
/// The cameras come first. Without a robot the worker starts after this long all the same.
const LATEST_START_MILLIS: f64 = 3_000.0;
/// The worker keeps off WebGPU under this name.
const CPU_ONLY: &str = "cpu-only";

struct Running {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

/// The worker in use, and the decode that it works on.
#[derive(Clone, Copy)]
pub(crate) struct WorkerHandle {
    running: StoredValue<Option<Running>, LocalStorage>,
    in_flight: StoredValue<Option<u64>>,
    cpu_only: StoredValue<bool>,
}

impl Default for WorkerHandle {
    fn default() -> Self {
        Self {
            running: StoredValue::new_local(None),
            in_flight: StoredValue::new(None),
            cpu_only: StoredValue::new(false),
        }
    }
}

/// Starts the worker once a picture is up, so that its large module does not delay the cameras.
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

/// Starts the worker, or starts it again.
pub(crate) fn start(studio: Studio) {
    let phase = match launch(studio) {
        Ok(running) => {
            studio.worker.running.set_value(Some(running));
            Phase::Loading { received: 0.0 }
        }
        Err(reason) => Phase::Dead { reason },
    };
    studio.worker.in_flight.set_value(None);
    studio.partial_decode.update(PartialDecode::restart);
    studio.depth_images.update(DepthImages::restart);
    score::worker_restarted(studio, "The worker that computed it ended; score it again.");
    studio.compute.update(|compute| compute.phase = phase);
}

fn launch(studio: Studio) -> Result<Running, String> {
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    if studio.worker.cpu_only.get_value() {
        options.set_name(CPU_ONLY);
    }
    let worker = Worker::new_with_options(SCRIPT, &options)
        .map_err(|_| "This browser does not start module workers; use a newer one.".to_owned())?;
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        receive(studio, &event.data());
    });
    let on_error = Closure::<dyn FnMut(ErrorEvent)>::new(move |event: ErrorEvent| {
        event.prevent_default();
        // A script that does not load gives a plain event without a message.
        let message = Reflect::get(&event, &"message".into())
            .ok()
            .and_then(|message| message.as_string())
            .unwrap_or_default();
        // Later, because it drops this very closure.
        set_timeout(move || died(studio, &message), Duration::ZERO);
    });
    worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
    Ok(Running {
        worker,
        _on_message: on_message,
        _on_error: on_error,
    })
}

fn receive(studio: Studio, data: &wasm_bindgen::JsValue) {
    let Some(bytes) = data.dyn_ref::<Uint8Array>() else {
        // The loader counts what has arrived of the module.
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
    let message = match from_bytes::<FromWorker>(&bytes.to_vec()) {
        Ok(message) => message,
        Err(error) => {
            return studio.notify(format!(
                "Page and worker do not match: {error}. Reload the page."
            ));
        }
    };
    studio.compute.update(|compute| compute.apply(&message));
    match message {
        FromWorker::Started => {
            post(studio, &ToWorker::Choose(settings::compute()));
            load_tokenizer(studio);
            load_depth_decoder(studio);
        }
        FromWorker::Devices(_) | FromWorker::Tokenizer(_) | FromWorker::DepthDecoder(_) => {}
        FromWorker::Drawn {
            request_id,
            outcome,
        } => studio
            .depth_images
            .update(|depth_images| depth_images.answered(request_id, outcome)),
        FromWorker::Decoded {
            request_id,
            outcome,
        } => {
            studio.worker.in_flight.set_value(None);
            studio
                .decisions
                .update(|decisions| decisions.decoded(request_id, outcome));
        }
        FromWorker::Unfolded {
            request_id,
            outcome,
        } => studio
            .partial_decode
            .update(|partial_decode| partial_decode.answered(request_id, outcome)),
        FromWorker::Encoded {
            request_id,
            outcome,
        } => studio.what_if.update(|what_if| {
            if let Some(what_if) = what_if {
                what_if.answered(request_id, outcome);
            }
        }),
        FromWorker::Timed(_) => {}
        FromWorker::Scorer(state) => score::on_scorer_state(studio, state),
        FromWorker::ScorersForgotten { problem } => score::cache_deleted(studio, problem),
        FromWorker::Score(event) => score::on_event(studio, event),
    }
    // What a person looks at goes before what is only compared.
    decode_partially(studio);
    decode_next(studio);
    score::pump(studio);
}

/// A worker that died while WebGPU was being tested is started once more without it.
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
    score::worker_restarted(studio, &reason);
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

/// Ends a worker that does not listen and starts another.
pub(crate) fn restart(studio: Studio) {
    stop(studio);
    start(studio);
}

/// Computes where the visitor wants from now on.
pub(crate) fn choose(studio: Studio, wish: Option<ComputeKind>) {
    settings::set_compute(wish);
    post(studio, &ToWorker::Choose(wish));
}

/// Has the worker fetch the policy's tokenizer, if there is one.
pub(crate) fn load_tokenizer(studio: Studio) {
    let has_tokenizer = studio
        .welcome
        .with_untracked(|welcome| welcome.as_ref().is_some_and(|w| w.policy.has_tokenizer));
    if let (true, Some(base)) = (has_tokenizer, settings::base()) {
        let file = |name: &str| studio_url::resolve(&base, &format!("api/policy/openfast/{name}"));
        post(
            studio,
            &ToWorker::LoadTokenizer {
                tokenizer_url: file("tokenizer.json"),
                processor_config_url: file("processor_config.json"),
            },
        );
    }
}

/// Has the worker fetch the policy's depth decoder, if there is one.
pub(crate) fn load_depth_decoder(studio: Studio) {
    let has_decoder = studio.welcome.with_untracked(|welcome| {
        welcome
            .as_ref()
            .and_then(|w| w.policy.depth)
            .is_some_and(|depth| depth.has_decoder)
    });
    if let (true, Some(base)) = (has_decoder, settings::base()) {
        let url = studio_url::resolve(&base, "api/policy/depth_decoder.safetensors");
        post(studio, &ToWorker::LoadDepthDecoder { url });
    }
}

/// Has the worker draw depth codes, unless their picture is there or it is at another one.
pub(crate) fn draw(studio: Studio, codes: &[u32], rows: u32, columns: u32) {
    let ask = studio
        .depth_images
        .try_update_untracked(|depth_images| depth_images.ask(codes))
        .flatten();
    if let Some(request_id) = ask {
        let codes = codes.to_vec();
        post(
            studio,
            &ToWorker::Draw(DrawRequest {
                request_id,
                codes,
                rows,
                columns,
            }),
        );
    }
}

/// Has the worker read the next piece of the stream that is looked at.
pub(crate) fn decode_partially(studio: Studio) {
    if !studio
        .compute
        .with_untracked(crate::compute::Compute::has_tokenizer)
    {
        return;
    }
    let ask = studio
        .partial_decode
        .try_update_untracked(PartialDecode::ask)
        .flatten();
    if let Some(ask) = ask {
        let request = UnfoldRequest {
            request_id: ask.id,
            tokens: ask.tokens,
            ended: ask.ended,
            rows: ask.rows,
            dims: ask.dims,
            action: action_dimensions(studio),
        };
        post(studio, &ToWorker::Unfold(request));
    }
}

/// Has the worker write the newest change of a trial.
pub(crate) fn encode_what_if(studio: Studio) {
    let request = studio
        .what_if
        .try_update_untracked(|what_if| {
            let what_if = what_if.as_mut()?;
            Some(EncodeRequest {
                request_id: what_if.ask()?,
                chunk_normalised: what_if.chunk().to_vec(),
                rows: what_if.base().rows,
                dims: what_if.base().dims,
                action: action_dimensions(studio),
            })
        })
        .flatten();
    if let Some(request) = request {
        post(studio, &ToWorker::Encode(request));
    }
}

/// How normalised values become robot units.
pub(crate) fn action_dimensions(studio: Studio) -> Vec<ActionDimension> {
    studio.welcome.with_untracked(|welcome| {
        welcome
            .as_ref()
            .map(|w| w.policy.action.clone())
            .unwrap_or_default()
    })
}

/// Times the codec in this tab.
pub(crate) fn time_codec(studio: Studio, runs: Vec<CodecRun>) {
    studio.compute.update(|compute| compute.is_timing = true);
    post(studio, &ToWorker::Time(runs));
}

/// Gives the worker the next decision, one at a time: when it falls behind, older ones wait until they
/// are looked at.
pub(crate) fn decode_next(studio: Studio) {
    if studio.worker.in_flight.get_value().is_some()
        || !studio
            .compute
            .with_untracked(crate::compute::Compute::can_decode)
    {
        return;
    }
    let action = action_dimensions(studio);
    let request = studio.decisions.with_untracked(|decisions| {
        decisions
            .to_decode()
            .map(|decision| DecodeRequest::of(&decision.trace, &action, decision.number))
    });
    if let Some(request) = request {
        studio.worker.in_flight.set_value(Some(request.request_id));
        post(studio, &ToWorker::Decode(request));
    }
}

/// Tells the worker something; one that is not there hears nothing.
pub(crate) fn post(studio: Studio, message: &ToWorker) {
    let Ok(bytes) = to_bytes(message) else {
        return;
    };
    studio.worker.running.with_value(|running| {
        if let Some(running) = running {
            running
                .worker
                .post_message(&Uint8Array::from(bytes.as_slice()))
                .ok();
        }
    });
}
