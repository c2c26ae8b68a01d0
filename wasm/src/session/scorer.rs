//! The session's scorer: its files downloaded and cached, its weights loaded onto a device.

use std::sync::Arc;

use layers::Precision;
use protocol::score::ScorerManifest;
use protocol::worker::{ComputeKind, FromWorker, LoadScorer, ScorerReady, ScorerState};
use qwen3vl::{LoadOptions, Qwen3Vl};
use wasm_bindgen::JsCast;
use web_sys::AbortController;

use super::SharedSession;
use super::devices::{chosen_device, missing_reason};
use crate::clock::now_millis;
use crate::opfs_cache;
use crate::scorer_download::{fetch_all, open_storage};
use crate::scorer_fit;
use crate::worker_scope::{adapter_limits, fetch_bytes, post, property, yield_to_event_loop};

/// Minimum time between two progress reports (ms).
const REPORT_EVERY_MILLIS: f64 = 80.0;
/// Longest wait for a device that passes its self-test.
const DEVICE_MILLIS: f64 = 60_000.0;

/// A scorer that is ready.
#[derive(Clone)]
pub(super) struct LoadedScorer {
    pub(super) model: Arc<Qwen3Vl>,
    pub(super) name: String,
    /// Name of its device, for people.
    pub(super) device: String,
}

/// Unsuccessful end of loading.
enum Failure {
    Refused(String),
    Cancelled,
    Failed(String),
}

/// Loads a scorer and reports progress.
pub(super) async fn load(session: &SharedSession, request: &LoadScorer) {
    let Ok(controller) = AbortController::new() else {
        return report(ScorerState::Failed {
            reason: "this browser cannot cancel downloads; use a newer one".to_owned(),
        });
    };
    {
        let mut session = session.borrow_mut();
        if let Some(earlier) = session.fetching.replace(controller.clone()) {
            earlier.abort();
        }
        // Frees the memory of the previous model first.
        session.scorer = None;
    }
    let result = load_scorer(session, request, &controller).await;
    // A newer request reports for itself.
    let is_newest = session
        .borrow()
        .fetching
        .as_ref()
        .is_some_and(|newest| js_sys::Object::is(newest, &controller));
    if !is_newest {
        return;
    }
    session.borrow_mut().fetching = None;
    report(match result {
        Ok((loaded, ready)) => {
            session.borrow_mut().scorer = Some(loaded);
            ScorerState::Ready(ready)
        }
        Err(Failure::Refused(reason)) => ScorerState::Refused { reason },
        Err(Failure::Cancelled) => ScorerState::Cancelled,
        Err(Failure::Failed(reason)) => ScorerState::Failed { reason },
    });
}

/// Cancels a load in progress.
pub(super) fn cancel(session: &SharedSession) {
    if let Some(controller) = session.borrow().fetching.as_ref() {
        controller.abort();
    }
}

/// Deletes the cached files of every scorer; a loaded one stays loaded.
pub(super) async fn forget() {
    let problem = opfs_cache::delete_all().await.err().map(|reason| {
        format!("the cached files could not be deleted: {reason}; close other tabs of the studio and try again")
    });
    post(&FromWorker::ScorersForgotten { problem });
}

