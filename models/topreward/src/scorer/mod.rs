//! The model behind the method: frames in, log-probabilities out.
//!
//! [`Scorer::score`] scores a [`FrameSource`] with one of three [`ReadStrategy`]s, which agree to rounding:
//!
//! - [`ReadStrategy::Naive`] reads every prefix from its beginning, as the method is defined.
//! - [`ReadStrategy::Streaming`] reads the video once, block after block, and scores as soon as a prefix ends: one block
//!   in, one point out. It needs the least memory and works on a video that is still being recorded.
//! - [`ReadStrategy::Packed`] reads the video once, in at most one pass per prefix, and scores all prefixes in one pass
//!   at the end, with a mask that hides the questions from each other.
//!
//! A live camera is scored frame by frame ([`StreamingScorer`]), with the streaming strategy.
//!
//! One prefill serves all prefixes because a prefix of the frames is a prefix of the tokens: no block of two frames
//! attends to a later one, its time does not depend on others, and the question comes last. A prefix of an odd number
//! of frames ends in half a block, whose frame stands for both; it is read on a copy of the context, which is then
//! dropped. Where the model would resize the frames of a short prefix differently from those of the whole video,
//! because that is at the bound of its pixels, the prefix is read by itself. Profiles whose frames move with the prefix
//! are always read that way.
//!
//! Beside it: [`Scorer::score_described`], with the model's own description before the claim, and
//! [`Scorer::ask_percentages`], the baseline that asks for percentages as text.

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

/// A video could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScorerError {
    /// The question.
    #[error(transparent)]
    Ask(#[from] Error),
    /// The model.
    #[error(transparent)]
    Model(#[from] qwen3vl::ScoreError),
    /// A frame that could not be read.
    #[error("frame {index} of the video: {reason}")]
    Frame {
        /// Index of the frame, from 0.
        index: usize,
        /// The cause.
        reason: String,
    },
    /// The tokenizer splits an answer into several tokens.
    #[error(
        "the answer {word:?} is {tokens} tokens of this model's tokenizer; the method needs a model for which it is one"
    )]
    Answer {
        /// The answer.
        word: &'static str,
        /// Number of tokens.
        tokens: usize,
    },
    /// The callback stopped the scoring.
    #[error("stopped before the end")]
    Stopped,
}
