//! What can be wrong with a model's files, and with what it is asked.

use field_files::json::JsonError;
use layers::FileError;

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file of the model is missing or unreadable.
    #[error("{}{}", .0, what_belongs(.0))]
    File(#[from] layers::FileError),
    /// A file is not JSON, or a value in it has the wrong type or is missing.
    #[error("{file} cannot be used: {place}{reason}")]
    BadFile {
        /// Name of the file.
        file: &'static str,
        /// The part of the file, such as `text_config: `, or nothing.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// A value is well-formed but impossible, or contradicts another one.
    #[error("{file}: {key} {problem}")]
    BadValue {
        /// Name of the file.
        file: &'static str,
        /// The key, with the section it is in.
        key: String,
        /// What is wrong with its value.
        problem: String,
    },
    /// The checkpoint asks for something that this network does not do.
    #[error("this checkpoint has {what}: {why}")]
    Unsupported {
        /// Key and value.
        what: String,
        /// Why it is refused.
        why: String,
    },
    /// The weights.
    #[error(transparent)]
    Checkpoint(#[from] layers::CheckpointError),
}

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// A video without frames.
    #[error("a video needs at least one frame")]
    NoFrames,
    /// A frame that cannot be used.
    #[error("frame {index}: {source}")]
    Frame {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        source: vision::ImageError,
    },
    /// Frames of one video differ in size.
    #[error(
        "frame {index} has {width}x{height} pixels, the first one {first_width}x{first_height}; all frames of a video \
         have one size"
    )]
    UnevenFrames {
        /// Which one, from 0.
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
        /// Why not.
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
        /// What it is.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        range: &'static str,
    },
    /// The tokenizer failed.
    #[error("the text could not be tokenised: {reason}")]
    Tokenizer {
        /// What the tokenizer said.
        reason: String,
    },
    /// A text that comes from outside holds a token with a meaning of its own.
    #[error(
        "the text contains {token:?}, which has a meaning of its own in the prompt; leave it out"
    )]
    SpecialInText {
        /// The token as text.
        token: String,
    },
    /// An id the model has no token for.
    #[error("token id {id} is not below the vocabulary's {vocab_size}")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Number of tokens.
        vocab_size: usize,
    },
    /// A token that stands for an image stands in a text.
    #[error("token id {id} stands for a picture; pictures come as pieces of their own")]
    VisualTokenInText {
        /// The id.
        id: u32,
    },
    /// A block that was not seen.
    #[error("block {block} was asked for, of {blocks} that were seen")]
    NoSuchBlock {
        /// Which one, from 0.
        block: usize,
        /// How many there are.
        blocks: usize,
    },
    /// A mark that lies beyond what the context holds.
    #[error("the tail starts after {tokens} tokens, but the context holds {held}")]
    NoSuchPosition {
        /// Tokens before the tail.
        tokens: usize,
        /// Tokens held.
        held: usize,
    },
    /// A tail of which nothing is asked, or a row that it does not have.
    #[error("row {row} of a tail of {tokens} tokens was asked for")]
    NoSuchRow {
        /// Which one, from 0.
        row: usize,
        /// Tokens of the tail.
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
    /// A question about images to a checkpoint that says nothing of them.
    #[error(
        "this checkpoint does not say how single images are resized; add its preprocessor_config.json to the folder"
    )]
    NoImages,
    /// An answer to nothing.
    #[error("there is nothing to answer: the prompt has no tokens")]
    EmptyPrompt,
    /// A result that is no number.
    #[error("{what} is not a finite number")]
    NotFinite {
        /// What it is.
        what: &'static str,
    },
    /// A result could not be fetched.
    #[error(transparent)]
    ReadBack(#[from] layers::ReadBackError),
}

/// What a folder holds, for whoever misses a file in it.
fn what_belongs(error: &FileError) -> &'static str {
    match error {
        FileError::Missing { .. } => {
            "; a model folder holds config.json, tokenizer.json, video_preprocessor_config.json and safetensors files"
        }
        FileError::Read(_) => "",
    }
}

/// A [`LoadError::BadValue`].
pub(crate) fn bad_value(
    file: &'static str,
    key: impl Into<String>,
    problem: impl Into<String>,
) -> LoadError {
    LoadError::BadValue {
        file,
        key: key.into(),
        problem: problem.into(),
    }
}

/// A [`LoadError::Unsupported`].
pub(crate) fn unsupported(what: impl Into<String>, why: impl Into<String>) -> LoadError {
    LoadError::Unsupported {
        what: what.into(),
        why: why.into(),
    }
}

/// Reads `bytes` as JSON of the type `T`.
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(
    file: &'static str,
    bytes: &[u8],
) -> Result<T, LoadError> {
    field_files::json::parse(bytes).map_err(|error| bad_json(file, String::new(), &error))
}

/// A [`LoadError::BadFile`] of what [`field_files::json`] found in the part `place` of a file.
pub(crate) fn bad_json(file: &'static str, place: String, error: &JsonError) -> LoadError {
    LoadError::BadFile {
        file,
        place,
        reason: error.to_string(),
    }
}
