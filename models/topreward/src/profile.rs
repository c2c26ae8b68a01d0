//! Frame sampling: the frames of a prefix that the model is shown, and their times.
//!
//! The published code changed its video path between releases, and a log-probability is comparable only
//! within one of them. A profile is therefore part of every result.

use crate::{Clip, Error, linspace};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// One published way from a prefix to the frames that the model is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Two frames per second at true times, the same frames whatever the prefix. Frames are brought to
    /// 244x244 first. The reference since April 2026.
    #[default]
    Aligned,
    /// The first release: the frames are taken to be recorded at 24 per second, at least four
    /// are spread over each prefix, so indices and times move with its length.
    Legacy,
    /// LeRobot's port: every frame of the prefix at its own size, said to be half a second apart.
    Lerobot,
}

/// The rate at which [`Profile::Aligned`] and [`Profile::Legacy`] look [1/s].
const SAMPLE_FPS: f64 = 2.0;
/// The rate that [`Profile::Legacy`] takes every video to have [1/s].
const LEGACY_SOURCE_FPS: f64 = 24.0;
const LEGACY_MIN_FRAMES: usize = 4;
const LEGACY_MAX_FRAMES: usize = 768;

impl Profile {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::Aligned, Self::Legacy, Self::Lerobot];

    /// The name in outputs and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aligned => "aligned",
            Self::Legacy => "legacy",
            Self::Lerobot => "lerobot",
        }
    }

    /// The side (pixels) to which frames are squeezed before the model's own resizing, aspect ignored.
    #[must_use]
    pub fn pre_resize(self) -> Option<usize> {
        match self {
            Self::Aligned | Self::Legacy => Some(244),
            Self::Lerobot => None,
        }
    }

    /// True if the frames of a prefix are the first frames of every longer one, so that one pass over the
    /// clip serves all prefixes.
    #[must_use]
    pub fn prefix_stable(self) -> bool {
        self != Self::Legacy
    }

    /// True if every frame of a clip at `fps` frames per second is shown, whatever its length: the clip can then be
    /// scored while it is being taken.
    #[must_use]
    pub fn shows_every_frame(self, fps: f64) -> bool {
        match self {
            Self::Aligned => aligned_step(fps) <= 1.0,
            Self::Legacy => false,
            Self::Lerobot => true,
        }
    }

    /// True if frame `index` of a clip at `fps` frames per second can be shown before it is known how long the
    /// clip is. Besides these only a clip's last frame can be. For decoders, which need not keep the others.
    #[must_use]
    pub fn may_show(self, index: usize, fps: f64) -> bool {
        if self != Self::Aligned {
            return true;
        }
        let step = aligned_step(fps);
        let near = (index as f64 / step) as usize;
        (near.saturating_sub(1)..=near + 1)
            .any(|place| (place as f64 * step).round_ties_even() as usize == index)
    }

    /// The frames that the model sees of the first `length` frames of `clip`.
    ///
    /// # Errors
    /// [`Error::BadPrefix`].
    pub fn frames(self, clip: &Clip, length: usize) -> Result<Frames, Error> {
        clip.check_prefix(length)?;
        Ok(match self {
            Self::Aligned => aligned(clip, length),
            Self::Legacy => legacy(length),
            Self::Lerobot => Frames {
                seconds: (0..length).map(|index| index as f64 / SAMPLE_FPS).collect(),
                indices: (0..length).collect(),
            },
        })
    }
}

/// The frames that the model sees of one prefix, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Frames {
    /// Indices into the clip, at least one.
    pub indices: Vec<usize>,
    /// Time stated to the model (s), one per index.
    pub seconds: Vec<f64>,
}

/// Two consecutive frames, which the model sees as one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// Indices into the clip. Equal where a frame had no partner.
    pub indices: [usize; 2],
    /// Time stated to the model in seconds: the mean of the two.
    pub seconds: f64,
}

impl Frames {
    /// Pairs of frames; a last one without a partner is its own.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let pair = |frames: &[usize], seconds: &[f64]| {
            let (&first, &last) = (frames.first()?, frames.last()?);
            let (&start, &end) = (seconds.first()?, seconds.last()?);
            Some(Block {
                indices: [first, last],
                seconds: (start + end) / 2.0,
            })
        };
        self.indices
            .chunks(2)
            .zip(self.seconds.chunks(2))
            .filter_map(|(frames, seconds)| pair(frames, seconds))
            .collect()
    }
}

/// The schedule is that of the whole clip, clipped to it, and a prefix has those below its length: a clip
/// whose last index was clipped shows its last frame only to itself.
fn aligned(clip: &Clip, length: usize) -> Frames {
    let mut indices = aligned_schedule(clip);
    indices.retain(|&index| index < length);
    if indices.is_empty() {
        indices.push(0);
    }
    Frames {
        seconds: indices
            .iter()
            .map(|&index| index as f64 / clip.fps())
            .collect(),
        indices,
    }
}

/// Frames of the clip from one that is shown to the next.
fn aligned_step(fps: f64) -> f64 {
    (fps / SAMPLE_FPS).max(1.0)
}

/// Every index that any prefix of the clip shows.
fn aligned_schedule(clip: &Clip) -> Vec<usize> {
    let total = clip.frames();
    let step = aligned_step(clip.fps());
    let count = (total as f64 / step).ceil() as usize;
    let mut indices: Vec<usize> = (0..count)
        .map(|index| ((index as f64 * step).round_ties_even() as usize).min(total - 1))
        .collect();
    indices.dedup();
    indices
}

/// An odd prefix was padded to an even one before the frames were spread over it; the padding is the last
/// frame again.
fn legacy(length: usize) -> Frames {
    let total = length + length % 2;
    let wanted = (total as f64 / LEGACY_SOURCE_FPS * SAMPLE_FPS) as usize;
    let count = wanted
        .clamp(LEGACY_MIN_FRAMES, LEGACY_MAX_FRAMES)
        .min(total);
    let places = linspace::rounded(0, total - 1, count);
    Frames {
        indices: places.iter().map(|&place| place.min(length - 1)).collect(),
        seconds: places
            .iter()
            .map(|&place| place as f64 / LEGACY_SOURCE_FPS)
            .collect(),
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| Error::Unknown {
                what: "frame profile",
                got: name.to_owned(),
                known: "aligned, legacy, lerobot",
            })
    }
}
