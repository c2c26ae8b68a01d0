//! Where frames come from.

use super::ScorerError;
use std::borrow::Cow;
use vision::RgbImage;

/// A video whose frames can be had by number.
pub trait Film {
    /// Frame `index`, from 0.
    ///
    /// # Errors
    /// [`ScorerError::Frame`] where there is none.
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError>;

    /// A number that two frames share only if they are the same picture, so that it is looked at once.
    fn picture(&self, index: usize) -> usize {
        index
    }
}

impl Film for [RgbImage] {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.get(index)
            .map(Cow::Borrowed)
            .ok_or_else(|| ScorerError::Frame {
                index,
                reason: format!("there are only {}", self.len()),
            })
    }
}

impl Film for Vec<RgbImage> {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.as_slice().frame(index)
    }
}

/// The first frame of a film, for as long as the film: the control that a sound reward stays flat on.
#[derive(Debug, Clone, Copy)]
pub struct Frozen<'a, F: ?Sized>(pub &'a F);

impl<F: Film + ?Sized> Film for Frozen<'_, F> {
    fn frame(&self, _: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.0.frame(0)
    }

    fn picture(&self, _: usize) -> usize {
        self.0.picture(0)
    }
}

/// A film whose frames are squeezed to a square, aspect ignored, before the model resizes them.
#[derive(Debug, Clone, Copy)]
pub struct PreResized<'a, F: ?Sized> {
    /// The frames.
    pub film: &'a F,
    /// The side of the square [pixels]; none for frames as they are.
    pub side: Option<usize>,
}

impl<F: Film + ?Sized> Film for PreResized<'_, F> {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        let frame = self.film.frame(index)?;
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

    fn picture(&self, index: usize) -> usize {
        self.film.picture(index)
    }
}
