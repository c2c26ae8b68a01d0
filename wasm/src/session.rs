//! The worker's session: tests the devices, then handles the page's messages.

mod depth_images;
mod devices;
mod score_jobs;
mod scorer;
mod tokenizer;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use burn_tensor::Device;
use js_sys::Uint8Array;
use openfast::FastTokenizer;
use protocol::worker::{ComputeDevice, ComputeKind, FromWorker, ToWorker, from_bytes};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, MessageEvent};

use crate::partial_decode::{decode_partial, encode};
use crate::worker_scope::{global_scope, post};

#[derive(Default)]
struct Session {
    reports: Vec<ComputeDevice>,
    opened: Vec<(ComputeKind, Device)>,
    preference: Option<ComputeKind>,
    chosen: Option<ComputeKind>,
    settled: bool,
    tokenizer: Option<FastTokenizer>,
    depth: Option<depth_images::LoadedDecoder>,
    scorer: Option<scorer::LoadedScorer>,
    /// Aborts the scorer's load in progress.
    fetching: Option<AbortController>,
    jobs: BTreeMap<u64, score_jobs::Job>,
}

type SharedSession = Rc<RefCell<Session>>;

/// Starts the worker; `static/worker.js` calls it once the module's constructors have run (see `build.rs`).
#[allow(unreachable_pub, reason = "wasm-bindgen exports public functions only")]
#[wasm_bindgen]
pub fn start() {
    console_error_panic_hook::set_once();
    let session = SharedSession::default();
    let for_messages = session.clone();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        receive(&for_messages, &event.data());
    });
    global_scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // The listener lives as long as the worker.
    on_message.forget();
    post(&FromWorker::Started);
    spawn_local(devices::test_all(session));
}

fn receive(session: &SharedSession, data: &JsValue) {
    let bytes = Uint8Array::new(data).to_vec();
    match from_bytes::<ToWorker>(&bytes) {
        Ok(ToWorker::Choose(preference)) => {
            session.borrow_mut().preference = preference;
            devices::choose_device(session);
            if let Some(kind) = preference {
                spawn_local(devices::test_postponed(session.clone(), kind));
            }
        }
        Ok(ToWorker::LoadTokenizer {
            tokenizer_url,
            processor_config_url,
        }) => {
            let session = session.clone();
            spawn_local(async move {
                let outcome =
                    tokenizer::load(&session, &tokenizer_url, &processor_config_url).await;
                post(&FromWorker::Tokenizer(outcome));
            });
        }
        Ok(ToWorker::Decode(request)) => {
            let session = session.clone();
            spawn_local(async move {
                let outcome = tokenizer::answer(&session, &request).await;
                post(&FromWorker::Decoded {
                    request_id: request.request_id,
                    outcome,
                });
            });
        }
        Ok(ToWorker::DecodePartial(request)) => post(&FromWorker::PartiallyDecoded {
            request_id: request.request_id,
            outcome: tokenizer::with_tokenizer(session, |tokenizer| {
                decode_partial(&request, tokenizer)
            }),
        }),
        Ok(ToWorker::Encode(request)) => post(&FromWorker::Encoded {
            request_id: request.request_id,
            outcome: tokenizer::with_tokenizer(session, |tokenizer| encode(&request, tokenizer)),
        }),
        Ok(ToWorker::Time(runs)) => {
            let session = session.clone();
            spawn_local(async move {
                post(&FromWorker::Timed(
                    tokenizer::time_all(&session, runs).await,
                ));
            });
        }
        Ok(ToWorker::LoadDepthDecoder { url }) => {
            let session = session.clone();
            spawn_local(async move {
                post(&FromWorker::DepthDecoder(
                    depth_images::load(&session, &url).await,
                ));
            });
        }
        Ok(ToWorker::Draw(request)) => {
            let session = session.clone();
            spawn_local(async move {
                post(&FromWorker::Drawn {
                    request_id: request.request_id,
                    outcome: depth_images::answer(&session, &request).await,
                });
            });
        }
        Ok(ToWorker::LoadScorer(request)) => {
            let session = session.clone();
            spawn_local(async move { scorer::load(&session, &request).await });
        }
        Ok(ToWorker::CancelScorer) => scorer::cancel(session),
        Ok(ToWorker::ForgetScorers) => spawn_local(scorer::forget()),
        Ok(ToWorker::Score(request)) => score_jobs::open(session, request),
        Ok(ToWorker::ScoreFrame(frame)) => score_jobs::push_frame(session, frame),
        Ok(ToWorker::ScoreClose { job }) => score_jobs::close(session, job),
        Ok(ToWorker::ScoreCancel { job }) => score_jobs::cancel(session, job),
        Err(error) => web_sys::console::error_1(&error.to_string().into()),
    }
}
