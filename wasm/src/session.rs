//! The worker's life: try the devices, then answer the page.

mod depth;
mod jobs;
mod scorer;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use burn::tensor::Device;
use js_sys::Uint8Array;
use layers::device;
use openfast::FastTokenizer;
use protocol::worker::{
    CodecRun, ComputeDevice, ComputeKind, ComputeReport, DecodeOutcome, DecodeRequest, FromWorker,
    TimeOutcome, ToWorker, TokenizerOutcome, UnfoldOutcome, Verdict, from_bytes,
};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, MessageEvent};

use crate::choose::choose;
use crate::clock::now_millis;
use crate::decode::{DecodeFailure, decode};
use crate::probe;
use crate::scope::{adapter, breathe, fetch_bytes, post, scope, within};
use crate::timing::time;
use crate::unfold::{encode, unfold};

/// Opening an adapter.
const OPEN_MILLIS: i32 = 15_000;
/// A dozen shaders on a software adapter take tens of seconds; longer than this and nobody would wait for it.
const SELF_TEST_MILLIS: i32 = 60_000;
/// Timing after the self-test.
const TIMING_MILLIS: i32 = 15_000;
/// One decode; on a software adapter it takes well below a second once its shaders are compiled.
const DECODE_MILLIS: i32 = 15_000;
const NO_TOKENIZER: &str = "The policy's action tokenizer is not loaded.";
/// The page gives the worker this name to keep it off WebGPU, after a worker died there.
const CPU_ONLY: &str = "cpu-only";

#[derive(Default)]
struct Session {
    reports: Vec<ComputeDevice>,
    opened: Vec<(ComputeKind, Device)>,
    wish: Option<ComputeKind>,
    chosen: Option<ComputeKind>,
    settled: bool,
    tokenizer: Option<FastTokenizer>,
    depth: Option<depth::Held>,
    scorer: Option<scorer::Held>,
    /// Stops the scorer's load that is on its way.
    fetching: Option<AbortController>,
    jobs: BTreeMap<u64, jobs::Job>,
}

type Shared = Rc<RefCell<Session>>;

/// Starts the worker; called by `static/worker.js` once the module's constructors have run (see `build.rs`).
#[allow(unreachable_pub, reason = "wasm-bindgen exports public functions only")]
#[wasm_bindgen]
pub fn start() {
    console_error_panic_hook::set_once();
    let session = Shared::default();
    let for_messages = session.clone();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        receive(&for_messages, &event.data());
    });
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // The listener lives as long as the worker.
    on_message.forget();
    post(&FromWorker::Started);
    spawn_local(probe_devices(session));
}

fn receive(session: &Shared, data: &JsValue) {
    let bytes = Uint8Array::new(data).to_vec();
    match from_bytes::<ToWorker>(&bytes) {
        Ok(ToWorker::Choose(wish)) => {
            session.borrow_mut().wish = wish;
            decide(session);
            if let Some(kind) = wish {
                spawn_local(test_postponed(session.clone(), kind));
            }
        }
        Ok(ToWorker::LoadTokenizer {
            tokenizer_url,
            processor_config_url,
        }) => {
            let session = session.clone();
            spawn_local(async move {
                let outcome = load_tokenizer(&session, &tokenizer_url, &processor_config_url).await;
                post(&FromWorker::Tokenizer(outcome));
            });
        }
        Ok(ToWorker::Decode(request)) => {
            let session = session.clone();
            spawn_local(async move {
                let outcome = answer(&session, &request).await;
                post(&FromWorker::Decoded {
                    request_id: request.request_id,
                    outcome,
                });
            });
        }
        Ok(ToWorker::Unfold(request)) => post(&FromWorker::Unfolded {
            request_id: request.request_id,
            outcome: with_tokenizer(session, |tokenizer| unfold(&request, tokenizer)),
        }),
        Ok(ToWorker::Encode(request)) => post(&FromWorker::Encoded {
            request_id: request.request_id,
            outcome: with_tokenizer(session, |tokenizer| encode(&request, tokenizer)),
        }),
        Ok(ToWorker::Time(runs)) => {
            let session = session.clone();
            spawn_local(async move {
                post(&FromWorker::Timed(time_all(&session, runs).await));
            });
        }
        Ok(ToWorker::LoadDepthDecoder { url }) => {
            let session = session.clone();
            spawn_local(async move {
                post(&FromWorker::DepthDecoder(depth::load(&session, &url).await));
            });
        }
        Ok(ToWorker::Draw(request)) => {
            let session = session.clone();
            spawn_local(async move {
                post(&FromWorker::Drawn {
                    request_id: request.request_id,
                    outcome: depth::answer(&session, &request).await,
                });
            });
        }
        Ok(ToWorker::LoadScorer(wanted)) => {
            let session = session.clone();
            spawn_local(async move { scorer::load(&session, &wanted).await });
        }
        Ok(ToWorker::CancelScorer) => scorer::cancel(session),
        Ok(ToWorker::ForgetScorers) => spawn_local(scorer::forget()),
        Ok(ToWorker::Score(request)) => jobs::open(session, request),
        Ok(ToWorker::ScoreFrame(frame)) => jobs::take(session, frame),
        Ok(ToWorker::ScoreClose { job }) => jobs::close(session, job),
        Ok(ToWorker::ScoreCancel { job }) => jobs::cancel(session, job),
        Err(error) => web_sys::console::error_1(&error.to_string().into()),
    }
}

