//! Reading a video into a context, some blocks at a time.

use super::{Film, ScorerError};
use crate::Block;
use qwen3vl::{Context, FrameSize, Mark, Piece, Qwen3Vl, Seen, TextLayout};

/// Blocks that are read in one pass at most: enough to fill a processor, few enough that their patches stay small.
const TOGETHER: usize = 8;

/// Frame numbers of a block that say which picture it is.
type Pictures = [usize; 2];

/// A video being read: what the model has of it so far. A clone goes its own way and shares what was read.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    model: &'a Qwen3Vl,
    layout: TextLayout,
    size: FrameSize,
    context: Context,
    after: Vec<u32>,
    /// The last block, by its pictures, and where its features are: a frozen frame is looked at once.
    last: Option<(Pictures, Seen, usize)>,
}

impl<'a> Reader<'a> {
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

    /// Reads the next blocks of `film`.
    ///
    /// # Errors
    /// [`ScorerError`]; what was read before stays.
    pub fn read(
        &mut self,
        film: &(impl Film + ?Sized),
        blocks: &[Block],
    ) -> Result<(), ScorerError> {
        blocks
            .chunks(TOGETHER)
            .try_for_each(|some| self.read_some(film, some))
    }

    fn read_some(
        &mut self,
        film: &(impl Film + ?Sized),
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
        let seen = self.see(film, blocks)?;
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
        film: &(impl Film + ?Sized),
        blocks: &[Block],
    ) -> Result<Vec<(Pictures, Seen, usize)>, ScorerError> {
        let pictures = |block: &Block| block.indices.map(|index| film.picture(index));
        let known = self.last.iter().map(|(pictures, _, _)| *pictures);
        let mut all: Vec<Pictures> = known.collect();
        let mut new = Vec::new();
        for block in blocks {
            if !all.contains(&pictures(block)) {
                all.push(pictures(block));
                let [first, second] = block.indices;
                let frames = [film.frame(first)?, film.frame(second)?];
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
                let pictures = pictures(block);
                let place = all.iter().position(|known| *known == pictures)?;
                match place.checked_sub(old) {
                    Some(place) => Some((pictures, seen.clone()?, place)),
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
