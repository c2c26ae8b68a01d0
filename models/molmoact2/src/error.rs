//! Errors of loading, acting and asking.

use field_files::json::JsonError;
use layers::ConfigError;

use crate::mode::Mode;

/// A checkpoint could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file is missing.
    #[error(
        "{name} is missing; a policy folder holds config.json, tokenizer.json, norm_stats.json, \
             processor_config.json and safetensors files"
    )]
    MissingFile {
        /// The file, with its folder if known.
        name: String,
    },
    /// A file could not be read, is a different kind of file than its name says, or is too large for its kind.
    #[error(transparent)]
    Read(#[from] field_files::ReadError),
    /// A settings file cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A LeRobot folder without the checkpoint it was made from.
    #[error(
        "this is a LeRobot policy folder: the sizes of its network, its tokenizer and its image processing lie in the \
         checkpoint it was made from, {checkpoint_path:?}; give that folder as the base (its weights are not needed)"
    )]
    NeedsBase {
        /// `checkpoint_path` in the folder's `config.json`.
        checkpoint_path: String,
    },
    /// The weights cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] layers::CheckpointError),
    /// The action tokenizer cannot be used.
    #[error(
        "the action tokenizer (openfast/ in the policy's folder, unless another was named) cannot be used: {0}"
    )]
    ActionTokenizer(#[from] openfast::LoadError),
}

impl From<layers::FileError> for LoadError {
    fn from(error: layers::FileError) -> Self {
        match error {
            layers::FileError::Missing { name } => Self::MissingFile { name },
            layers::FileError::Read(error) => Self::Read(error),
        }
    }
}