/// Needs no device: the transform of one chunk takes microseconds wherever it runs.
fn with_tokenizer(
    session: &Shared,
    work: impl FnOnce(&FastTokenizer) -> UnfoldOutcome,
) -> UnfoldOutcome {
    match &session.borrow().tokenizer {
        Some(tokenizer) => work(tokenizer),
        None => UnfoldOutcome::Failed {
            reason: NO_TOKENIZER.to_owned(),
        },
    }
}

async fn time_all(session: &Shared, runs: Vec<CodecRun>) -> TimeOutcome {
    let Some(tokenizer) = session.borrow().tokenizer.clone() else {
        return TimeOutcome::Failed {
            reason: NO_TOKENIZER.to_owned(),
        };
    };
    let mut timings = Vec::with_capacity(runs.len());
    for run in runs {
        breathe().await;
        match time(run, &tokenizer) {
            Ok(timing) => timings.push(timing),
            Err(reason) => return TimeOutcome::Failed { reason },
        }
    }
    TimeOutcome::Timed(timings)
}

/// CPU first: it is ready in a moment, and the page can decode on it while WebGPU is still being tried.
async fn probe_devices(session: Shared) {
    let cpu = probe::testing(
        ComputeKind::Cpu,
        "burn-flex in wasm, 128-bit SIMD, one thread",
    );
    session.borrow_mut().reports.push(cpu.clone());
    decide(&session);
    breathe().await;
    let (report, device) = try_cpu(cpu).await;
    conclude(&session, report, Some(device));

    let gpu = probe::testing(ComputeKind::Webgpu, "WebGPU");
    session.borrow_mut().reports.push(gpu.clone());
    decide(&session);
    breathe().await;
    let started_millis = now_millis();
    let passed = session.borrow().reports.clone();
    let (mut report, device) = if scope().name() == CPU_ONLY {
        let why = "the worker died while it was being tested; the tab now runs without it";
        (
            ComputeDevice {
                verdict: Verdict::Refused(why.to_owned()),
                ..gpu
            },
            None,
        )
    } else {
        try_webgpu(gpu, &passed).await
    };
    report.probe_millis = now_millis() - started_millis;
    session.borrow_mut().settled = true;
    conclude(&session, report, device);
    let wish = session.borrow().wish;
    if let Some(kind) = wish {
        test_postponed(session, kind).await;
    }
}

async fn try_cpu(mut report: ComputeDevice) -> (ComputeDevice, Device) {
    let started_millis = now_millis();
    let device = device::cpu();
    probe::self_test(&device, &mut report).await;
    if report.verdict == Verdict::Passed {
        match probe::time_products(&device).await {
            Ok(products) => report.products = products,
            Err(why) => report.verdict = Verdict::Refused(why),
        }
    }
    report.probe_millis = now_millis() - started_millis;
    (report, device)
}

async fn try_webgpu(
    mut report: ComputeDevice,
    passed: &[ComputeDevice],
) -> (ComputeDevice, Option<Device>) {
    let named = match within(OPEN_MILLIS, adapter()).await {
        Some(Ok(named)) => named,
        Some(Err(why)) => return unavailable(report, why),
        None => return unavailable(report, timed_out("looking for an adapter", OPEN_MILLIS)),
    };
    report.name = if named.software {
        format!("{} (software)", named.name)
    } else {
        named.name
    };
    let device = match within(OPEN_MILLIS, device::gpu_async()).await {
        Some(Ok(gpu)) => gpu.device,
        Some(Err(error)) => return unavailable(report, error.to_string()),
        None => return unavailable(report, timed_out("opening the adapter", OPEN_MILLIS)),
    };
    match within(TIMING_MILLIS, probe::time_smallest(&device)).await {
        Some(Ok(product)) => {
            report.products = vec![product];
            if let Some(why) = probe::postponement(product, passed) {
                report.verdict = Verdict::Postponed(why);
                return (report, Some(device));
            }
        }
        Some(Err(why)) => report.verdict = Verdict::Refused(why),
        None => report.verdict = Verdict::Refused(timed_out("a small product", TIMING_MILLIS)),
    }
    if report.verdict == Verdict::Testing {
        test_and_time(&device, &mut report).await;
    }
    (report, Some(device))
}

/// The self-test and, if it passes, the timing; each with its limit.
async fn test_and_time(device: &Device, report: &mut ComputeDevice) {
    if within(SELF_TEST_MILLIS, probe::self_test(device, report))
        .await
        .is_none()
    {
        report.verdict = Verdict::Refused(timed_out("the self-test", SELF_TEST_MILLIS));
    }
    if report.verdict == Verdict::Passed {
        match within(TIMING_MILLIS, probe::time_products(device)).await {
            Some(Ok(products)) => report.products = products,
            Some(Err(why)) => report.verdict = Verdict::Refused(why),
            None => report.verdict = Verdict::Refused(timed_out("the timing", TIMING_MILLIS)),
        }
    }
}

