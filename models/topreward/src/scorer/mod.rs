//! The model behind the method: frames in, log-probabilities out.
//!
//! [`Scorer::score`] asks about a [`FrameSource`] in one of three [`ReadStrategy`]s, which agree to rounding:
//!
//! - [`ReadStrategy::Naive`] reads every prefix from its beginning, as the method is defined.
//! - [`ReadStrategy::Streaming`] reads the video once, block after block, and asks as soon as a prefix ends: one block
//!   in, one point out. It needs the least memory and works on a video that is still being taken.
//! - [`ReadStrategy::Packed`] reads the video once, in as few passes as there are prefixes, and asks everything at the
//!   end in one, with a mask that hides the questions from each other.
//!
//! A robot that is being watched is scored frame by frame ([`StreamingScorer`]), with the streaming strategy.
//!
//! One reading serves all prefixes because a prefix of the frames is a prefix of the tokens: no block of two
//! frames looks at a later one, its time is its own, and the question comes last. A prefix of an odd number of
//! frames ends in half a block, whose frame stands for both; it is read on a copy of the context, which is then
//! dropped. Where the model would have resized the frames of a short prefix otherwise than those of the whole
//! video, because that is at the bound of the pixels it may have, the prefix is read by itself. Profiles whose
//! frames move with the prefix are always read that way.
//!
//! Beside it: [`Scorer::score_described`], with the model's own description before the claim, and
//! [`Scorer::ask_percentages`], the baseline that asks for percentages in words.

mod baseline;
mod describe;
mod frame_source;
mod question;
mod read_plan;
mod run;
mod streaming;
mod video_reader;

pub use baseline::BaselineAnswer;
pub use describe::{DescribedPoint, DescribedScore, OnDescribedPoint};
pub use frame_source::{FrameSource, PreResized};
pub use question::Question;
pub use read_plan::{PlannedPrefix, ReadPlan};
pub use run::{ReadStrategy, Request, ScoredPoint, Scorer, ScorerOptions};
pub use streaming::StreamingScorer;
pub use video_reader::VideoReader;

use crate::Error;

/// Why a video could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScorerError {
    /// The question.
    #[error(transparent)]
    Ask(#[from] Error),
    /// The model.
    #[error(transparent)]
    Model(#[from] qwen3vl::ScoreError),
    /// A frame that could not be had.
    #[error("frame {index} of the video: {reason}")]
    Frame {
        /// Which one, from 0.
        index: usize,
        /// Why not.
        reason: String,
    },
    /// A tokenizer for which an answer is not one token.
    #[error(
        "the answer {word:?} is {tokens} tokens of this model's tokenizer; the method needs a model for which it is one"
    )]
    Answer {
        /// The answer.
        word: &'static str,
        /// How many.
        tokens: usize,
    },
    /// Someone asked to stop.
    #[error("stopped before the end")]
    Stopped,
}
