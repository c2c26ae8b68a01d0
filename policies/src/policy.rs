//! What the rest of the server knows of a policy.

use molmoact2::{Continuation, DepthTrace};
use protocol::{
    Mode, Stage,
    depth::{DepthDescription, DepthMode},
    viewer::{ActionDimension, PolicyDescription, TokensOrigin},
};
use std::sync::Arc;
use vision::RgbImage;

/// What a policy is and what it wants, for one embodiment.
#[derive(Debug, Clone, PartialEq)]
pub struct TagInfo {
    /// Norm tag; a robot names it in its hello.
    pub tag: String,
    /// Views in the order of the prompt, without the dataset prefix: `overview`.
    pub cameras: Vec<String>,
    /// Values in a state vector.
    pub state_dim: usize,
    /// Dimensions of an action.
    pub action: Vec<ActionDimension>,
    /// Mean action of the training data, in robot units.
    pub mean_action: Vec<f32>,
    /// Rows of a chunk.
    pub horizon: usize,
    /// Rows that its authors execute before they ask again.
    pub n_action_steps: usize,
}

/// What a policy is.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyInfo {
    /// Checkpoint name.
    pub name: String,
    /// Parameter count.
    pub parameters: u64,
    /// Where it runs, in words.
    pub device: String,
    /// Heads that it was trained with.
    pub modes: Vec<Mode>,
    /// Embodiments that it knows.
    pub tags: Vec<TagInfo>,
    /// The files of its OpenFAST tokenizer, for pages that decode action tokens themselves.
    pub tokenizer: Option<Arc<TokenizerFiles>>,
    /// How it reasons about depth, if it can.
    pub depth: Option<DepthInfo>,
}

/// How a policy reasons about depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepthInfo {
    /// What it does.
    pub mode: DepthMode,
    /// Cells of its depth map.
    pub cells: usize,
    /// Codes that a cell can have.
    pub codes: usize,
    /// The file of the decoder that draws the codes, for pages that draw them themselves.
    pub decoder: Option<Arc<Vec<u8>>>,
}

/// The two files that make an OpenFAST tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// `tokenizer.json`.
    pub tokenizer_json: Vec<u8>,
    /// `processor_config.json`.
    pub processor_config_json: Vec<u8>,
}

impl PolicyInfo {
    /// The embodiment of that name.
    pub fn tag(&self, tag: &str) -> Option<&TagInfo> {
        self.tags.iter().find(|known| known.tag == tag)
    }

    /// As viewers are told.
    pub fn describe(&self) -> PolicyDescription {
        let first = self.tags.first();
        PolicyDescription {
            name: self.name.clone(),
            parameters: self.parameters,
            device: self.device.clone(),
            horizon: first.map_or(0, |tag| tag.horizon.try_into().unwrap_or(u32::MAX)),
            modes: self.modes.clone(),
            action: first.map(|tag| tag.action.clone()).unwrap_or_default(),
            has_tokenizer: self.tokenizer.is_some(),
            depth: self.depth.as_ref().map(|depth| DepthDescription {
                mode: depth.mode,
                cells: depth.cells.try_into().unwrap_or(u32::MAX),
                codes: depth.codes.try_into().unwrap_or(u32::MAX),
                has_decoder: depth.decoder.is_some(),
            }),
        }
    }
}

/// One question to a policy.
#[derive(Debug, Clone, Copy)]
pub struct ActRequest<'a> {
    /// Whose call this is. A policy that remembers something from one call to the next does so by this number.
    pub robot: u64,
    /// Norm tag of the robot.
    pub tag: &'a str,
    /// Views in the order of [`TagInfo::cameras`].
    pub images: &'a [RgbImage],
    /// State in the robot's order and units.
    pub state: &'a [f32],
    /// The sentence.
    pub instruction: &'a str,
    /// Which head.
    pub mode: Mode,
    /// Seed of the flow's starting noise.
    pub seed: u64,
    /// The chunk that the robot is executing, for one that continues it. Continuous mode only.
    pub continuation: Option<&'a Continuation>,
}

