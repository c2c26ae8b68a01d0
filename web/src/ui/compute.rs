//! Panel of this tab's compute devices: tests, measurements and refusals.

use leptos::prelude::*;
use protocol::worker::{CodecRun, ComputeDevice, ComputeKind, TimeOutcome, TokenizerOutcome};

use super::settings;
use super::state::Studio;
use super::worker::{lifecycle, requests};
use crate::compute::{Phase, kind_name, short, verdict_text};
use crate::format;

#[component]
pub(crate) fn ComputePanel() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let phase = Memo::new(move |_| studio.compute.with(|compute| compute.phase.clone()));
    let report = Memo::new(move |_| studio.compute.with(|compute| compute.report.clone()));
    let tokenizer = Memo::new(move |_| studio.compute.with(|compute| compute.tokenizer.clone()));
    let devices = move || {
        report
            .get()
            .map(|report| report.devices)
            .unwrap_or_default()
    };
    let choose = move |word: String| {
        let preference = match word.as_str() {
            "cpu" => Some(ComputeKind::Cpu),
            "webgpu" => Some(ComputeKind::Webgpu),
            _ => None,
        };
        requests::choose(studio, preference);
    };
    let preference = settings::compute().map_or("auto", settings::compute_name);
    let option = move |word: &'static str, text: &'static str| {
        view! { <option value=word selected={preference == word}>{text}</option> }
    };
    view! {
        <section class="panel browser" id="browser" aria-labelledby="browser-title">
            <div class="title-row">
                <h2 id="browser-title">"What this tab computes"</h2>
                <label class="inline">
                    <span class="label">"Compute on"</span>
                    <select data-testid="compute-select" on:change:target=move |e| choose(e.target().value())>
                        {option("auto", "the faster device")}
                        {option("cpu", "CPU")}
                        {option("webgpu", "WebGPU")}
                    </select>
                </label>
            </div>
            <p class="quiet">
                "Action tokens are decoded here, in your browser, so that you can check what the robot was sent. "
                {move || report.get().map(|report| report.reason)}
            </p>
            {move || match phase.get() {
                Phase::Waiting => view! { <p class="quiet">"Starts after the first camera image."</p> }.into_any(),
                Phase::Loading { received } => view! {
                    <div class="progress">
                        <progress aria-label="Loading the compute worker"></progress>
                        <span class="num quiet">{format!("Loading the compute worker, {}", format::megabytes(received))}</span>
                    </div>
                }.into_any(),
                Phase::Dead { reason } => view! {
                    <div class="verdict bad">
                        <p>{reason}</p>
                        <button type="button" class="button" on:click=move |_| lifecycle::start(studio)>"Restart"</button>
                    </div>
                }.into_any(),
                Phase::Running => ().into_any(),
            }}
            <ul class="devices">
                {move || devices().into_iter().map(|device| device_view(&device)).collect_view()}
            </ul>
            {move || match tokenizer.get() {
                Some(TokenizerOutcome::Failed { reason }) => view! { <p class="verdict bad">{reason}</p> }.into_any(),
                Some(TokenizerOutcome::Ready { vocabulary }) => view! {
                    <p class="quiet num">{format!("The policy's action tokenizer is loaded: {vocabulary} tokens.")}</p>
                }.into_any(),
                None => ().into_any(),
            }}
            <CodecTimes/>
        </section>
    }
}

/// The runs to time: the policy's shape and those of common robots, with one chunk and with many.
fn runs(own: Option<(u32, u32)>) -> Vec<CodecRun> {
    let mut shapes: Vec<(u32, u32)> = own.into_iter().collect();
    for shape in [(16, 6), (30, 7), (50, 14)] {
        if !shapes.contains(&shape) {
            shapes.push(shape);
        }
    }
    shapes
        .into_iter()
        .flat_map(|(rows, dims)| [1, 256].map(|batch| CodecRun { rows, dims, batch }))
        .collect()
}

