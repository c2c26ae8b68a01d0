//! A video to be scored.

use std::rc::Rc;

use protocol::score::ScoreRequest;

use super::video_element::VideoElement;
use crate::frame_sampling::VideoExtent;

/// A video and what is asked about it.
pub(super) struct Video {
    pub(super) request: ScoreRequest,
    pub(super) extent: VideoExtent,
    pub(super) shown: Vec<u32>,
    pub(super) handle: VideoHandle,
}

/// The video itself.
pub(super) enum VideoHandle {
    /// Opened when it was given.
    Open(Rc<VideoElement>),
    /// To be opened.
    At(String),
}
