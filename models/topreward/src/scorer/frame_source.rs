//! Sources of frames.

use super::ScorerError;
use std::borrow::Cow;
use vision::RgbImage;

/// A video whose frames are accessible by index.
pub trait FrameSource {
    /// Frame `index`, from 0.
    ///
    /// # Errors
    /// [`ScorerError::Frame`] where there is none.
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError>;

    /// Identity of the image: two frames share it only if they are the same image, which is then encoded once.
    fn image_id(&self, index: usize) -> usize {
        index
    }
}

impl FrameSource for [RgbImage] {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.get(index)
            .map(Cow::Borrowed)
            .ok_or_else(|| ScorerError::Frame {
                index,
                reason: format!("there are only {}", self.len()),
            })
    }
}

impl FrameSource for Vec<RgbImage> {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.as_slice().frame(index)
    }
}

/// A source whose frames are squeezed to a square, aspect ignored, before the model resizes them.
#[derive(Debug, Clone, Copy)]
pub struct PreResized<'a, F: ?Sized> {
    /// The frames.
    pub source: &'a F,
    /// The side of the square (pixels); none for frames as they are.
    pub side: Option<usize>,
}

impl<F: FrameSource + ?Sized> FrameSource for PreResized<'_, F> {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        let frame = self.source.frame(index)?;
        let Some(side) = self.side else {
            return Ok(frame);
        };
        if (frame.width(), frame.height()) == (side, side) {
            return Ok(frame);
        }
        vision::resample_bicubic_u8(&frame, side, side)
            .map(Cow::Owned)
            .map_err(|error| ScorerError::Frame {
                index,
                reason: error.to_string(),
            })
    }

    fn image_id(&self, index: usize) -> usize {
        self.source.image_id(index)
    }
}