/// Timing of the action codec in this tab, on demand.
#[component]
fn CodecTimes() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let is_ready = Memo::new(move |_| studio.compute.with(crate::compute::Compute::has_tokenizer));
    let is_timing = Memo::new(move |_| studio.compute.with(|compute| compute.is_timing));
    let timing = Memo::new(move |_| {
        studio
            .compute
            .with(|compute| compute.timing.clone().map(|timing| (compute.timed, timing)))
    });
    let measure = move |_| {
        let own = studio.welcome.with_untracked(|welcome| {
            welcome
                .as_ref()
                .map(|w| (w.policy.horizon, w.policy.action.len() as u32))
        });
        requests::time_codec(studio, runs(own));
    };
    let found = move || match timing.get() {
        None => ().into_any(),
        Some((_, TimeOutcome::Failed { reason })) => {
            view! { <p class="verdict bad">{reason}</p> }.into_any()
        }
        Some((measured, TimeOutcome::Timed(timings))) => {
            let headline = timings.first().map(|first| {
                format!(
                    "This tab decodes a {}×{} chunk in {} and encodes it in {}.",
                    first.run.rows,
                    first.run.dims,
                    format::fine_micros(first.decode_micros),
                    format::fine_micros(first.encode_micros)
                )
            });
            let data = timings
                .iter()
                .map(|t| {
                    format!(
                        "{{\"rows\":{},\"dims\":{},\"batch\":{},\"encode_micros\":{},\"decode_micros\":{},\"tokens\":{},\"rounds\":{}}}",
                        t.run.rows, t.run.dims, t.run.batch, t.encode_micros, t.decode_micros, t.tokens, t.rounds
                    )
                })
                .collect::<Vec<_>>()
                .join(",");
            let rounds = timings.first().map_or(0, |first| first.rounds);
            let rows: Vec<_> = timings
                .into_iter()
                .map(|timing| {
                    let CodecRun { rows, dims, batch } = timing.run;
                    view! {
                        <tr>
                            <td>{format!("{rows}×{dims}")}</td>
                            <td>{batch}</td>
                            <td>{format!("{:.1}", timing.tokens)}</td>
                            <td>{format::fine_micros(timing.decode_micros)}</td>
                            <td>{format::fine_micros(timing.encode_micros)}</td>
                        </tr>
                    }
                })
                .collect();
            view! {
                <p
                    class="num"
                    data-testid="codec-times"
                    data-times=format!("[{data}]")
                    data-measured=measured.to_string()
                >{headline}</p>
                <div class="codec-table">
                    <table class="num">
                        <thead><tr><th>"Chunk"</th><th>"Batch"</th><th>"Tokens"</th><th>"Decoding, per chunk"</th><th>"Encoding, per chunk"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
                <p class="quiet num">{format!("Medians of {rounds} rounds, per chunk, in this tab's worker.")}</p>
            }
            .into_any()
        }
    };
    view! {
        <div class="codec">
            <div class="row">
                <button
                    type="button"
                    class="button"
                    data-testid="codec-measure"
                    disabled=move || !is_ready.get() || is_timing.get()
                    on:click=measure
                >{move || if is_timing.get() { "Measuring …" } else { "Time the action codec" }}</button>
                <span class="quiet">"Encodes and decodes sample chunks for a second or two."</span>
            </div>
            {found}
        </div>
    }
}

fn device_view(device: &ComputeDevice) -> impl IntoView + use<> {
    let (state, verdict, why) = verdict_text(&device.verdict);
    let why = why.map(str::to_owned);
    let passed = device.checks.iter().filter(|check| check.passed).count();
    let count = device.checks.len();
    let probe = (device.probe_millis > 0.0)
        .then(|| format!("probed in {}", format::millis(device.probe_millis)));
    let timings: Vec<String> = device
        .products
        .iter()
        .map(|p| {
            let size = p.size;
            format!(
                "{size}×{size} product {} ({} GFLOP/s)",
                format::millis(p.millis),
                short(p.gflops())
            )
        })
        .collect();
    let checks: Vec<_> = device
        .checks
        .iter()
        .map(|check| {
            let mark = if check.passed { "✓" } else { "✗" };
            let error = if check.max_error.is_finite() {
                format!(
                    "off by {:.1e}, {:.0e} allowed",
                    check.max_error, check.tolerance
                )
            } else {
                "no valid result".to_owned()
            };
            view! {
                <tr class:failed={!check.passed}>
                    <td>{mark}</td>
                    <td>{check.name.clone()}</td>
                    <td>{error}</td>
                </tr>
            }
        })
        .collect();
    let hook = format!("device-{}", settings::compute_name(device.kind));
    view! {
        <li class="device" data-testid=hook data-state=state>
            <div class="device-head">
                <span class="dot" aria-hidden="true"></span>
                <strong>{kind_name(device.kind)}</strong>
                <span class="quiet">{device.name.clone()}</span>
            </div>
            <p>
                {verdict}
                {why.map(|why| format!(": {why}."))}
                {(state == "testing").then(|| view! { <progress aria-label="Testing"></progress> })}
            </p>
            <p class="quiet num">{timings.into_iter().chain(probe).collect::<Vec<_>>().join(", ")}</p>
            {(count > 0).then(|| view! {
                <details>
                    <summary class="num">{format!("{passed} of {count} checks of the self-test passed")}</summary>
                    <table class="num"><tbody>{checks}</tbody></table>
                </details>
            })}
        </li>
    }
}
