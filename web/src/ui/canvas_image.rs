//! Camera images drawn on a canvas. An image that arrives while another is being decoded replaces the waiting one: a late
//! image is worse than a lost one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, Uint8Array};
use leptos::prelude::*;
use protocol::{View, ViewEncoding};
use wasm_bindgen::{Clamped, JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Blob, BlobPropertyBag, CanvasRenderingContext2d, HtmlCanvasElement, ImageBitmap, ImageData,
};

use super::time::now_millis;
use crate::depth_colors::DepthColors;

/// Number of images over which the meter averages.
const METER_OVER: f64 = 8.0;
/// Update interval of the meter, so that the caption does not flicker.
const METER_MILLIS: f64 = 500.0;

/// Size, rate and age of the images on a canvas.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct FrameMeter {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frames_per_second: f64,
    /// Time of the newest image at the last update [page milliseconds]; 0 before the first.
    pub(crate) shown_at_millis: f64,
}

/// A canvas and its images.
pub(crate) struct CanvasImage {
    canvas: HtmlCanvasElement,
    context: CanvasRenderingContext2d,
    colors: DepthColors,
    frames: Cell<u64>,
    is_busy: Cell<bool>,
    waiting: RefCell<Option<View>>,
    interval_millis: Cell<f64>,
    shown_at_millis: Cell<f64>,
    meter: RwSignal<FrameMeter>,
}

impl CanvasImage {
    /// An image on `canvas`; `None` if the browser offers no 2d context.
    pub(crate) fn new(canvas: HtmlCanvasElement, meter: RwSignal<FrameMeter>) -> Option<Self> {
        let context = canvas.get_context("2d").ok()??.dyn_into().ok()?;
        Some(Self {
            canvas,
            context,
            colors: DepthColors::default(),
            frames: Cell::new(0),
            is_busy: Cell::new(false),
            waiting: RefCell::new(None),
            interval_millis: Cell::new(0.0),
            shown_at_millis: Cell::new(0.0),
            meter,
        })
    }

    /// Number of images shown.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.get()
    }

    /// Time of the newest image [page milliseconds]; 0 before the first.
    pub(crate) fn shown_at_millis(&self) -> f64 {
        self.shown_at_millis.get()
    }

    /// Shows an image, at once or as soon as the previous one is decoded.
    pub(crate) fn show(image: &Rc<Self>, view: View) {
        match view.encoding {
            ViewEncoding::Jpeg => {
                image.waiting.replace(Some(view));
                if !image.is_busy.replace(true) {
                    let image = image.clone();
                    spawn_local(async move {
                        image.drain().await;
                        image.is_busy.set(false);
                    });
                }
            }
            ViewEncoding::DepthGray8 => {
                image.draw_rgba(&view, &image.colors.paint_gray(&view.data));
            }
            ViewEncoding::DepthMillimetresU16 => {
                image.draw_rgba(&view, &image.colors.paint_millimeters(&view.data));
            }
            ViewEncoding::Rgb8 => {
                let triples = view
                    .data
                    .chunks_exact(3)
                    .filter_map(|rgb| rgb.first_chunk::<3>());
                let rgba: Vec<u8> = triples.flat_map(|&[r, g, b]| [r, g, b, 255]).collect();
                image.draw_rgba(&view, &rgba);
            }
        }
    }

    async fn drain(&self) {
        loop {
            let next = self.waiting.borrow_mut().take();
            let Some(view) = next else {
                return;
            };
            // An image that does not decode is skipped; the next one follows soon.
            if let Some(bitmap) = decode_jpeg(&view).await {
                self.resize(bitmap.width(), bitmap.height());
                self.context
                    .draw_image_with_image_bitmap(&bitmap, 0.0, 0.0)
                    .ok();
                self.record_frame(bitmap.width(), bitmap.height());
                bitmap.close();
            }
        }
    }

    fn draw_rgba(&self, view: &View, rgba: &[u8]) {
        let image =
            ImageData::new_with_u8_clamped_array_and_sh(Clamped(rgba), view.width, view.height);
        if let Ok(image) = image {
            self.resize(view.width, view.height);
            self.context.put_image_data(&image, 0.0, 0.0).ok();
            self.record_frame(view.width, view.height);
        }
    }

    fn resize(&self, width: u32, height: u32) {
        if (self.canvas.width(), self.canvas.height()) != (width, height) {
            self.canvas.set_width(width);
            self.canvas.set_height(height);
        }
    }

    fn record_frame(&self, width: u32, height: u32) {
        let frames = self.frames.get() + 1;
        self.frames.set(frames);
        self.canvas
            .set_attribute("data-frames", &frames.to_string())
            .ok();
        let now = now_millis();
        let before = self.shown_at_millis.replace(now);
        if before > 0.0 {
            let mean = self.interval_millis.get();
            let interval = now - before;
            let next = if mean > 0.0 {
                mean + (interval - mean) / METER_OVER
            } else {
                interval
            };
            self.interval_millis.set(next);
        }
        // An image that was being decoded when its camera left the page has no caption any more.
        let Some(reported) = self.meter.try_get_untracked() else {
            return;
        };
        if now - reported.shown_at_millis > METER_MILLIS || reported.shown_at_millis == 0.0 {
            let mean = self.interval_millis.get();
            self.meter.try_set(FrameMeter {
                width,
                height,
                frames_per_second: if mean > 0.0 { 1e3 / mean } else { 0.0 },
                shown_at_millis: now,
            });
        }
    }
}

/// The bitmap of a JPEG image; `None` if it does not decode.
pub(crate) async fn decode_jpeg(view: &View) -> Option<ImageBitmap> {
    let parts = Array::new();
    parts.push(&Uint8Array::from(view.data.as_slice()));
    let kind = BlobPropertyBag::new();
    kind.set_type("image/jpeg");
    let blob = Blob::new_with_u8_array_sequence_and_options(&parts, &kind).ok()?;
    let promise = window().create_image_bitmap_with_blob(&blob).ok()?;
    let bitmap: JsValue = JsFuture::from(promise).await.ok()?;
    bitmap.dyn_into().ok()
}