/// A policy could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// The statistics have no such tag.
    #[error("unknown tag {tag:?}; this checkpoint knows {}", .known.join(", "))]
    UnknownTag {
        /// Requested tag.
        tag: String,
        /// Known tags, sorted.
        known: Vec<String>,
    },
    /// The number of images differs from the number of cameras.
    #[error(
        "{got} images were given; tag {tag:?} takes one per camera, in this order: {}",
        .cameras.join(", ")
    )]
    WrongImages {
        /// The tag.
        tag: String,
        /// Images given.
        got: usize,
        /// The tag's cameras.
        cameras: Vec<String>,
    },
    /// The state has the wrong length.
    #[error("the state has {got} values; tag {tag:?} takes {want}")]
    WrongState {
        /// The tag.
        tag: String,
        /// Values given.
        got: usize,
        /// Values expected.
        want: usize,
    },
    /// A dimension that is not normalized lies outside -1..=1.
    #[error(
        "value {index} of the state (from 0) must lie in -1..=1 for tag {tag:?}: its statistics do not normalize it"
    )]
    StateOutOfRange {
        /// The tag.
        tag: String,
        /// Index of the value.
        index: usize,
    },
    /// Actions are not whole rows.
    #[error("{got} action values cannot be split into rows of {want}")]
    WrongActions {
        /// Values given.
        got: usize,
        /// Values per row.
        want: usize,
    },
    /// The instruction holds a token that stands for an image.
    #[error(
        "the instruction contains {token:?}, which stands for an image in the prompt; leave it out"
    )]
    ImageTokenInInstruction {
        /// The token as text.
        token: String,
    },
    /// The entry of a robot in the statistics cannot be used.
    #[error("norm_stats.json: {key} of tag {tag:?} {problem}")]
    BadTag {
        /// The tag.
        tag: String,
        /// The key.
        key: &'static str,
        /// Problem with it.
        problem: String,
    },
    /// The statistics of a robot cannot be used.
    #[error("tag {tag:?} cannot be used: {reason}")]
    UnusableTag {
        /// The tag.
        tag: String,
        /// The file, the key and the problem.
        reason: String,
    },
    /// An image cannot be used.
    #[error("image {index}: {source}")]
    Image {
        /// Index of the image, from 0.
        index: usize,
        /// Problem with it.
        source: vision::ImageError,
    },
    /// The tokenizer failed on the prompt.
    #[error("the prompt could not be tokenized: {reason}")]
    Tokenizer {
        /// Message of the tokenizer.
        reason: String,
    },
    /// The prompt, or prompt and answer, exceed the model's positions.
    #[error(
        "{tokens} tokens do not fit the {max} positions of this model (max_position_embeddings)"
    )]
    TooLong {
        /// Tokens needed.
        tokens: usize,
        /// Positions of the model.
        max: usize,
    },
    /// The checkpoint cannot answer in this mode.
    #[error("{mode} mode is not available: {reason}")]
    ModeUnavailable {
        /// Requested mode.
        mode: Mode,
        /// Reason.
        reason: String,
    },
    /// The noise has the wrong length.
    #[error("{got} noise values were given where horizon x max_action_dim = {want} are needed")]
    BadNoise {
        /// Values given.
        got: usize,
        /// Values needed.
        want: usize,
    },
    /// The running chunk cannot be continued.
    #[error("the chunk cannot be continued: {problem}")]
    BadContinuation {
        /// Problem with the continuation.
        problem: String,
    },
    /// Too many Euler steps; each costs a pass through the expert.
    #[error("{steps} flow steps were asked for; at most {max} are taken")]
    TooManySteps {
        /// Requested steps.
        steps: usize,
        /// Upper bound.
        max: usize,
    },
    /// Depth reasoning was requested of a checkpoint without it.
    #[error(
        "this checkpoint does not reason about depth (enable_depth_reasoning is not set in \
         config.json); ask without"
    )]
    DepthUnavailable,
    /// A depth map that is not square cannot be compared with an image.
    #[error(
        "num_depth_codes is {cells}, not a square number: cells cannot be compared with an earlier \
         frame; ask for the full depth map"
    )]
    DepthGrid {
        /// Cells of a map.
        cells: usize,
    },
    /// The image in the depth cache cannot be used.
    #[error("the frame in the depth cache: {source}")]
    BadDepthFrame {
        /// Problem with it.
        source: vision::ImageError,
    },
    /// The depth cache holds a code that the model does not have.
    #[error(
        "cell {cell} of the depth cache holds code {code}; this checkpoint has codes below {codes}"
    )]
    BadDepthCode {
        /// Index of the cell, from 0.
        cell: usize,
        /// The code.
        code: u32,
        /// Number of codes of the model.
        codes: usize,
    },
    /// The model did not end its depth map.
    #[error("the depth map did not end: no <depth_end> within {limit} tokens")]
    NoDepthEnd {
        /// Tokens allowed.
        limit: usize,
    },
    /// The model wrote a depth map without a code in it.
    #[error("none of the {generated} generated tokens is a depth code")]
    NoDepthCodes {
        /// Tokens generated.
        generated: usize,
    },
    /// The tokens do not decode to a chunk.
    #[error("the action tokens do not decode: {0}")]
    Decode(#[from] openfast::DecodeError),
    /// The token grammar cannot be followed.
    #[error("no action tokens can be picked: {0}")]
    Grammar(#[from] openfast::GrammarError),
    /// The action tokenizer has ids without a token of the model.
    #[error("the action tokenizer does not fit the model: {0}")]
    Vocabulary(#[from] openfast::VlmError),
    /// The model answered without action tokens.
    #[error("none of the {generated} generated tokens is an action token")]
    NoActionTokens {
        /// Tokens generated.
        generated: usize,
    },
    /// The answer did not end.
    #[error("the answer did not end within {limit} tokens")]
    NoEnd {
        /// Tokens allowed.
        limit: usize,
    },
    /// A value is NaN or infinite.
    #[error("{what} is not a finite number")]
    NotFinite {
        /// The value.
        what: &'static str,
    },
    /// A result could not be read back from the device.
    #[error("the result could not be read back from the device: {reason}")]
    ReadBack {
        /// Message of the backend.
        reason: String,
    },
}

/// A question could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The question is empty or white space.
    #[error("the question is empty")]
    Empty,
    /// The question holds a token that stands for an image.
    #[error(
        "the question contains {token:?}, which stands for an image in the prompt; leave it out"
    )]
    ImageToken {
        /// The token as text.
        token: String,
    },
    /// The checkpoint has no chat template.
    #[error(
        "this policy was trained to write actions, not answers (its folder has no chat template); ask a \
         vision-language model such as Molmo2-ER"
    )]
    ActionsOnly,
    /// The chat template of the checkpoint cannot be used.
    #[error("the checkpoint's chat template cannot be used: {reason}")]
    Template {
        /// Error of the template.
        reason: String,
    },
    /// A file of the checkpoint that only answers need cannot be read.
    #[error("{reason}; an answer needs what it says")]
    Unreadable {
        /// The file and the problem.
        reason: String,
    },
    /// An option is out of range.
    #[error("{option} is {value}; {wanted}")]
    BadOption {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        value: f32,
        /// Accepted values.
        wanted: &'static str,
    },
    /// The network failed, or an image cannot be used.
    #[error(transparent)]
    Model(#[from] ActError),
}

impl ActError {
    /// A [`ActError::ReadBack`] for a pass that returned no hidden states.
    pub(crate) fn no_hidden_state() -> Self {
        Self::ReadBack {
            reason: "the language model gave no hidden state".to_owned(),
        }
    }

    /// A [`ActError::ReadBack`] for a request that its batch left unanswered.
    pub(crate) fn no_answer() -> Self {
        Self::ReadBack {
            reason: "the batch gave no answer".to_owned(),
        }
    }
}

/// A [`ConfigError::BadValue`].
pub(crate) fn bad_value(
    file: &str,
    key: impl Into<String>,
    problem: impl Into<String>,
) -> LoadError {
    ConfigError::bad_value(file, key, problem).into()
}

/// Reads `bytes` as JSON of the type `T`.
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(
    file: &str,
    bytes: &[u8],
) -> Result<T, LoadError> {
    Ok(layers::parse_config(file, bytes)?)
}

/// A [`ConfigError::BadFile`] for an error of [`field_files::json`] in the part `place` of a file.
pub(crate) fn bad_json(file: &str, place: &str, error: &JsonError) -> LoadError {
    ConfigError::bad_json(file, place, error).into()
}
