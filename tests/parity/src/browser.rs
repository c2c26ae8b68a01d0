//! The comparison for a Web Worker.

use std::cell::RefCell;

use js_sys::{Array, Uint8Array};
use layers::Device;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::{Findings, GoldenFiles, compare};

/// What a worker answers, as JSON.
#[derive(Serialize)]
struct Report {
    case: String,
    device: String,
    #[serde(flatten)]
    findings: Findings,
}

thread_local! {
    /// An adapter is opened once, and then its device is kept.
    static GPU: RefCell<Option<(Device, String)>> = const { RefCell::new(None) };
}

/// Says on the console where a panic came from.
#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Compares one case on `device` ("cpu" or "webgpu"); `paths` (under `tests/goldens`) and `contents` (as many
/// `Uint8Array`s) are its files. Gives the findings as JSON.
///
/// # Errors
/// In words: an unknown device, no adapter, a file that is missing, a network that refuses.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "the macro exports it")]
pub async fn compare_case(
    case: String,
    device: String,
    paths: Vec<String>,
    contents: Array,
) -> Result<String, JsValue> {
    let contents = contents
        .iter()
        .map(|bytes| Uint8Array::new(&bytes).to_vec());
    let files = GoldenFiles::from_memory(paths.into_iter().zip(contents));
    let (device, name) = open(&device).await.map_err(|why| JsValue::from(&why))?;
    let findings = compare(&case, &files, &device)
        .await
        .map_err(|error| JsValue::from(format!("{case} on {name}: {error:#}")))?;
    let report = Report {
        case,
        device: name,
        findings,
    };
    serde_json::to_string(&report).map_err(|error| JsValue::from(error.to_string()))
}

async fn open(device: &str) -> Result<(Device, String), String> {
    match device {
        "cpu" => Ok((layers::device::cpu(), "CPU".to_owned())),
        "webgpu" => {
            if let Some(open) = GPU.with_borrow(Clone::clone) {
                return Ok(open);
            }
            let gpu = layers::device::gpu_async()
                .await
                .map_err(|error| error.to_string())?;
            let open = (gpu.device, gpu.interface);
            GPU.set(Some(open.clone()));
            Ok(open)
        }
        other => Err(format!("{other:?} is no device; cpu and webgpu are")),
    }
}
