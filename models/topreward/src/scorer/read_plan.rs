//! Plan of a scoring run: the blocks to read, and the points at which the question is scored.

use crate::{Block, Clip, Error, Profile};

/// One prefix.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPrefix {
    /// Length of the prefix (frames).
    pub length: usize,
    /// The frames it shows, in pairs.
    pub blocks: Vec<Block>,
    /// Number of frames shown.
    pub frames: usize,
}

impl PlannedPrefix {
    /// Number of blocks with two different frames.
    #[must_use]
    pub fn whole_blocks(&self) -> usize {
        self.frames / 2
    }

    /// The block of a last frame without a partner.
    #[must_use]
    pub fn half_block(&self) -> Option<&Block> {
        self.blocks.get(self.whole_blocks())
    }
}

/// The prefixes of a clip, ascending, each set of shown frames once.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadPlan {
    /// The distinct prefixes to read.
    pub points: Vec<PlannedPrefix>,
    /// Per requested prefix, the index of the point that answers it.
    pub answers: Vec<usize>,
}

impl ReadPlan {
    /// Plans prefixes of these lengths, ascending.
    ///
    /// # Errors
    /// [`Error::BadPrefix`].
    pub fn new(profile: Profile, clip: &Clip, lengths: &[usize]) -> Result<Self, Error> {
        let mut points: Vec<PlannedPrefix> = Vec::with_capacity(lengths.len());
        let mut answers = Vec::with_capacity(lengths.len());
        for &length in lengths {
            let frames = profile.frames(clip, length)?;
            let blocks = frames.blocks();
            if points
                .last()
                .is_none_or(|point| point.blocks != blocks || point.frames != frames.indices.len())
            {
                points.push(PlannedPrefix {
                    length,
                    blocks,
                    frames: frames.indices.len(),
                });
            }
            answers.push(points.len() - 1);
        }
        Ok(Self { points, answers })
    }

    /// Indices of all frames that are shown, ascending: a decoder need not keep the others.
    #[must_use]
    pub fn shown_frames(&self) -> Vec<usize> {
        let mut shown: Vec<usize> = self
            .points
            .iter()
            .flat_map(|point| &point.blocks)
            .flat_map(|block| block.indices)
            .collect();
        shown.sort_unstable();
        shown.dedup();
        shown
    }

    /// Blocks of two frames in the longest prefix.
    #[must_use]
    pub fn whole_blocks(&self) -> usize {
        self.points.last().map_or(0, PlannedPrefix::whole_blocks)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_prefix_that_shows_nothing_new_is_read_once() {
        let clip = Clip::new(40, 10.0).unwrap();
        let plan = ReadPlan::new(Profile::Aligned, &clip, &[1, 3, 6, 7, 40]).unwrap();
        assert_eq!(plan.answers, [0, 0, 1, 1, 2]);
        assert_eq!(plan.shown_frames(), [0, 5, 10, 15, 20, 25, 30, 35]);
        assert_eq!(plan.whole_blocks(), 4);
        assert_eq!(plan.points[0].whole_blocks(), 0);
        assert!(plan.points[0].half_block().is_some());
        assert!(plan.points[1].half_block().is_none());
    }
}
