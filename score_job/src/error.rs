//! Errors of a job, with messages for the user.

/// A job that cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// An instruction that is empty or too long.
    #[error(
        "the {which} has {bytes} bytes; it can have 1 to {}",
        crate::MAX_SENTENCE_BYTES
    )]
    Sentence {
        /// Role of the instruction in the request.
        which: &'static str,
        /// Its length (bytes).
        bytes: usize,
    },
    /// A video without frames or with too many.
    #[error(
        "a video of {frames} frames cannot be scored; it can have 1 to {}",
        crate::MAX_FRAMES
    )]
    Length {
        /// Requested number of frames.
        frames: u32,
    },
    /// Too many prefixes for the number of frames.
    #[error(
        "{prefixes} prefixes of a video of which {shown} frames are shown are too many; ask about fewer prefixes or a \
         shorter video"
    )]
    TooMuch {
        /// Number of prefixes.
        prefixes: usize,
        /// Number of frames that the scorer reads of the complete video.
        shown: usize,
    },
    /// A live robot was requested as a video, or a video as a live robot.
    #[error("the number of frames must be {want}")]
    Kind {
        /// Expected presence of `frames`, for the message.
        want: &'static str,
    },
    /// A frame of another job.
    #[error("a frame of job {got} came while job {want} was being collected")]
    OtherJob {
        /// Job of the frame.
        got: u64,
        /// Job that collects frames.
        want: u64,
    },
    /// A frame that the video does not have.
    #[error("frame {index} came, but the video has {frames} frames, counted from 0")]
    NoSuchFrame {
        /// Number of the frame.
        index: u32,
        /// Number of frames of the video.
        frames: u32,
    },
    /// A frame arrived twice.
    #[error("frame {index} came twice")]
    Twice {
        /// Number of the frame.
        index: u32,
    },
    /// A frame of a live robot out of order.
    #[error("frame {got} came where frame {want} was next")]
    OutOfTurn {
        /// Number of the frame that arrived.
        got: u32,
        /// Number of the expected frame.
        want: u32,
    },
    /// A frame that is not a valid image.
    #[error("frame {index} is {width}x{height} with {bytes} bytes: {reason}")]
    BadFrame {
        /// Number of the frame.
        index: u32,
        /// Width (pixels).
        width: u32,
        /// Height (pixels).
        height: u32,
        /// Size of its pixel data (bytes).
        bytes: usize,
        /// Fault, for the reader of the message.
        reason: String,
    },
    /// Required frames are missing.
    #[error("{count} frames that are shown did not come, the first is frame {first}")]
    Missing {
        /// Number of missing frames.
        count: usize,
        /// Number of the first of them.
        first: usize,
    },
    /// The request is invalid.
    #[error(transparent)]
    Ask(#[from] topreward::Error),
    /// The scorer failed.
    #[error(transparent)]
    Score(#[from] topreward::scorer::ScorerError),
}
