//! The session's scorer: its files fetched and kept, its weights on a device.

use std::sync::Arc;

use layers::Precision;
use protocol::score::ScorerManifest;
use protocol::worker::{ComputeKind, FromWorker, LoadScorer, ScorerReady, ScorerState};
use qwen3vl::{LoadOptions, Qwen3Vl};
use wasm_bindgen::JsCast;
use web_sys::AbortController;

use super::Shared;
use super::devices::{chosen_device, what_is_missing};
use crate::clock::now_millis;
use crate::opfs_cache;
use crate::scorer_download::{fetch_all, place};
use crate::scorer_fit;
use crate::worker_scope::{adapter_limits, fetch_bytes, post, property, yield_to_event_loop};

/// Time between two reports of progress [ms].
const TELL_EVERY_MILLIS: f64 = 80.0;
/// A device is being tried for as long as this before there is none.
const DEVICE_MILLIS: f64 = 60_000.0;

/// A scorer that can be asked.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) model: Arc<Qwen3Vl>,
    pub(super) name: String,
    /// Where it computes, for people.
    pub(super) device: String,
}

/// How loading ended, if not well.
enum Failure {
    Refused(String),
    Cancelled,
    Failed(String),
}

/// Loads a scorer and tells how far it is.
pub(super) async fn load(session: &Shared, wanted: &LoadScorer) {
    let Ok(controller) = AbortController::new() else {
        return tell(ScorerState::Failed {
            reason: "this browser cannot stop what it has begun to fetch; use a newer one"
                .to_owned(),
        });
    };
    {
        let mut session = session.borrow_mut();
        if let Some(earlier) = session.fetching.replace(controller.clone()) {
            earlier.abort();
        }
        // Two models need not be in memory together.
        session.scorer = None;
    }
    let result = bring(session, wanted, &controller).await;
    // A newer request has its own report.
    let is_newest = session
        .borrow()
        .fetching
        .as_ref()
        .is_some_and(|newest| js_sys::Object::is(newest, &controller));
    if !is_newest {
        return;
    }
    session.borrow_mut().fetching = None;
    tell(match result {
        Ok((held, ready)) => {
            session.borrow_mut().scorer = Some(held);
            ScorerState::Ready(ready)
        }
        Err(Failure::Refused(reason)) => ScorerState::Refused { reason },
        Err(Failure::Cancelled) => ScorerState::Cancelled,
        Err(Failure::Failed(reason)) => ScorerState::Failed { reason },
    });
}

/// Stops a load that is on its way.
pub(super) fn cancel(session: &Shared) {
    if let Some(controller) = session.borrow().fetching.as_ref() {
        controller.abort();
    }
}

/// Forgets the files of every scorer; the one that is loaded stays loaded.
pub(super) async fn forget() {
    let problem = opfs_cache::forget_all().await.err().map(|reason| {
        format!("the kept files could not be forgotten: {reason}; close other tabs of the studio and try again")
    });
    post(&FromWorker::ScorersForgotten { problem });
}

async fn bring(
    session: &Shared,
    wanted: &LoadScorer,
    controller: &AbortController,
) -> Result<(Held, ScorerReady), Failure> {
    let started_millis = now_millis();
    let bytes = fetch_bytes(&wanted.url).await.map_err(Failure::Failed)?;
    let manifest: ScorerManifest = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::Failed(format!(
            "{} is no description of a scorer: {error}; reload the page",
            wanted.url
        ))
    })?;
    let (kind, device) = device(session).await?;
    let has_f16 = Precision::F16.check(&device).is_ok();
    let precision = match &wanted.precision {
        None => scorer_fit::precision(&manifest, kind, has_f16),
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
    let folder = place(&manifest).await.map_err(Failure::Refused)?;
    let signal = controller.signal();
    let of = manifest.bytes();
    let mut told_millis = f64::NEG_INFINITY;
    let fetched = fetch_all(
        &wanted.url,
        &manifest,
        folder.as_ref(),
        &signal,
        &mut |received, had| {
            if received == of || now_millis() - told_millis > TELL_EVERY_MILLIS {
                told_millis = now_millis();
                tell(ScorerState::Fetching {
                    received,
                    of,
                    kept: had,
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
    let told_millis = std::cell::Cell::new(f64::NEG_INFINITY);
    let progress = |read: u64, of: u64| {
        if read == of || now_millis() - told_millis.get() > TELL_EVERY_MILLIS {
            told_millis.set(now_millis());
            tell(ScorerState::Loading { read, of });
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
        Held {
            model: Arc::new(model),
            name: manifest.name,
            device: format!("{}, {precision}", device_name(session, kind)),
        },
        ready,
    ))
}

/// The chosen device, once there is one.
async fn device(session: &Shared) -> Result<(ComputeKind, burn::tensor::Device), Failure> {
    let started_millis = now_millis();
    loop {
        if let Some(found) = chosen_device(session) {
            return Ok(found);
        }
        if session.borrow().settled || now_millis() - started_millis > DEVICE_MILLIS {
            return Err(Failure::Refused(what_is_missing(
                session,
                "nothing in this browser computes right",
            )));
        }
        yield_to_event_loop().await;
    }
}

fn device_name(session: &Shared, kind: ComputeKind) -> String {
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

/// Size of this module's memory, which never shrinks [bytes].
fn memory_bytes() -> u64 {
    let buffer = property(&wasm_bindgen::memory(), "buffer");
    buffer
        .dyn_ref::<js_sys::ArrayBuffer>()
        .map_or(0, |buffer| u64::from(buffer.byte_length()))
}

fn tell(state: ScorerState) {
    post(&FromWorker::Scorer(state));
}
