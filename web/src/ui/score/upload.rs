//! A scoring job on the studio's device: one request uploads the frames, and its response streams the events.

use js_sys::{Array, Reflect, Uint8Array};
use leptos::prelude::*;
use protocol::score::{ScoreEvent, ScoreFrame, ScoreRequest};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Blob, ReadableStreamDefaultReader, RequestInit, Response};

use crate::score_http::{EventLines, length_prefixed};
use crate::scorer::error_text;

/// Body of the request.
pub(super) struct UploadBody {
    request: ScoreRequest,
    frames: Array,
    count: u32,
}

impl UploadBody {
    /// # Errors
    /// The reason that the request cannot be encoded.
    pub(super) fn new(request: &ScoreRequest) -> Result<Self, String> {
        length_prefixed(request)?;
        Ok(Self {
            request: request.clone(),
            frames: Array::new(),
            count: 0,
        })
    }

    /// # Errors
    /// The reason that the frame cannot be encoded.
    pub(super) fn push(&mut self, frame: &ScoreFrame) -> Result<(), String> {
        // Kept outside WebAssembly memory, which cannot shrink.
        self.frames
            .push(&Uint8Array::from(length_prefixed(frame)?.as_slice()));
        self.count += 1;
        Ok(())
    }

    fn into_blob(mut self) -> Result<Blob, String> {
        // The length of a live video is known now, and every frame is a point.
        if self.request.frames.is_none() {
            self.request.frames = Some(self.count);
            "all".clone_into(&mut self.request.prefixes);
        }
        self.frames.unshift(&Uint8Array::from(
            length_prefixed(&self.request)?.as_slice(),
        ));
        Blob::new_with_u8_array_sequence(&self.frames)
            .map_err(|_| "The browser has too little memory for the frames.".to_owned())
    }
}

/// Sends a job and passes its events to `on_event` until it ends.
///
/// # Errors
/// The reason that there is no complete answer, as a sentence.
pub(super) async fn upload(
    abort: &AbortController,
    job: u64,
    body: UploadBody,
    mut on_event: impl FnMut(ScoreEvent),
) -> Result<(), String> {
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_body_opt_blob(Some(&body.into_blob()?));
    init.set_signal(Some(&abort.signal()));
    let sent = window().fetch_with_str_and_init("api/scorer/score", &init);
    let response: Response = JsFuture::from(sent)
        .await
        .map_err(|_| "The studio did not answer; is it still running?".to_owned())?
        .unchecked_into();
    if !response.ok() {
        let message = body_text(&response).await.unwrap_or_default();
        return Err(format!(
            "The studio refused to score this: {}",
            error_text(response.status(), &message)
        ));
    }
    let broken = || "The studio’s answer ended early; score it again.".to_owned();
    let stream = response.body().ok_or_else(broken)?;
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut lines = EventLines::default();
    loop {
        let piece = JsFuture::from(reader.read()).await.map_err(|_| broken())?;
        let property = |key: &str| Reflect::get(&piece, &key.into()).unwrap_or(JsValue::UNDEFINED);
        if property("done").is_truthy() {
            // A complete response ends with the end of the job.
            return Err(broken());
        }
        let Ok(bytes) = property("value").dyn_into::<Uint8Array>() else {
            continue;
        };
        for event in lines.push(&bytes.to_vec())? {
            let is_end = matches!(event, ScoreEvent::Ended { .. });
            if event.job() == job {
                on_event(event);
            }
            if is_end {
                return Ok(());
            }
        }
    }
}

/// Body of a response as text.
pub(super) async fn body_text(response: &Response) -> Option<String> {
    JsFuture::from(response.text().ok()?)
        .await
        .ok()?
        .as_string()
}
