//! Errors of a model's files and of its input.

use layers::FileError;

/// A model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file of the model is missing or unreadable.
    #[error("{}{}", .0, what_belongs(.0))]
    File(#[from] layers::FileError),
    /// A settings file cannot be used.
    #[error(transparent)]
    Config(#[from] layers::ConfigError),
    /// The weights.
    #[error(transparent)]
    Checkpoint(#[from] layers::CheckpointError),
}

/// The input could not be processed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// A video without frames.
    #[error("a video needs at least one frame")]
    NoFrames,
    /// A frame that cannot be used.
    #[error("frame {index}: {source}")]
    Frame {
        /// Its index, from 0.
        index: usize,
        /// The problem with it.
        source: vision::ImageError,
    },
    /// Frames of one video differ in size.
    #[error(
        "frame {index} has {width}x{height} pixels, the first one {first_width}x{first_height}; all frames of a video \
         have one size"
    )]
    UnevenFrames {
        /// Its index, from 0.
        index: usize,
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
        /// Width of the first.
        first_width: usize,
        /// Height of the first.
        first_height: usize,
    },
    /// Frames too small or too long and thin.
    #[error("frames of {width}x{height} pixels cannot be read: {reason}")]
    BadFrameSize {
        /// Pixels per row.
        width: usize,
        /// Rows.
        height: usize,
        /// The reason.
        reason: String,
    },
    /// Pixels that do not fill the grid they come with.
    #[error("a block of {rows}x{columns} patches takes {want} values, but {got} came")]
    BadBlock {
        /// Patches along the height.
        rows: usize,
        /// Patches along the width.
        columns: usize,
        /// Values needed.
        want: usize,
        /// Values given.
        got: usize,
    },
    /// A frame rate or time that cannot be written.
    #[error("{what} is {value}; a finite number {range} is needed")]
    BadTime {
        /// The quantity.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The permitted range.
        range: &'static str,
    },
    /// The tokenizer failed.
    #[error("the text could not be tokenised: {reason}")]
    Tokenizer {
        /// Message of the tokenizer.
        reason: String,
    },
    /// Text from outside contains a special token.
    #[error(
        "the text contains {token:?}, which has a meaning of its own in the prompt; leave it out"
    )]
    SpecialInText {
        /// The token as text.
        token: String,
    },
    /// An id outside the vocabulary.
    #[error("token id {id} is not below the vocabulary's {vocab_size}")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Number of tokens.
        vocab_size: usize,
    },
    /// A placeholder token for images or videos in a text.
    #[error("token id {id} stands for a picture; pictures come as pieces of their own")]
    VisualTokenInText {
        /// The id.
        id: u32,
    },
    /// A block that was not encoded.
    #[error("block {block} was asked for, of {blocks} that were seen")]
    NoSuchBlock {
        /// Its index, from 0.
        block: usize,
        /// Number of encoded blocks.
        blocks: usize,
    },
    /// A position beyond the end of the context.
    #[error("the tail starts after {tokens} tokens, but the context holds {held}")]
    NoSuchPosition {
        /// Tokens before the suffix.
        tokens: usize,
        /// Tokens in the context.
        held: usize,
    },
    /// An empty suffix, or a row outside of it.
    #[error("row {row} of a tail of {tokens} tokens was asked for")]
    NoSuchRow {
        /// Its index, from 0.
        row: usize,
        /// Tokens of the suffix.
        tokens: usize,
    },
    /// The sequence does not fit the model's positions.
    #[error(
        "position {position} does not fit the {max} positions of this model (max_position_embeddings)"
    )]
    TooLong {
        /// Position needed.
        position: usize,
        /// Positions there are.
        max: usize,
    },
    /// Images for a checkpoint that does not define how they are resized.
    #[error(
        "this checkpoint does not say how single images are resized; add its preprocessor_config.json to the folder"
    )]
    NoImages,
    /// A file of the checkpoint that only some questions need cannot be used.
    #[error("{reason}; the question needs what it says")]
    Settings {
        /// The file, and what is wrong with it.
        reason: String,
    },
    /// An answer to nothing.
    #[error("there is nothing to answer: the prompt has no tokens")]
    EmptyPrompt,
    /// A result that is NaN or infinite.
    #[error("{what} is not a finite number")]
    NotFinite {
        /// The quantity.
        what: &'static str,
    },
    /// A result could not be fetched.
    #[error(transparent)]
    ReadBack(#[from] layers::ReadBackError),
}

/// Hint about the contents of a model folder, for a missing file.
fn what_belongs(error: &FileError) -> &'static str {
    match error {
        FileError::Missing { .. } => {
            "; a model folder holds config.json, tokenizer.json, video_preprocessor_config.json and safetensors files"
        }
        FileError::Read(_) => "",
    }
}
