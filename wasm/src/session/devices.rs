//! The devices of the session: each is tested before use, one is chosen, and a device that fails is refused.

use burn_tensor::Device;
use layers::device;
use protocol::worker::{ComputeDevice, ComputeKind, ComputeReport, FromWorker, Verdict};

use super::SharedSession;
use crate::clock::now_millis;
use crate::device_choice::choose;
use crate::probe;
use crate::worker_scope::{adapter_info, global_scope, post, with_timeout, yield_to_event_loop};

/// Time limit for opening an adapter.
const OPEN_MILLIS: i32 = 15_000;
/// Time limit of the self-test: a dozen shaders on a software adapter take tens of seconds.
const SELF_TEST_MILLIS: i32 = 60_000;
/// Time limit of the timing after the self-test.
const TIMING_MILLIS: i32 = 15_000;
/// Name of a worker that must not use WebGPU, because one died there before.
const CPU_ONLY: &str = "cpu-only";

/// Tests the CPU first: it is ready at once, and the page can decode on it while WebGPU is still being tested.
pub(super) async fn test_all(session: SharedSession) {
    let cpu = probe::new_report(
        ComputeKind::Cpu,
        "burn-flex in wasm, 128-bit SIMD, one thread",
    );
    session.borrow_mut().reports.push(cpu.clone());
    choose_device(&session);
    yield_to_event_loop().await;
    let (report, device) = try_cpu(cpu).await;
    record(&session, report, Some(device));

    let gpu = probe::new_report(ComputeKind::Webgpu, "WebGPU");
    session.borrow_mut().reports.push(gpu.clone());
    choose_device(&session);
    yield_to_event_loop().await;
    let started_millis = now_millis();
    let passed = session.borrow().reports.clone();
    let (mut report, device) = if global_scope().name() == CPU_ONLY {
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
    record(&session, report, device);
    let preference = session.borrow().preference;
    if let Some(kind) = preference {
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
    let info = match with_timeout(OPEN_MILLIS, adapter_info()).await {
        Some(Ok(info)) => info,
        Some(Err(why)) => return unavailable(report, why),
        None => return unavailable(report, timed_out("looking for an adapter", OPEN_MILLIS)),
    };
    report.name = if info.software {
        format!("{} (software)", info.name)
    } else {
        info.name
    };
    let device = match with_timeout(OPEN_MILLIS, device::gpu_async()).await {
        Some(Ok(gpu)) => gpu.device,
        Some(Err(error)) => return unavailable(report, error.to_string()),
        None => return unavailable(report, timed_out("opening the adapter", OPEN_MILLIS)),
    };
    match with_timeout(TIMING_MILLIS, probe::time_smallest(&device)).await {
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

/// Runs the self-test and, if it passes, the timing, each with its time limit.
async fn test_and_time(device: &Device, report: &mut ComputeDevice) {
    if with_timeout(SELF_TEST_MILLIS, probe::self_test(device, report))
        .await
        .is_none()
    {
        report.verdict = Verdict::Refused(timed_out("the self-test", SELF_TEST_MILLIS));
    }
    if report.verdict == Verdict::Passed {
        match with_timeout(TIMING_MILLIS, probe::time_products(device)).await {
            Some(Ok(products)) => report.products = products,
            Some(Err(why)) => report.verdict = Verdict::Refused(why),
            None => report.verdict = Verdict::Refused(timed_out("the timing", TIMING_MILLIS)),
        }
    }
}

/// Runs the postponed self-test of a device.
pub(super) async fn test_postponed(session: SharedSession, kind: ComputeKind) {
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
        choose_device(&session);
        let started_millis = now_millis();
        test_and_time(&device, &mut report).await;
        report.probe_millis += now_millis() - started_millis;
        record(&session, report, None);
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

pub(super) fn timed_out(what: &str, millis: i32) -> String {
    format!("{what} did not finish within {} s", millis / 1000)
}

fn record(session: &SharedSession, report: ComputeDevice, device: Option<Device>) {
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
    choose_device(session);
}

/// Chooses among the reports and informs the page.
pub(super) fn choose_device(session: &SharedSession) {
    let report = {
        let mut session = session.borrow_mut();
        let choice = choose(&session.reports, session.preference);
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

/// The device to compute on.
pub(super) fn chosen_device(session: &SharedSession) -> Option<(ComputeKind, Device)> {
    let session = session.borrow();
    let kind = session.chosen?;
    session
        .opened
        .iter()
        .find(|(known, _)| *known == kind)
        .cloned()
}

pub(super) fn refuse(session: &SharedSession, kind: ComputeKind, why: String) {
    if let Some(report) = session
        .borrow_mut()
        .reports
        .iter_mut()
        .find(|known| known.kind == kind)
    {
        report.verdict = Verdict::Refused(why);
    }
    choose_device(session);
}

/// The reason that nothing can be computed: there is no device, or else `without`.
pub(super) fn missing_reason(session: &SharedSession, without: &str) -> String {
    let session = session.borrow();
    if session.chosen.is_none() {
        choose(&session.reports, session.preference).reason
    } else {
        without.to_owned()
    }
}