async fn load_scorer(
    session: &SharedSession,
    request: &LoadScorer,
    controller: &AbortController,
) -> Result<(LoadedScorer, ScorerReady), Failure> {
    let started_millis = now_millis();
    let bytes = fetch_bytes(&request.url).await.map_err(Failure::Failed)?;
    let manifest: ScorerManifest = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::Failed(format!(
            "{} does not describe a scorer: {error}; reload the page",
            request.url
        ))
    })?;
    let (kind, device) = wait_for_device(session).await?;
    let has_f16 = Precision::F16.check(&device).is_ok();
    let precision = match &request.precision {
        None => scorer_fit::default_precision(&manifest, kind, has_f16),
        Some(name) => name.parse().map_err(Failure::Refused)?,
    };
    precision
        .check(&device)
        .map_err(|error| Failure::Refused(error.to_string()))?;
    let limits = match kind {
        ComputeKind::Webgpu => adapter_limits().await,
        ComputeKind::Cpu => None,
    };
    if let Some(reason) = scorer_fit::refusal(&manifest, kind, precision, limits) {
        return Err(Failure::Refused(reason));
    }
    let folder = open_storage(&manifest).await.map_err(Failure::Refused)?;
    let signal = controller.signal();
    let of = manifest.bytes();
    let mut reported_millis = f64::NEG_INFINITY;
    let fetched = fetch_all(
        &request.url,
        &manifest,
        folder.as_ref(),
        &signal,
        &mut |received, cached_bytes| {
            if received == of || now_millis() - reported_millis > REPORT_EVERY_MILLIS {
                reported_millis = now_millis();
                report(ScorerState::Fetching {
                    received,
                    of,
                    kept: cached_bytes,
                });
            }
        },
    )
    .await
    .map_err(|why| {
        if signal.aborted() {
            Failure::Cancelled
        } else {
            Failure::Failed(why)
        }
    })?;
    yield_to_event_loop().await;
    if signal.aborted() {
        return Err(Failure::Cancelled);
    }
    let reported_millis = std::cell::Cell::new(f64::NEG_INFINITY);
    let progress = |read: u64, of: u64| {
        if read == of || now_millis() - reported_millis.get() > REPORT_EVERY_MILLIS {
            reported_millis.set(now_millis());
            report(ScorerState::Loading { read, of });
        }
    };
    let files = opfs_cache::model_files(&manifest.name, fetched.files);
    let options = LoadOptions {
        precision,
        progress: Some(&progress),
        ..LoadOptions::default()
    };
    let model = Qwen3Vl::load(&files, &device, &options)
        .map_err(|error| Failure::Failed(format!("{} cannot be loaded: {error}", manifest.name)))?;
    let ready = ScorerReady {
        name: manifest.name.clone(),
        id: manifest.id,
        computed_on: kind,
        precision: precision.to_string(),
        weight_bytes: model.info().weight_bytes,
        fetched_bytes: fetched.bytes,
        is_kept: fetched.is_kept,
        memory_bytes: memory_bytes(),
        millis: now_millis() - started_millis,
    };
    Ok((
        LoadedScorer {
            model: Arc::new(model),
            name: manifest.name,
            device: format!("{}, {precision}", device_name(session, kind)),
        },
        ready,
    ))
}

/// Waits for a chosen device.
async fn wait_for_device(
    session: &SharedSession,
) -> Result<(ComputeKind, burn_tensor::Device), Failure> {
    let started_millis = now_millis();
    loop {
        if let Some(found) = chosen_device(session) {
            return Ok(found);
        }
        if session.borrow().settled || now_millis() - started_millis > DEVICE_MILLIS {
            return Err(Failure::Refused(missing_reason(
                session,
                "no device of this browser passed the self-test",
            )));
        }
        yield_to_event_loop().await;
    }
}

fn device_name(session: &SharedSession, kind: ComputeKind) -> String {
    session
        .borrow()
        .reports
        .iter()
        .find(|report| report.kind == kind)
        .map_or_else(String::new, |report| match kind {
            ComputeKind::Cpu => "CPU of this device, in WebAssembly".to_owned(),
            ComputeKind::Webgpu => format!("{}, through WebGPU", report.name),
        })
}

/// Size of this module's memory, which never shrinks (bytes).
fn memory_bytes() -> u64 {
    let buffer = property(&wasm_bindgen::memory(), "buffer");
    buffer
        .dyn_ref::<js_sys::ArrayBuffer>()
        .map_or(0, |buffer| u64::from(buffer.byte_length()))
}

fn report(state: ScorerState) {
    post(&FromWorker::Scorer(state));
}
