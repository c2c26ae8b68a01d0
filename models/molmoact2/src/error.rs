//! What can be wrong with a policy's files, and with what it is asked.

use field_files::json::JsonError;

use crate::mode::Mode;

/// Why a policy could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file of the policy is not there.
    #[error(
        "{name} is missing; a policy folder holds config.json, tokenizer.json, norm_stats.json, \
             processor_config.json and safetensors files"
    )]
    MissingFile {
        /// The file, with its folder if it has one.
        name: String,
    },
    /// A file is there but could not be read, is not what its name says, or is too large to be that.
    #[error(transparent)]
    Read(#[from] field_files::ReadError),
    /// A file is not JSON, or a value in it has the wrong type or is missing.
    #[error("{file} cannot be used: {place}{reason}")]
    BadFile {
        /// Name of the file.
        file: String,
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
    /// A LeRobot folder without the checkpoint it was made from.
    #[error(
        "this is a LeRobot policy folder: the sizes of its network, its tokenizer and its image processing lie in the \
         checkpoint it was made from, {checkpoint_path:?}; give that folder as the base (its weights are not needed)"
    )]
    NeedsBase {
        /// `checkpoint_path` in the folder's `config.json`.
        checkpoint_path: String,
    },
    /// The weights.
    #[error(transparent)]
    Checkpoint(#[from] layers::CheckpointError),
    /// The action tokenizer.
    #[error(
        "the action tokenizer (openfast/ in the policy's folder, unless another was named) cannot be used: {0}"
    )]
    ActionTokenizer(#[from] openfast::LoadError),
}