/// Gives a postponed device the self-test that it still owes.
async fn test_postponed(session: Shared, kind: ComputeKind) {
    let found = {
        let mut session = session.borrow_mut();
        let device = session
            .opened
            .iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, device)| device.clone());
        let report = session
            .reports
            .iter_mut()
            .find(|known| known.kind == kind && matches!(known.verdict, Verdict::Postponed(_)));
        device.zip(report.map(|report| {
            report.verdict = Verdict::Testing;
            report.clone()
        }))
    };
    if let Some((device, mut report)) = found {
        decide(&session);
        let started_millis = now_millis();
        test_and_time(&device, &mut report).await;
        report.probe_millis += now_millis() - started_millis;
        conclude(&session, report, None);
    }
}

fn unavailable(report: ComputeDevice, why: String) -> (ComputeDevice, Option<Device>) {
    (
        ComputeDevice {
            verdict: Verdict::Unavailable(why),
            ..report
        },
        None,
    )
}

fn timed_out(what: &str, millis: i32) -> String {
    format!("{what} did not finish within {} s", millis / 1000)
}

fn conclude(session: &Shared, report: ComputeDevice, device: Option<Device>) {
    {
        let mut session = session.borrow_mut();
        if let Some(device) = device {
            session.opened.push((report.kind, device));
        }
        if let Some(slot) = session
            .reports
            .iter_mut()
            .find(|known| known.kind == report.kind)
        {
            *slot = report;
        }
    }
    decide(session);
}

/// Chooses among what is known and tells the page.
fn decide(session: &Shared) {
    let report = {
        let mut session = session.borrow_mut();
        let choice = choose(&session.reports, session.wish);
        session.chosen = choice.chosen;
        ComputeReport {
            devices: session.reports.clone(),
            chosen: choice.chosen,
            chosen_by_visitor: choice.by_visitor,
            reason: choice.reason,
            settled: session.settled,
        }
    };
    post(&FromWorker::Devices(report));
}

async fn load_tokenizer(
    session: &Shared,
    tokenizer_url: &str,
    config_url: &str,
) -> TokenizerOutcome {
    session.borrow_mut().tokenizer = None;
    match fetch_tokenizer(tokenizer_url, config_url).await {
        Ok(tokenizer) => {
            let vocabulary = tokenizer.vocab_size() as u32;
            session.borrow_mut().tokenizer = Some(tokenizer);
            TokenizerOutcome::Ready { vocabulary }
        }
        Err(reason) => TokenizerOutcome::Failed { reason },
    }
}

async fn fetch_tokenizer(tokenizer_url: &str, config_url: &str) -> Result<FastTokenizer, String> {
    let tokenizer = fetch_bytes(tokenizer_url).await?;
    let config = fetch_bytes(config_url).await?;
    FastTokenizer::from_bytes(&tokenizer, &config)
        .map_err(|error| format!("the policy's action tokenizer cannot be read: {error}"))
}

async fn answer(session: &Shared, request: &DecodeRequest) -> DecodeOutcome {
    loop {
        let tokenizer = session.borrow().tokenizer.clone();
        let Some((tokenizer, (kind, device))) = tokenizer.zip(chosen_device(session)) else {
            return DecodeOutcome::Failed {
                reason: what_is_missing(session, NO_TOKENIZER),
            };
        };
        let failure = match within(DECODE_MILLIS, decode(request, &tokenizer, &device, kind)).await
        {
            Some(Ok(comparison)) => return DecodeOutcome::Compared(comparison),
            Some(Err(failure @ DecodeFailure::ReadBack { .. })) => failure.to_string(),
            Some(Err(failure)) => {
                return DecodeOutcome::Failed {
                    reason: failure.to_string(),
                };
            }
            None => timed_out("a decode", DECODE_MILLIS),
        };
        // The device failed, not the tokens: it is out, and the next best one tries again.
        refuse(session, kind, failure);
    }
}

/// Where to compute now.
fn chosen_device(session: &Shared) -> Option<(ComputeKind, Device)> {
    let session = session.borrow();
    let kind = session.chosen?;
    session
        .opened
        .iter()
        .find(|(known, _)| *known == kind)
        .cloned()
}

fn refuse(session: &Shared, kind: ComputeKind, why: String) {
    if let Some(report) = session
        .borrow_mut()
        .reports
        .iter_mut()
        .find(|known| known.kind == kind)
    {
        report.verdict = Verdict::Refused(why);
    }
    decide(session);
}

/// Why nothing can be computed: no device, or else `without`.
fn what_is_missing(session: &Shared, without: &str) -> String {
    let session = session.borrow();
    if session.chosen.is_none() {
        choose(&session.reports, session.wish).reason
    } else {
        without.to_owned()
    }
}
