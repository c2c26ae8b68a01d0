//! A video to be scored.

use std::rc::Rc;

use protocol::score::ScoreRequest;

use super::video_element::VideoElement;
use crate::frame_sampling::VideoExtent;

/// A video with its request.
pub(super) struct Video {
    pub(super) request: ScoreRequest,
    pub(super) extent: VideoExtent,
    pub(super) shown: Vec<u32>,
    pub(super) handle: VideoHandle,
}

/// Handle of the video.
pub(super) enum VideoHandle {
    /// Already open.
    Open(Rc<VideoElement>),
    /// To be opened from this URL.
    At(String),
}