/// Why a policy could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// The statistics name no such robot.
    #[error("unknown tag {tag:?}; this checkpoint knows {}", .known.join(", "))]
    UnknownTag {
        /// What was asked for.
        tag: String,
        /// What there is, sorted.
        known: Vec<String>,
    },
    /// Another number of frames than the robot has cameras.
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
    /// A state of another length than the robot's.
    #[error("the state has {got} values; tag {tag:?} takes {want}")]
    WrongState {
        /// The tag.
        tag: String,
        /// Values given.
        got: usize,
        /// Values wanted.
        want: usize,
    },
    /// A dimension that is not normalised lies outside the range it was trained in.
    #[error(
        "value {index} of the state (from 0) must lie in -1..=1 for tag {tag:?}: its statistics do not normalise it"
    )]
    StateOutOfRange {
        /// The tag.
        tag: String,
        /// Which value.
        index: usize,
    },
    /// Actions of another length than the robot's.
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
    /// The robot's chunk does not fit the checkpoint.
    #[error("norm_stats.json: {key} of tag {tag:?} {problem}")]
    BadTag {
        /// The tag.
        tag: String,
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A frame that cannot be used.
    #[error("image {index}: {source}")]
    Image {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        source: vision::ImageError,
    },
    /// The tokenizer failed on the prompt.
    #[error("the prompt could not be tokenised: {reason}")]
    Tokenizer {
        /// What the tokenizer said.
        reason: String,
    },
    /// The prompt, or prompt and answer, do not fit the model's positions.
    #[error(
        "{tokens} tokens do not fit the {max} positions of this model (max_position_embeddings)"
    )]
    TooLong {
        /// Tokens needed.
        tokens: usize,
        /// Positions there are.
        max: usize,
    },
    /// This checkpoint cannot answer that way.
    #[error("{mode} mode is not available: {reason}")]
    ModeUnavailable {
        /// The mode asked for.
        mode: Mode,
        /// What is missing.
        reason: String,
    },
    /// Noise of the wrong length.
    #[error("{got} noise values were given where horizon x max_action_dim = {want} are needed")]
    BadNoise {
        /// Values given.
        got: usize,
        /// Values needed.
        want: usize,
    },
    /// The running chunk that the new one should continue cannot be used.
    #[error("the chunk cannot be continued: {problem}")]
    BadContinuation {
        /// What is wrong.
        problem: String,
    },
    /// More Euler steps than make sense; each costs a pass through the expert.
    #[error("{steps} flow steps were asked for; at most {max} are taken")]
    TooManySteps {
        /// Steps asked for.
        steps: usize,
        /// The bound.
        max: usize,
    },
    /// Depth was asked of a checkpoint that does not reason about it.
    #[error(
        "this checkpoint does not reason about depth (enable_depth_reasoning is not set in \
         config.json); ask without"
    )]
    DepthUnavailable,
    /// A depth map that is not square cannot be laid over a frame.
    #[error(
        "num_depth_codes is {cells}, not a square number: cells cannot be compared with an earlier \
         frame; ask for the full depth map"
    )]
    DepthGrid {
        /// Cells of a map.
        cells: usize,
    },
    /// The frame in the depth cache cannot be used.
    #[error("the frame in the depth cache: {source}")]
    BadDepthFrame {
        /// What is wrong with it.
        source: vision::ImageError,
    },
    /// A code in the depth cache that the model does not have.
    #[error(
        "cell {cell} of the depth cache holds code {code}; this checkpoint has codes below {codes}"
    )]
    BadDepthCode {
        /// Which cell, from 0.
        cell: usize,
        /// The code.
        code: u32,
        /// How many codes there are.
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
    /// The token grammar could not be followed.
    #[error("no action tokens can be picked: {0}")]
    Grammar(#[from] openfast::GrammarError),
    /// The tokenizer has ids that the model has no tokens for.
    #[error("the action tokenizer does not fit the model: {0}")]
    Vocabulary(#[from] openfast::VlmError),
    /// The model answered without action tokens.
    #[error("none of the {generated} generated tokens is an action token")]
    NoActionTokens {
        /// Tokens generated.
        generated: usize,
    },
    /// The model did not stop.
    #[error("the answer did not end within {limit} tokens")]
    NoEnd {
        /// Tokens allowed.
        limit: usize,
    },
    /// NaN or infinity where a number is needed.
    #[error("{what} is not a finite number")]
    NotFinite {
        /// What it is.
        what: &'static str,
    },
    /// A result could not be fetched from the device.
    #[error("the result could not be read back from the device: {reason}")]
    ReadBack {
        /// What the backend said.
        reason: String,
    },
}

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Nothing but space.
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
    /// The checkpoint was made for actions alone.
    #[error(
        "this policy was trained to write actions, not answers (its folder has no chat template); ask a \
         vision-language model such as Molmo2-ER"
    )]
    ActionsOnly,
    /// The checkpoint's template does not work.
    #[error("the checkpoint's chat template cannot be used: {reason}")]
    Template {
        /// What went wrong in it.
        reason: String,
    },
    /// Options that mean nothing.
    #[error("{option} is {value}; {wanted}")]
    BadOption {
        /// The name of the option.
        option: &'static str,
        /// Its value.
        value: f32,
        /// What would do.
        wanted: &'static str,
    },
    /// The network, or an image.
    #[error(transparent)]
    Model(#[from] ActError),
}

impl ActError {
    /// The error for a pass that should have returned hidden states and did not.
    pub(crate) fn no_hidden_state() -> Self {
        Self::ReadBack {
            reason: "the language model gave no hidden state".to_owned(),
        }
    }

    /// The error for a request of a batch that was left without an answer.
    pub(crate) fn no_answer() -> Self {
        Self::ReadBack {
            reason: "the batch gave no answer".to_owned(),
        }
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

/// Reads `bytes` as JSON of the type `T`.
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(
    file: &str,
    bytes: &[u8],
) -> Result<T, LoadError> {
    field_files::json::parse(bytes).map_err(|error| bad_json(file, "", &error))
}

/// A [`LoadError::BadFile`] of what [`field_files::json`] found in the part `place` of a file.
pub(crate) fn bad_json(file: &str, place: &str, error: &JsonError) -> LoadError {
    LoadError::BadFile {
        file: file.to_owned(),
        place: place.to_owned(),
        reason: error.to_string(),
    }
}
