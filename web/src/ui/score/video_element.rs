//! A video in this tab, decoded by the browser: its duration, and its frames at any time.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Function, Promise, Reflect};
use leptos::prelude::*;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{HtmlVideoElement, Url};

use super::frame_capture::{CapturedFrame, FrameCapture};
use crate::frame_sampling::estimate_rate;

/// Time limit for opening a file.
const OPEN_MILLIS: i32 = 20_000;
/// Time limit for seeking to a frame.
const SEEK_MILLIS: i32 = 15_000;
/// Duration of playback to measure the frame rate.
const LISTEN_MILLIS: i32 = 1_800;
/// Number of frames that suffices to measure it.
const LISTEN_FRAMES: usize = 16;
/// A time after the end of any video (s). Seeking there makes the browser determine the duration.
const PAST_THE_END_SECS: f64 = 1e7;
/// `MediaError.MEDIA_ERR_NETWORK`.
const NETWORK: f64 = 2.0;
const DECODE: f64 = 3.0;
const NOT_SUPPORTED: f64 = 4.0;

type OnPicture = Closure<dyn FnMut(JsValue, JsValue)>;

/// A video element with its decoder.
pub(super) struct VideoElement {
    video: HtmlVideoElement,
    capture: FrameCapture,
    /// An object URL to revoke.
    own_address: Option<String>,
    listener: Rc<RefCell<Option<OnPicture>>>,
}

impl Drop for VideoElement {
    fn drop(&mut self) {
        self.video.remove_attribute("src").ok();
        self.video.load();
        self.listener.borrow_mut().take();
        if let Some(address) = &self.own_address {
            Url::revoke_object_url(address).ok();
        }
    }
}

impl VideoElement {
    /// Opens a local file, which is not uploaded.
    ///
    /// # Errors
    /// The reason that it cannot be opened.
    pub(super) async fn of_file(file: &web_sys::File) -> Result<Self, String> {
        let address = Url::create_object_url_with_blob(file)
            .map_err(|_| "The browser does not let the page open that file.".to_owned())?;
        Self::open(&address, Some(address.clone())).await
    }

    /// Opens a video of the studio.
    ///
    /// # Errors
    /// The reason that it cannot be opened.
    pub(super) async fn of_address(address: &str) -> Result<Self, String> {
        Self::open(address, None).await
    }

    async fn open(address: &str, own_address: Option<String>) -> Result<Self, String> {
        let video: HtmlVideoElement = document()
            .create_element("video")
            .ok()
            .and_then(|element| element.dyn_into().ok())
            .ok_or_else(|| "This browser cannot play videos.".to_owned())?;
        video.set_muted(true);
        video.set_preload("auto");
        video.set_attribute("playsinline", "").ok();
        let video_element = Self {
            video,
            capture: FrameCapture::new()?,
            own_address,
            listener: Rc::default(),
        };
        video_element
            .until(
                OPEN_MILLIS,
                |video, then| video.set_onloadeddata(then),
                |video| video.set_src(address),
            )
            .await?;
        if video_element.video.video_width() == 0 || video_element.video.video_height() == 0 {
            return Err("That file contains no images.".to_owned());
        }
        // Recordings made by browsers have no duration until they have been read.
        if !video_element.video.duration().is_finite() {
            video_element.seek(PAST_THE_END_SECS).await?;
            video_element.seek(0.0).await?;
        }
        Ok(video_element)
    }

    /// Duration (s).
    pub(super) fn secs(&self) -> f64 {
        self.video.duration()
    }

    /// Width and height of its frames (pixels).
    pub(super) fn size(&self) -> (u32, u32) {
        (self.video.video_width(), self.video.video_height())
    }

    /// The frame at a time (s).
    ///
    /// # Errors
    /// The reason that there is none.
    pub(super) async fn frame_at(&self, secs: f64) -> Result<CapturedFrame, String> {
        self.seek(secs).await?;
        let (width, height) = self.size();
        self.capture.capture(width, height, |context| {
            context
                .draw_image_with_html_video_element(&self.video, 0.0, 0.0)
                .is_ok()
        })
    }

