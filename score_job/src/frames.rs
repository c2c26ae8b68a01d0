//! Frames of a job.

use crate::{JobError, MAX_SIDE};
use protocol::score::ScoreFrame;
use std::{borrow::Cow, collections::BTreeMap};
use topreward::scorer::{FrameSource, ScorerError};
use vision::RgbImage;

/// Frames by number, resized on arrival so that a long video of large frames takes little memory.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    side: Option<usize>,
    size: Option<(u32, u32)>,
    frames: BTreeMap<usize, RgbImage>,
}

impl Frames {
    /// Frames are resized to squares of `side` pixels, or stored as they are if `None`.
    pub(crate) fn new(side: Option<usize>) -> Self {
        Self {
            side,
            ..Self::default()
        }
    }

    /// Stores a frame whose number has been checked.
    pub(crate) fn insert(&mut self, frame: ScoreFrame) -> Result<(), JobError> {
        let index = frame.index;
        if self.frames.contains_key(&(index as usize)) {
            return Err(JobError::Twice { index });
        }
        let image = self.image(frame)?;
        self.frames.insert(index as usize, image);
        Ok(())
    }

    /// Image of a frame, resized.
    pub(crate) fn image(&mut self, frame: ScoreFrame) -> Result<RgbImage, JobError> {
        let ScoreFrame {
            index,
            width,
            height,
            rgb,
            ..
        } = frame;
        let bytes = rgb.len();
        let bad = |reason: String| JobError::BadFrame {
            index,
            width,
            height,
            bytes,
            reason,
        };
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return Err(bad(format!("sides can have 1 to {MAX_SIDE} pixels")));
        }
        if let Some(size) = self.size.filter(|size| *size != (width, height)) {
            return Err(bad(format!(
                "the first frame that came is {}x{}, and all frames of a video have one size",
                size.0, size.1
            )));
        }
        let image = RgbImage::new(width as usize, height as usize, rgb)
            .map_err(|error| bad(error.to_string()))?;
        self.size = Some((width, height));
        match self.side {
            None => Ok(image),
            Some(side) => vision::resample_bicubic_u8(&image, side, side)
                .map_err(|error| bad(error.to_string())),
        }
    }

    /// Memory of the images (bytes).
    pub(crate) fn bytes(&self) -> usize {
        self.frames
            .values()
            .next()
            .map_or(0, |first| first.data().len() * self.frames.len())
    }

    /// Number of frames among `required` that are missing, and the first of them.
    pub(crate) fn missing(&self, required: &[usize]) -> Option<(usize, usize)> {
        let mut missing = required
            .iter()
            .filter(|index| !self.frames.contains_key(index));
        let first = *missing.next()?;
        Some((1 + missing.count(), first))
    }
}

impl FrameSource for Frames {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.frames
            .get(&index)
            .map(Cow::Borrowed)
            .ok_or_else(|| ScorerError::Frame {
                index,
                reason: "it did not come".to_owned(),
            })
    }
}
