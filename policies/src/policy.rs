//! The policy trait: observations in, action chunks out.

use molmoact2::{Continuation, DepthTrace};
use protocol::{
    Mode, Stage,
    depth::{DepthDescription, DepthMode},
    viewer::{ActionDimension, PolicyDescription, TokensOrigin},
};
use std::sync::Arc;
use vision::RgbImage;

/// Inputs and outputs of a policy for one embodiment.
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
    /// Rows that the training recipe executes before the next chunk.
    pub n_action_steps: usize,
}

/// Description of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyInfo {
    /// Checkpoint name.
    pub name: String,
    /// Parameter count.
    pub parameters: u64,
    /// Name of the device that it runs on.
    pub device: String,
    /// Heads that it was trained with.
    pub modes: Vec<Mode>,
    /// Embodiments that it was trained for.
    pub tags: Vec<TagInfo>,
    /// The files of its OpenFAST tokenizer, for pages that decode action tokens themselves.
    pub tokenizer: Option<Arc<TokenizerFiles>>,
    /// How it reasons about depth, if it can.
    pub depth: Option<DepthInfo>,
}

/// How a policy reasons about depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepthInfo {
    /// Mode in use.
    pub mode: DepthMode,
    /// Cells of its depth map.
    pub cells: usize,
    /// Number of codes of a cell.
    pub codes: usize,
    /// Weights of the decoder from codes to depth, for pages that decode themselves.
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

    /// The description for viewers.
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

/// One observation for a policy.
#[derive(Debug, Clone, Copy)]
pub struct ActRequest<'a> {
    /// Number of the robot, by which a policy keeps state from one call to the next.
    pub robot: u64,
    /// Norm tag of the robot.
    pub tag: &'a str,
    /// Views in the order of [`TagInfo::cameras`].
    pub images: &'a [RgbImage],
    /// State in the robot's order and units.
    pub state: &'a [f32],
    /// The instruction.
    pub instruction: &'a str,
    /// The head to use.
    pub mode: Mode,
    /// Seed of the flow's starting noise.
    pub seed: u64,
    /// The chunk that the robot is executing, for one that continues it. Continuous mode only.
    pub continuation: Option<&'a Continuation>,
}

/// Output of a policy: one action chunk.
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
    /// OpenFAST ids of the discrete head; empty in continuous mode.
    pub action_tokens: Vec<u32>,
    /// The depth map that preceded the actions, from policies that reason about depth.
    pub depth: Option<DepthTrace>,
    /// Time per stage.
    pub stages: Vec<Stage>,
}

/// A policy gave no chunk. The text is for the person who gave the instruction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PolicyError {
    /// Cause, place and remedy.
    pub reason: String,
}

impl PolicyError {
    /// An error with this text.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

/// Callback with the OpenFAST ids so far, while a chunk is being generated.
pub type TokenCallback<'a> = dyn FnMut(&[u32]) + Send + 'a;

/// Event of one request of a batch.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is handed over once and never kept among others"
)]
pub enum PolicyEvent<'a> {
    /// All OpenFAST ids so far.
    Tokens(&'a [u32]),
    /// The answer. Nothing comes after it.
    Done(Result<PolicyOutput, PolicyError>),
}

/// Callback with the request's place in the batch.
pub type EventSink<'a> = dyn FnMut(usize, PolicyEvent<'_>) + Send + 'a;

/// A policy that computes action chunks. It is owned by one thread and may keep state between calls.
pub trait Policy: Send {
    /// Its description.
    fn info(&self) -> &PolicyInfo;

    /// Computes a chunk. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`PolicyError`], for the person who gave the instruction.
    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError>;

    /// Like [`act`](Self::act); a discrete head calls `on_tokens` after each token with all OpenFAST ids so far, on this
    /// thread. It must not block.
    ///
    /// # Errors
    /// As [`act`](Self::act).
    fn act_streaming(
        &mut self,
        request: &ActRequest<'_>,
        _on_tokens: &mut TokenCallback<'_>,
    ) -> Result<PolicyOutput, PolicyError> {
        self.act(request)
    }

    /// Computes the chunks of several robots. `on_event` is called on this thread, must not block, and receives
    /// [`PolicyEvent::Done`] of every request as soon as it is known; an error of one does not affect the others.
    fn act_batch(&mut self, requests: &[ActRequest<'_>], on_event: &mut EventSink<'_>) {
        for (place, request) in requests.iter().enumerate() {
            let output = self.act_streaming(request, &mut |ids| {
                on_event(place, PolicyEvent::Tokens(ids))
            });
            on_event(place, PolicyEvent::Done(output));
        }
    }

    /// Drops the state of a robot that left.
    fn forget(&mut self, _robot: u64) {}

    /// OpenFAST ids of a chunk of the continuous head, to show it as tokens.
    /// `None` when the policy has no tokenizer or the tokenizer cannot encode the chunk.
    fn encode(
        &mut self,
        _chunk_normalised: &[f32],
        _rows: usize,
        _dims: usize,
    ) -> Option<Vec<u32>> {
        None
    }
}

/// The action tokens of an output, and their origin.
pub fn tokens_of(
    policy: &mut dyn Policy,
    mode: Mode,
    output: &PolicyOutput,
) -> (Vec<u32>, TokensOrigin) {
    match mode {
        Mode::Discrete => (output.action_tokens.clone(), TokensOrigin::Generated),
        Mode::Continuous => (
            policy
                .encode(&output.chunk_normalised, output.rows, output.dims)
                .unwrap_or_default(),
            TokensOrigin::Encoded,
        ),
    }
}
