//! The frames of a job, as they came.

use crate::{JobError, MAX_SIDE};
use protocol::score::ScoreFrame;
use std::{borrow::Cow, collections::BTreeMap};
use topreward::scorer::{FrameSource, ScorerError};
use vision::RgbImage;

/// Frames by number, squeezed as they come: a long video of large frames stays small.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    side: Option<usize>,
    size: Option<(u32, u32)>,
    frames: BTreeMap<usize, RgbImage>,
}

impl Frames {
    /// Frames are squeezed to squares of `side` pixels, or kept as they are.
    pub(crate) fn new(side: Option<usize>) -> Self {
        Self {
            side,
            ..Self::default()
        }
    }

    /// A frame whose number has been checked.
    pub(crate) fn insert(&mut self, frame: ScoreFrame) -> Result<(), JobError> {
        let index = frame.index;
        if self.frames.contains_key(&(index as usize)) {
            return Err(JobError::Twice { index });
        }
        let picture = self.picture(frame)?;
        self.frames.insert(index as usize, picture);
        Ok(())
    }

    /// A frame's picture, squeezed.
    pub(crate) fn picture(&mut self, frame: ScoreFrame) -> Result<RgbImage, JobError> {
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
            return Err(bad(format!("sides run from 1 to {MAX_SIDE} pixels")));
        }
        if let Some(size) = self.size.filter(|size| *size != (width, height)) {
            return Err(bad(format!(
                "the first frame that came is {}x{}, and all frames of a video have one size",
                size.0, size.1
            )));
        }
        let picture = RgbImage::new(width as usize, height as usize, rgb)
            .map_err(|error| bad(error.to_string()))?;
        self.size = Some((width, height));
        match self.side {
            None => Ok(picture),
            Some(side) => vision::resample_bicubic_u8(&picture, side, side)
                .map_err(|error| bad(error.to_string())),
        }
    }

    /// Memory that the pictures take (bytes).
    pub(crate) fn bytes(&self) -> usize {
        self.frames
            .values()
            .next()
            .map_or(0, |first| first.data().len() * self.frames.len())
    }

    /// Those of `wanted` that are not there: how many, and the first.
    pub(crate) fn missing(&self, wanted: &[usize]) -> Option<(usize, usize)> {
        let mut missing = wanted
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
