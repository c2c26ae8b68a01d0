//! A robot whose frames are being scored live.

use std::collections::VecDeque;
use std::rc::Rc;

use protocol::View;

use super::frame_capture::{CapturedFrame, FrameCapture};
use super::upload::UploadBody;
use crate::frame_sampling::Sampler;

/// State of a live scoring job.
pub(super) struct LiveRobot {
    pub(super) job: u64,
    pub(super) robot_id: String,
    pub(super) camera: String,
    pub(super) sampler: Sampler,
    pub(super) queue: VecDeque<(u32, View)>,
    pub(super) is_busy: bool,
    /// Number of frames sent.
    pub(super) sent: u32,
    pub(super) last: Option<Rc<CapturedFrame>>,
    pub(super) capture: Rc<FrameCapture>,
    pub(super) body: Option<UploadBody>,
}
