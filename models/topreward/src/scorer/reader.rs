//! Reading a video into a context, block by block.

use super::{Film, ScorerError};
use crate::Block;
use qwen3vl::{Context, FrameSize, Mark, Piece, Qwen3Vl, Seen, TextLayout};

/// A video being read: what the model has of it so far. A clone goes its own way and shares what was read.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    model: &'a Qwen3Vl,
    layout: TextLayout,
    size: FrameSize,
    context: Context,
    after: Vec<u32>,
    /// The last block, by its pictures: a frozen frame is looked at once.
    last: Option<([usize; 2], Seen)>,
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
        for block in blocks {
            // The header has no special token at its end: its text and the first time are one.
            let opening = if self.context.tokens() == 0 {
                self.layout.header()
            } else {
                String::new()
            };
            let before = self.model.before_block(&opening, block.seconds)?;
            let pictures = block.indices.map(|index| film.picture(index));
            let seen = match self.last.take() {
                Some((last, seen)) if last == pictures => seen,
                _ => self.see(film, block)?,
            };
            let read = self.model.network().append(
                &mut self.context,
                &[
                    Piece::Text(&before),
                    Piece::Picture {
                        seen: &seen,
                        block: 0,
                    },
                    Piece::Text(&self.after),
                ],
            );
            self.last = Some((pictures, seen));
            read?;
        }
        Ok(())
    }

    fn see(&self, film: &(impl Film + ?Sized), block: &Block) -> Result<Seen, ScorerError> {
        let [first, second] = block.indices;
        let frames = [film.frame(first)?, film.frame(second)?];
        let block = self
            .model
            .video()
            .block([&frames[0], &frames[1]], self.size)?;
        Ok(self.model.network().see(&[block])?)
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
