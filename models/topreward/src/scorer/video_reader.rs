//! Reading a video into a context, some blocks at a time.

use super::{FrameSource, ScorerError};
use crate::Block;
use qwen3vl::{Context, FrameSize, Mark, Piece, Qwen3Vl, Seen, TextLayout};

/// Blocks that are read in one pass at most: enough to fill a processor, few enough that their patches stay small.
const BLOCKS_PER_PASS: usize = 8;

/// Frame numbers of a block that say which picture it is.
type ImageIds = [usize; 2];

/// A video being read: what the model has of it so far. A clone goes its own way and shares what was read.
#[derive(Debug, Clone)]
pub struct VideoReader<'a> {
    model: &'a Qwen3Vl,
    layout: TextLayout,
    size: FrameSize,
    context: Context,
    after: Vec<u32>,
    /// The last block, by its image ids, and where its features are: a frozen frame is looked at once.
    last: Option<(ImageIds, Seen, usize)>,
}

impl<'a> VideoReader<'a> {
    /// Nothing is read yet. Frames will be resized to `size`.
    ///
    /// # Errors
    /// [`ScorerError::Model`].
    pub fn new(
        model: &'a Qwen3Vl,
        layout: TextLayout,
        size: FrameSize,
    ) -> Result<Self, ScorerError> {
        Ok(Self {
            model,
            layout,
            size,
            context: Context::default(),
            after: model.words().encode(qwen3vl::layout::after_block())?,
            last: None,
        })
    }

    /// Reads the next blocks of `source`.
    ///
    /// # Errors
    /// [`ScorerError`]; what was read before stays.
    pub fn read(
        &mut self,
        source: &(impl FrameSource + ?Sized),
        blocks: &[Block],
    ) -> Result<(), ScorerError> {
        blocks
            .chunks(BLOCKS_PER_PASS)
            .try_for_each(|some| self.read_some(source, some))
    }

    fn read_some(
        &mut self,
        source: &(impl FrameSource + ?Sized),
        blocks: &[Block],
    ) -> Result<(), ScorerError> {
        let mut before = Vec::with_capacity(blocks.len());
        for block in blocks {
            // The header has no special token at its end: its text and the first time are one.
            let opening = if self.context.tokens() == 0 && before.is_empty() {
                self.layout.header()
            } else {
                String::new()
            };
            before.push(self.model.before_block(&opening, block.seconds)?);
        }
        let seen = self.see(source, blocks)?;
        let mut pieces = Vec::with_capacity(3 * blocks.len());
        for (before, (_, seen, block)) in before.iter().zip(&seen) {
            pieces.push(Piece::Text(before));
            pieces.push(Piece::Picture {
                seen,
                block: *block,
            });
            pieces.push(Piece::Text(&self.after));
        }
        self.model.network().append(&mut self.context, &pieces)?;
        if let Some(last) = seen.last() {
            self.last = Some(last.clone());
        }
        Ok(())
    }

    /// The features of every block; each picture is looked at once.
    fn see(
        &self,
        source: &(impl FrameSource + ?Sized),
        blocks: &[Block],
    ) -> Result<Vec<(ImageIds, Seen, usize)>, ScorerError> {
        let image_ids = |block: &Block| block.indices.map(|index| source.image_id(index));
        let known = self.last.iter().map(|(image_ids, _, _)| *image_ids);
        let mut all: Vec<ImageIds> = known.collect();
        let mut new = Vec::new();
        for block in blocks {
            if !all.contains(&image_ids(block)) {
                all.push(image_ids(block));
                let [first, second] = block.indices;
                let frames = [source.frame(first)?, source.frame(second)?];
                let video = self.model.video();
                new.push(video.block([&frames[0], &frames[1]], self.size)?);
            }
        }
        let seen = if new.is_empty() {
            None
        } else {
            Some(self.model.network().see(&new)?)
        };
        let old = all.len() - new.len();
        Ok(blocks
            .iter()
            .filter_map(|block| {
                let image_ids = image_ids(block);
                let place = all.iter().position(|known| *known == image_ids)?;
                match place.checked_sub(old) {
                    Some(place) => Some((image_ids, seen.clone()?, place)),
                    None => self.last.clone(),
                }
            })
            .collect())
    }

    /// What has been read.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Where the video ends so far.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.context.mark()
    }
}
