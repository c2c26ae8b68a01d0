//! What is wrong with a job, in words for whoever asked.

/// A job that cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A sentence that is no instruction.
    #[error(
        "the {which} has {bytes} bytes; it can have 1 to {}",
        crate::MAX_SENTENCE_BYTES
    )]
    Sentence {
        /// Which sentence.
        which: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// A length that no video has.
    #[error(
        "a video of {frames} frames cannot be scored; it can have 1 to {}",
        crate::MAX_FRAMES
    )]
    Length {
        /// What was asked for.
        frames: u32,
    },
    /// More prefixes of more frames than can be planned.
    #[error(
        "{prefixes} prefixes of a video of which {shown} frames are shown are too many; ask about fewer prefixes or a \
         shorter video"
    )]
    TooMuch {
        /// How many prefixes.
        prefixes: usize,
        /// How many frames of the whole video are shown.
        shown: usize,
    },
    /// A watched robot was asked about as a video, or the other way round.
    #[error("the number of frames must be {want}")]
    Kind {
        /// What it must be.
        want: &'static str,
    },
    /// A frame of another job.
    #[error("a frame of job {got} came while job {want} was being collected")]
    OtherJob {
        /// Whose it is.
        got: u64,
        /// Whose it should be.
        want: u64,
    },
    /// A frame that the video does not have.
    #[error("frame {index} came, but the video has {frames} frames, counted from 0")]
    NoSuchFrame {
        /// Which one.
        index: u32,
        /// How many there are.
        frames: u32,
    },
    /// A frame that came before.
    #[error("frame {index} came twice")]
    Twice {
        /// Which one.
        index: u32,
    },
    /// A frame of a watched robot out of turn.
    #[error("frame {got} came where frame {want} was next")]
    OutOfTurn {
        /// Which one came.
        got: u32,
        /// Which one was next.
        want: u32,
    },
    /// A frame that is no picture.
    #[error("frame {index} is {width}x{height} with {bytes} bytes: {reason}")]
    BadFrame {
        /// Which one.
        index: u32,
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes that came.
        bytes: usize,
        /// What is wrong.
        reason: String,
    },
    /// Frames that are shown and did not come.
    #[error("{count} frames that are shown did not come, the first is frame {first}")]
    Missing {
        /// How many.
        count: usize,
        /// The first of them.
        first: usize,
    },
    /// The question.
    #[error(transparent)]
    Ask(#[from] topreward::Error),
    /// The scorer.
    #[error(transparent)]
    Score(#[from] topreward::scorer::ScorerError),
}
