//! The frames of a video that can be shown.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};
use topreward::{
    Profile,
    scorer::{FrameSource, ScorerError},
};
use vision::{ImageError, RgbImage};

/// Bytes that kept frames take at most.
const MOST_BYTES: usize = 4 << 30;

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

impl FrameSource for Kept {
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

/// Why a frame cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It cannot be squeezed.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// All frames together take too much memory.
    #[error(
        "the frames that can be shown take more than {} GiB of memory; take a shorter video, a profile that shows fewer of \
         them, or --pre-resize SIDE", MOST_BYTES >> 30
    )]
    TooMuch,
}

/// Which frames are kept.
#[derive(Debug, Clone)]
enum Keep {
    /// Those that a profile can show of a video at so many frames per second, and the last one.
    Shown { profile: Profile, fps: f64 },
    /// These.
    Only(BTreeSet<usize>),
}

/// Takes frames one by one and keeps those that can be shown: an hour of video stays small.
#[derive(Debug)]
pub struct Keeper {
    keep: Keep,
    side: Option<usize>,
    frames: BTreeMap<usize, RgbImage>,
    /// The newest frame if it was not kept: the last one may be shown whatever its number.
    newest: Option<RgbImage>,
    count: usize,
    bytes: usize,
}

impl Keeper {
    /// For what `profile` can show of a video at `fps` frames per second, its frames squeezed to squares of `side`
    /// pixels.
    #[must_use]
    pub fn new(profile: Profile, fps: f64, side: Option<usize>) -> Self {
        Self::of(Keep::Shown { profile, fps }, side)
    }

    /// For these frames alone.
    #[must_use]
    pub fn only(frames: impl IntoIterator<Item = usize>, side: Option<usize>) -> Self {
        Self::of(Keep::Only(frames.into_iter().collect()), side)
    }

    fn of(keep: Keep, side: Option<usize>) -> Self {
        Self {
            keep,
            side,
            frames: BTreeMap::new(),
            newest: None,
            count: 0,
            bytes: 0,
        }
    }

    /// True if frame `index` is kept; `last` if it is known to be the last one. Others are counted, and need not be
    /// decoded.
    #[must_use]
    pub fn wants(&self, index: usize, last: bool) -> bool {
        match &self.keep {
            Keep::Shown { profile, fps } => last || index == 0 || profile.may_show(index, *fps),
            Keep::Only(frames) => frames.contains(&index),
        }
    }

    /// The next frame.
    ///
    /// # Errors
    /// [`KeepError`].
    pub fn take(&mut self, frame: RgbImage) -> Result<(), KeepError> {
        let index = self.count;
        self.count += 1;
        self.newest = None;
        if self.wants(index, false) {
            let frame = squeeze(frame, self.side)?;
            self.bytes += frame.data().len();
            if self.bytes > MOST_BYTES {
                return Err(KeepError::TooMuch);
            }
            self.frames.insert(index, frame);
        } else if matches!(self.keep, Keep::Shown { .. }) {
            self.newest = Some(frame);
        }
        Ok(())
    }

    /// Counts a frame that nobody [wants](Self::wants).
    pub fn pass(&mut self) {
        self.count += 1;
        self.newest = None;
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
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails by panicking"
    )]
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

    #[test]
    fn only_the_frames_asked_for_are_kept() {
        let mut keeper = Keeper::only([4, 1], None);
        for index in 0..7 {
            assert_eq!(keeper.wants(index, true), index == 1 || index == 4);
            if keeper.wants(index, false) {
                let frame = RgbImage::new(3, 2, vec![index as u8; 18]).unwrap();
                keeper.take(frame).unwrap();
            } else {
                keeper.pass();
            }
        }
        let kept = keeper.finish().unwrap();
        assert_eq!(kept.count(), 7);
        assert_eq!(kept.frames.keys().copied().collect::<Vec<_>>(), [1, 4]);
        assert!(kept.frame(6).is_err());
    }
}
