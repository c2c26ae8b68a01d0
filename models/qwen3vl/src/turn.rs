//! A user's turn of texts and images, as the checkpoint's chat template writes it.

use vision::RgbImage;

use crate::context::{Context, Segment};
use crate::error::ScoreError;
use crate::layout::{TextLayout, VISION_END, VISION_START, answer_turn};
use crate::model::Qwen3Vl;

/// A part of a turn.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// Text. Consecutive texts are joined without a separator.
    Text(&'a str),
    /// An image, resized as the checkpoint says.
    Image(&'a RgbImage),
}

impl Qwen3Vl {
    /// Prefills the turn but for its end; returns the context, and the tokens from the last image on to the place of the
    /// answer, for [`Qwen3Vl::generate`].
    ///
    /// # Errors
    /// [`ScoreError::SpecialInText`] for text that contains a special token, and as [`Qwen3Vl::images`],
    /// [`VideoInput::image`](crate::VideoInput::image) and [`Network::append`](crate::Network::append).
    pub fn prefill_turn(&self, parts: &[Part<'_>]) -> Result<(Context, Vec<u32>), ScoreError> {
        let mut context = Context::default();
        // A turn of images begins as one of a video in the plain layout.
        let mut text = TextLayout::Plain.header();
        for part in parts {
            match part {
                Part::Text(words) => {
                    self.tokenizer().check_plain(words)?;
                    text.push_str(words);
                }
                Part::Image(image) => {
                    let input = self.images()?;
                    let tokens = self.network().encode_video(&[input.image(image)?])?;
                    text.push_str(VISION_START);
                    let ids = self.tokenizer().encode(&text)?;
                    let image_block = Segment::VisionBlock {
                        tokens: &tokens,
                        block: 0,
                    };
                    self.network()
                        .append(&mut context, &[Segment::Text(&ids), image_block])?;
                    VISION_END.clone_into(&mut text);
                }
            }
        }
        text.push_str(answer_turn());
        Ok((context, self.tokenizer().encode(&text)?))
    }
}
