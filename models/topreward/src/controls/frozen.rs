//! The first frame, held for as long as the video.

use crate::scorer::{FrameSource, ScorerError};
use std::borrow::Cow;
use vision::RgbImage;

/// The first frame of a source, held for as long as the source: the control that a sound reward stays flat on.
#[derive(Debug, Clone, Copy)]
pub struct FrozenFirstFrame<'a, F: ?Sized>(pub &'a F);

impl<F: FrameSource + ?Sized> FrameSource for FrozenFirstFrame<'_, F> {
    fn frame(&self, _: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.0.frame(0)
    }

    fn image_id(&self, _: usize) -> usize {
        self.0.image_id(0)
    }
}
