//! Prefill of a video into a context, some blocks at a time.

use super::{FrameSource, ScorerError};
use crate::Block;
use qwen3vl::{Context, ContextPosition, FrameSize, Qwen3Vl, Segment, TextLayout, VisionTokens};

/// Blocks that are read in one pass at most: enough to fill a processor, few enough that their patches stay small.
const BLOCKS_PER_PASS: usize = 8;

/// Identities of the two images of a block.
type ImageIds = [usize; 2];

/// A video being read: the context so far. A clone continues independently and shares what was read.
#[derive(Debug, Clone)]
pub struct VideoReader<'a> {
    model: &'a Qwen3Vl,
    layout: TextLayout,
    size: FrameSize,
    context: Context,
    after: Vec<u32>,
    /// The last block, by its image ids, and where its features are: a frozen frame is looked at once.
    last: Option<(ImageIds, VisionTokens, usize)>,
}

impl<'a> VideoReader<'a> {
    /// An empty reader. Frames will be resized to `size`.
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
            after: model.tokenizer().encode(qwen3vl::layout::after_block())?,
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
        let encoded = self.encode_video(source, blocks)?;
        let mut segments = Vec::with_capacity(3 * blocks.len());
        for (before, (_, tokens, block)) in before.iter().zip(&encoded) {
            segments.push(Segment::Text(before));
            segments.push(Segment::VisionBlock {
                tokens,
                block: *block,
            });
            segments.push(Segment::Text(&self.after));
        }
        self.model.network().append(&mut self.context, &segments)?;
        if let Some(last) = encoded.last() {
            self.last = Some(last.clone());
        }
        Ok(())
    }

    /// The features of every block; each image is encoded once.
    fn encode_video(
        &self,
        source: &(impl FrameSource + ?Sized),
        blocks: &[Block],
    ) -> Result<Vec<(ImageIds, VisionTokens, usize)>, ScorerError> {
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
        let tokens = if new.is_empty() {
            None
        } else {
            Some(self.model.network().encode_video(&new)?)
        };
        let old = all.len() - new.len();
        Ok(blocks
            .iter()
            .filter_map(|block| {
                let image_ids = image_ids(block);
                let index = all.iter().position(|known| *known == image_ids)?;
                match index.checked_sub(old) {
                    Some(block) => Some((image_ids, tokens.clone()?, block)),
                    None => self.last.clone(),
                }
            })
            .collect())
    }

    /// The context read so far.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Position of the end of the video so far.
    #[must_use]
    pub fn position(&self) -> ContextPosition {
        self.context.position()
    }
}