    async fn seek(&self, secs: f64) -> Result<(), String> {
        self.until(
            SEEK_MILLIS,
            |video, then| video.set_onseeked(then),
            |video| video.set_current_time(secs),
        )
        .await
    }

    /// Performs an action and waits for the event that completes it.
    async fn until(
        &self,
        millis: i32,
        listen: impl Fn(&HtmlVideoElement, Option<&Function>),
        act: impl FnOnce(&HtmlVideoElement),
    ) -> Result<(), String> {
        let done = Promise::new(&mut |resolve, reject| {
            listen(&self.video, Some(&resolve));
            self.video.set_onerror(Some(&reject));
        });
        act(&self.video);
        let outcome = JsFuture::from(Promise::race(&Array::of2(&done, &timer(millis)))).await;
        listen(&self.video, None);
        self.video.set_onerror(None);
        match outcome {
            Ok(on_time) if !on_time.is_undefined() => Ok(()),
            Ok(_) => Err(format!(
                "The browser did not load the video within {} s.",
                millis / 1000
            )),
            Err(_) => Err(self.fault()),
        }
    }

    fn fault(&self) -> String {
        let error = property(&self.video, "error");
        let code = property(&error, "code").as_f64().unwrap_or_default();
        let detail = property(&error, "message").as_string().unwrap_or_default();
        let detail = if detail.is_empty() {
            String::new()
        } else {
            format!(" ({detail})")
        };
        if code == NOT_SUPPORTED {
            format!(
                "This browser cannot read that video: its format or its codec is not supported{detail}. Most \
                 browsers read MP4 with H.264 and WebM with VP9; ffmpeg converts almost any video to one of them."
            )
        } else if code == DECODE {
            format!(
                "The video cannot be decoded beyond {:.1} s{detail}.",
                self.video.current_time()
            )
        } else if code == NETWORK {
            format!("The video could not be downloaded completely{detail}.")
        } else {
            format!("The video cannot be read{detail}.")
        }
    }

    /// Frame rate [1/s], measured during a short playback.
    pub(super) async fn rate(&self) -> Option<f64> {
        let request: Function = property(&self.video, "requestVideoFrameCallback")
            .dyn_into()
            .ok()?;
        let seen = Rc::new(RefCell::new(Vec::new()));
        let enough = Promise::new(&mut |resolve, _| {
            let (seen, again, video, request_next) = (
                seen.clone(),
                self.listener.clone(),
                self.video.clone(),
                request.clone(),
            );
            let listener = OnPicture::new(move |_now: JsValue, metadata: JsValue| {
                let number = |key| property(&metadata, key).as_f64();
                if let Some(picture) = number("mediaTime").zip(number("presentedFrames")) {
                    seen.borrow_mut().push(picture);
                }
                if seen.borrow().len() >= LISTEN_FRAMES {
                    resolve.call0(&JsValue::NULL).ok();
                } else if let Some(listener) = &*again.borrow() {
                    request_next.call1(&video, listener.as_ref()).ok();
                }
            });
            request.call1(&self.video, listener.as_ref()).ok();
            self.listener.replace(Some(listener));
        });
        if let Ok(playing) = self.video.play() {
            JsFuture::from(playing).await.ok()?;
        }
        JsFuture::from(Promise::race(&Array::of2(&enough, &timer(LISTEN_MILLIS))))
            .await
            .ok();
        self.video.pause().ok();
        let seen = seen.borrow();
        estimate_rate(&seen)
    }
}

/// A promise that resolves with `undefined` after a while.
fn timer(millis: i32) -> Promise {
    Promise::new(&mut |resolve, _| {
        window()
            .set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, millis)
            .ok();
    })
}

fn property(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}
