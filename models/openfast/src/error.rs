//! Errors, with the figures needed to correct them.

use field_files::ReadError;
use field_files::json::JsonError;

use crate::Shape;

/// A tokenizer folder or its bytes could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is missing or unreadable, is not what its name says, or is too large to be that.
    #[error("{}{}", .0, if_missing(.0, "; a tokenizer folder holds tokenizer.json (or bpe_tokenizer/tokenizer.json) and processor_config.json"))]
    Read(#[from] ReadError),
    /// `processor_config.json` is not the JSON it should be.
    #[error(
        "processor_config.json: {0}; it must give at least the numbers `scale` and `min_token`"
    )]
    Config(#[source] JsonError),
    /// `processor_config.json` holds a value that cannot be used.
    #[error("processor_config.json: `{field}` is {value}, it must be {want}")]
    BadConfig {
        /// The key.
        field: &'static str,
        /// The value in the file.
        value: String,
        /// The permitted range.
        want: &'static str,
    },
    /// `tokenizer.json` is not a tokenizer file.
    #[error("tokenizer.json: {0}")]
    Tokenizer(String),
    /// `tokenizer.json` is a tokenizer, but not a byte-level BPE as FAST uses.
    #[error("tokenizer.json: {part} is {found}; a FAST tokenizer has {want}")]
    NotFast {
        /// The part of the file.
        part: &'static str,
        /// Its content.
        found: String,
        /// The content of FAST files there.
        want: &'static str,
    },
    /// A file of a model's checkpoint is missing or unreadable, is not what its name says, or is too large to be that.
    #[error("{}{}", .0, if_missing(.0, "; a checkpoint folder holds config.json"))]
    ReadCheckpoint(ReadError),
    /// A file of a model's checkpoint is not the JSON it should be.
    #[error("{file} of the model: {source}")]
    VlmJson {
        /// The file.
        file: &'static str,
        /// The cause.
        source: JsonError,
    },
    /// A model's checkpoint does not say which of its ids stand for FAST's.
    #[error("the model's configuration gives no action tokens: {reason}")]
    NoVlmVocabulary {
        /// The missing or contradictory key.
        reason: String,
    },
}

/// A chunk could not be encoded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// A side is zero or too large.
    #[error("a chunk of shape {0} cannot be encoded: both sides must be at least 1, the horizon at most {max}, the values at most {values}", max = Shape::MAX_HORIZON, values = Shape::MAX_VALUES)]
    BadShape(Shape),
    /// The slice is not as long as the shape says.
    #[error("got {got} values for a chunk of shape {shape}, which has {want}")]
    WrongLength {
        /// Values given.
        got: usize,
        /// Values of the shape.
        want: usize,
        /// The shape.
        shape: Shape,
    },
    /// A NaN or an infinity.
    #[error(
        "the action at step {step}, dimension {dim} is {value}; only finite values can be encoded"
    )]
    NotFinite {
        /// Row of the chunk.
        step: usize,
        /// Column of the chunk.
        dim: usize,
        /// The value.
        value: f32,
    },
    /// The quantised coefficient has no Unicode character (the reference raises here).
    #[error(
        "coefficient {coefficient} at frequency {frequency}, dimension {dim} is no Unicode character; are the actions normalised to [-1, 1]?"
    )]
    NoCharacter {
        /// Row of the coefficient.
        frequency: usize,
        /// Column of the coefficient.
        dim: usize,
        /// The quantised coefficient, saturated to `i32`.
        coefficient: i32,
    },
    /// No coefficient can be expressed at all, so there is no nearest one.
    #[error("this vocabulary cannot express any coefficient")]
    EmptyVocabulary,
}

/// A token stream is not the encoding of a chunk of the wanted shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A side is zero or too large.
    #[error("a chunk of shape {0} cannot be decoded: both sides must be at least 1, the horizon at most {max}, the values at most {values}", max = Shape::MAX_HORIZON, values = Shape::MAX_VALUES)]
    BadShape(Shape),
    /// An id that the vocabulary does not have.
    #[error(
        "token {position} is {id}, which the vocabulary does not have (its ids end below {vocabulary})"
    )]
    UnknownId {
        /// Index in the stream, from 0.
        position: usize,
        /// The id.
        id: u32,
        /// One past the largest id.
        vocabulary: usize,
    },
    /// An id that exists but that no encoder ever emits.
    #[error(
        "token {position} is {id}, which no encoder emits (an alphabet entry outside the byte-level alphabet)"
    )]
    UnreachableId {
        /// Index in the stream, from 0.
        position: usize,
        /// The id.
        id: u32,
    },
    /// A token that does not continue the character begun before it.
    #[error("token {position} ({id}) does not continue the character begun before it")]
    BrokenCharacter {
        /// Index in the stream, from 0.
        position: usize,
        /// The id.
        id: u32,
    },
    /// The stream ends inside a character.
    #[error("the stream ends inside a character")]
    UnfinishedCharacter,
    /// The stream stands for another number of coefficients.
    #[error("the stream stands for {got} coefficients, a chunk of shape {shape} has {want}")]
    WrongCount {
        /// Coefficients of the stream.
        got: usize,
        /// Coefficients of the shape.
        want: usize,
        /// The shape.
        shape: Shape,
    },
    /// A coefficient so large that the actions overflow float32. No stream stands for one; only
    /// [`crate::FastTokenizer::inverse_dct`] can be given it.
    #[error(
        "coefficient {coefficient} at frequency {frequency}, dimension {dim} is out of range: with this scale it gives actions beyond float32"
    )]
    OutOfRange {
        /// Row of the coefficient.
        frequency: usize,
        /// Column of the coefficient.
        dim: usize,
        /// The quantised coefficient.
        coefficient: i32,
    },
}

/// The grammar cannot be made or advanced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// A side is zero or too large.
    #[error("no grammar for a chunk of shape {0}: both sides must be at least 1, the horizon at most {max}, the values at most {values}", max = Shape::MAX_HORIZON, values = Shape::MAX_VALUES)]
    BadShape(Shape),
    /// No sequence of tokens has exactly the wanted number of coefficients.
    #[error("no token stream of this vocabulary stands for exactly {want} coefficients")]
    NoStream {
        /// Coefficients wanted.
        want: usize,
    },
    /// The id would make the stream undecodable.
    #[error("token {id} is not allowed here: {remaining} coefficients remain")]
    NotAllowed {
        /// The id.
        id: u32,
        /// Coefficients that remain.
        remaining: usize,
    },
}

/// Hint about the contents of a folder, for a missing file.
fn if_missing(error: &ReadError, holds: &'static str) -> &'static str {
    if error.is_missing() { holds } else { "" }
}
