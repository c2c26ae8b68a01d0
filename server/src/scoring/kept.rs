//! The frames of a video that can be shown.

use std::{borrow::Cow, collections::BTreeMap};
use topreward::{
    Profile,
    scorer::{Film, ScorerError},
};
use vision::{ImageError, RgbImage};

/// Frames by number, squeezed already.
#[derive(Debug, Clone)]
pub struct Kept {
    frames: BTreeMap<usize, RgbImage>,
    count: usize,
}

impl Kept {
    /// How many frames the video has, kept or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Film for Kept {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.frames
            .get(&index)
            .map(Cow::Borrowed)
            .ok_or_else(|| ScorerError::Frame {
                index,
                reason: format!(
                    "the video has {} frames, and this one was not expected to be shown",
                    self.count
                ),
            })
    }
}

/// Takes frames one by one and keeps those that the profile can show: an hour of video stays small.
#[derive(Debug)]
pub struct Keeper {
    profile: Profile,
    fps: f64,
    side: Option<usize>,
    frames: BTreeMap<usize, RgbImage>,
    /// The newest frame if it was not kept: the last one may be shown whatever its number.
    newest: Option<RgbImage>,
    count: usize,
}

impl Keeper {
    /// For a video at `fps` frames per second, its frames squeezed to squares of `side` pixels.
    #[must_use]
    pub fn new(profile: Profile, fps: f64, side: Option<usize>) -> Self {
        Self {
            profile,
            fps,
            side,
            frames: BTreeMap::new(),
            newest: None,
            count: 0,
        }
    }

    /// The next frame.
    ///
    /// # Errors
    /// [`ImageError`] when it cannot be squeezed.
    pub fn take(&mut self, frame: RgbImage) -> Result<(), ImageError> {
        let index = self.count;
        self.count += 1;
        self.newest = None;
        if index == 0 || self.profile.may_show(index, self.fps) {
            self.frames.insert(index, squeeze(frame, self.side)?);
        } else {
            self.newest = Some(frame);
        }
        Ok(())
    }

    /// How many frames came.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// There are no more frames.
    ///
    /// # Errors
    /// [`ImageError`] when the last one cannot be squeezed.
    pub fn finish(mut self) -> Result<Kept, ImageError> {
        if let Some(newest) = self.newest.take() {
            self.frames
                .insert(self.count - 1, squeeze(newest, self.side)?);
        }
        Ok(Kept {
            frames: self.frames,
            count: self.count,
        })
    }
}

fn squeeze(frame: RgbImage, side: Option<usize>) -> Result<RgbImage, ImageError> {
    match side {
        None => Ok(frame),
        Some(side) => vision::resample_bicubic_u8(&frame, side, side),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use topreward::Clip;

    #[test]
    fn every_frame_that_is_shown_was_kept_and_few_others() {
        for count in 1..80_usize {
            for fps in [1.0, 5.0, 7.5, 30.0] {
                let mut keeper = Keeper::new(Profile::Aligned, fps, Some(2));
                for index in 0..count {
                    let frame = RgbImage::new(3, 2, vec![index as u8; 18]).unwrap();
                    keeper.take(frame).unwrap();
                }
                let kept = keeper.finish().unwrap();
                assert_eq!(kept.count(), count);
                let clip = Clip::new(count, fps).unwrap();
                let shown = Profile::Aligned.frames(&clip, count).unwrap().indices;
                for index in &shown {
                    let frame = kept.frame(*index).unwrap();
                    assert_eq!((frame.width(), frame.data()[0]), (2, *index as u8));
                }
                assert!(kept.frames.len() <= shown.len() + 1);
            }
        }
    }
}
