//! Captures the pixels of a frame and a thumbnail.

use js_sys::Object;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

/// Width of a thumbnail (pixels).
const THUMBNAIL_WIDTH: f64 = 240.0;
/// JPEG quality of a thumbnail, from 0 to 1.
const THUMBNAIL_QUALITY: f64 = 0.82;

/// A frame as the scorer receives it.
#[derive(Debug, Clone)]
pub(super) struct CapturedFrame {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Pixels, `[height, width, 3]`.
    pub(super) rgb: Vec<u8>,
    /// Thumbnail as a data URL.
    pub(super) thumbnail: String,
}

/// Two hidden canvases.
pub(super) struct FrameCapture {
    full: CanvasRenderingContext2d,
    small: CanvasRenderingContext2d,
}

impl FrameCapture {
    /// # Errors
    /// A message if the browser offers no 2d context.
    pub(super) fn new() -> Result<Self, String> {
        let context = || {
            let canvas: HtmlCanvasElement =
                document().create_element("canvas").ok()?.dyn_into().ok()?;
            // Read after every frame, so it stays in the CPU's memory.
            let options = Object::new();
            js_sys::Reflect::set(&options, &"willReadFrequently".into(), &true.into()).ok()?;
            canvas
                .get_context_with_context_options("2d", &options)
                .ok()??
                .dyn_into::<CanvasRenderingContext2d>()
                .ok()
        };
        let none = || "This browser gives no canvas to read frames with.".to_owned();
        Ok(Self {
            full: context().ok_or_else(none)?,
            small: context().ok_or_else(none)?,
        })
    }

    /// Calls `draw` to draw a frame of this size at the origin, and reads its pixels.
    ///
    /// # Errors
    /// A message if the browser refuses.
    pub(super) fn capture(
        &self,
        width: u32,
        height: u32,
        draw: impl FnOnce(&CanvasRenderingContext2d) -> bool,
    ) -> Result<CapturedFrame, String> {
        let canvas = fit(&self.full, width, height)?;
        if !draw(&self.full) {
            return Err("The browser did not draw the frame.".to_owned());
        }
        let pixels = self
            .full
            .get_image_data(0.0, 0.0, f64::from(width), f64::from(height))
            .map_err(|_| "The browser does not let the page read the frame.".to_owned())?
            .data();
        let mut rgb = Vec::with_capacity(pixels.len() / 4 * 3);
        for pixel in pixels.chunks_exact(4) {
            rgb.extend_from_slice(pixel.get(..3).unwrap_or_default());
        }
        Ok(CapturedFrame {
            width,
            height,
            rgb,
            thumbnail: self.thumbnail(&canvas).unwrap_or_default(),
        })
    }

    fn thumbnail(&self, full: &HtmlCanvasElement) -> Option<String> {
        let (width, height) = (f64::from(full.width()), f64::from(full.height()));
        let share = (THUMBNAIL_WIDTH / width).min(1.0);
        let (width, height) = ((width * share).round(), (height * share).round().max(1.0));
        let small = fit(&self.small, width as u32, height as u32).ok()?;
        self.small
            .draw_image_with_html_canvas_element_and_dw_and_dh(full, 0.0, 0.0, width, height)
            .ok()?;
        small
            .to_data_url_with_type_and_encoder_options("image/jpeg", &THUMBNAIL_QUALITY.into())
            .ok()
    }
}

fn fit(
    context: &CanvasRenderingContext2d,
    width: u32,
    height: u32,
) -> Result<HtmlCanvasElement, String> {
    let canvas = context
        .canvas()
        .ok_or_else(|| "The browser lost its canvas.".to_owned())?;
    if (canvas.width(), canvas.height()) != (width, height) {
        canvas.set_width(width);
        canvas.set_height(height);
    }
    Ok(canvas)
}
