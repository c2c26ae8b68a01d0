//! A clip: how many frames, how fast.

use crate::Error;

/// The extent of a video, without its pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clip {
    frames: usize,
    fps: f64,
}

impl Clip {
    /// A clip of `frames` frames recorded at `fps` frames per second.
    ///
    /// # Errors
    /// [`Error::NoFrames`] and [`Error::BadFps`].
    pub fn new(frames: usize, fps: f64) -> Result<Self, Error> {
        if frames == 0 {
            return Err(Error::NoFrames);
        }
        if !(fps.is_finite() && fps > 0.0) {
            return Err(Error::BadFps { fps });
        }
        Ok(Self { frames, fps })
    }

    /// Number of frames, at least one.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Frames per second, above zero.
    #[must_use]
    pub fn fps(&self) -> f64 {
        self.fps
    }

    /// Duration of the clip (s).
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.frames as f64 / self.fps
    }

    /// Checks that `length` is a prefix length of this clip.
    pub(crate) fn check_prefix(&self, length: usize) -> Result<(), Error> {
        if (1..=self.frames).contains(&length) {
            Ok(())
        } else {
            Err(Error::BadPrefix {
                length,
                total: self.frames,
            })
        }
    }
}