/// One answer of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyOutput {
    /// Rows of the chunk.
    pub rows: usize,
    /// Values per row.
    pub dims: usize,
    /// `[rows, dims]` row-major, robot units.
    pub actions: Vec<f32>,
    /// `[rows, dims]` row-major, normalised.
    pub chunk_normalised: Vec<f32>,
    /// The prompt as text, image tokens folded.
    pub prompt: String,
    /// Prompt tokens, image tokens included.
    pub prompt_tokens: usize,
    /// OpenFAST ids that the discrete head wrote; empty in continuous mode.
    pub action_tokens: Vec<u32>,
    /// The depth map that was written before the actions, by policies that reason about depth.
    pub depth: Option<DepthTrace>,
    /// Time per stage.
    pub stages: Vec<Stage>,
}

/// A policy could not answer. The words are for the person who gave the command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PolicyError {
    /// What went wrong, where, and what to do.
    pub reason: String,
}

impl PolicyError {
    /// An error with these words.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

/// Who is told the OpenFAST ids so far while a chunk is being written.
pub type TokenCallback<'a> = dyn FnMut(&[u32]) + Send + 'a;

/// What becomes of one request of a batch.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is handed over once and never kept among others"
)]
pub enum PolicyEvent<'a> {
    /// All OpenFAST ids so far.
    Wrote(&'a [u32]),
    /// The answer. Nothing comes after it.
    Done(Result<PolicyOutput, PolicyError>),
}

/// Who is told, by the request's place in the batch.
pub type EventSink<'a> = dyn FnMut(usize, PolicyEvent<'_>) + Send + 'a;

/// A policy that can be asked for action chunks. It is owned by one thread and may keep state between calls.
pub trait Policy: Send {
    /// What it is.
    fn info(&self) -> &PolicyInfo;

    /// Computes a chunk. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`PolicyError`] in words for the person who gave the command.
    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError>;

    /// The same; a head that writes tokens calls `written` after each of them with all OpenFAST ids so far.
    /// `written` is called on this thread and must not block.
    ///
    /// # Errors
    /// As [`act`](Self::act).
    fn act_streaming(
        &mut self,
        request: &ActRequest<'_>,
        _written: &mut TokenCallback<'_>,
    ) -> Result<PolicyOutput, PolicyError> {
        self.act(request)
    }

    /// Computes the chunks of several robots. `told` is called on this thread, must not block, and hears
    /// [`PolicyEvent::Done`] of every request, as soon as it is known; an error of one does not touch the others.
    fn act_batch(&mut self, requests: &[ActRequest<'_>], told: &mut EventSink<'_>) {
        for (place, request) in requests.iter().enumerate() {
            let acted =
                self.act_streaming(request, &mut |ids| told(place, PolicyEvent::Wrote(ids)));
            told(place, PolicyEvent::Done(acted));
        }
    }

    /// A robot is gone; nothing of it need be remembered.
    fn forget(&mut self, _robot: u64) {}

    /// OpenFAST ids of a chunk that the continuous head made, so that it can travel and be shown as tokens.
    /// `None` when the policy has no tokenizer or the chunk cannot be written in it.
    fn encode(
        &mut self,
        _chunk_normalised: &[f32],
        _rows: usize,
        _dims: usize,
    ) -> Option<Vec<u32>> {
        None
    }
}

/// The action tokens of an answer, and where they come from.
pub fn tokens_of(
    actor: &mut dyn Policy,
    mode: Mode,
    acted: &PolicyOutput,
) -> (Vec<u32>, TokensOrigin) {
    match mode {
        Mode::Discrete => (acted.action_tokens.clone(), TokensOrigin::Generated),
        Mode::Continuous => (
            actor
                .encode(&acted.chunk_normalised, acted.rows, acted.dims)
                .unwrap_or_default(),
            TokensOrigin::Encoded,
        ),
    }
}
