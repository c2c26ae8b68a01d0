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
    /// Files of its OpenFAST tokenizer, for pages that decode action tokens themselves.
    pub tokenizer: Option<Arc<TokenizerFiles>>,
    /// Its depth reasoning; `None` if it was not trained for it.
    pub depth: Option<DepthInfo>,
}

/// Depth reasoning of a policy.
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

/// The two files of an OpenFAST tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// `tokenizer.json`.
    pub tokenizer_json: Vec<u8>,
    /// `processor_config.json`.
    pub processor_config_json: Vec<u8>,
}

impl PolicyInfo {
    /// Returns the embodiment with this norm tag.
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
    /// Number of the robot, under which a policy keeps state between calls.
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
    /// The running chunk of the robot, if the new one is to continue it. Continuous mode only.
    pub continuation: Option<&'a Continuation>,
}

/// Output of a policy: one action chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyOutput {
    /// Rows of the chunk.
    pub rows: usize,
    /// Values per row.
    pub dims: usize,
    /// Actions `[rows, dims]`, row-major, in robot units.
    pub actions: Vec<f32>,
    /// Actions `[rows, dims]`, row-major, normalized.
    pub chunk_normalised: Vec<f32>,
    /// The prompt as text, with each run of image tokens abbreviated.
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

/// Error of a policy that computed no chunk, for the person who gave the instruction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PolicyError {
    /// Cause, place and remedy.
    pub reason: String,
}

impl PolicyError {
    /// Makes an error with this text.
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
    reason = "it is handed over once and never stored in a collection"
)]
pub enum PolicyEvent<'a> {
    /// All OpenFAST ids so far.
    Tokens(&'a [u32]),
    /// The result. It is the last event of the request.
    Done(Result<PolicyOutput, PolicyError>),
}

/// Callback with the index of the request in the batch.
pub type EventSink<'a> = dyn FnMut(usize, PolicyEvent<'_>) + Send + 'a;

/// A policy that computes action chunks. It is owned by one thread and may keep state between calls.
pub trait Policy: Send {
    /// Returns its description.
    fn info(&self) -> &PolicyInfo;

    /// Computes a chunk. Blocks until it is done.
    ///
    /// # Errors
    /// [`PolicyError`], for the person who gave the instruction.
    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError>;

    /// Like [`act`](Self::act); a discrete head calls `on_tokens` on this thread after each token, with all OpenFAST ids so
    /// far. The callback must not block.
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

    /// Computes the chunks of several robots. `on_event` is called on this thread and must not block. It receives
    /// [`PolicyEvent::Done`] of every request as soon as that is done; an error of one request does not affect the others.
    fn act_batch(&mut self, requests: &[ActRequest<'_>], on_event: &mut EventSink<'_>) {
        for (index, request) in requests.iter().enumerate() {
            let output = self.act_streaming(request, &mut |ids| {
                on_event(index, PolicyEvent::Tokens(ids));
            });
            on_event(index, PolicyEvent::Done(output));
        }
    }

    /// Drops the state of a robot that left.
    fn forget(&mut self, _robot: u64) {}

    /// Encodes a normalized chunk `[rows, dims]` of the continuous head as OpenFAST ids, for display. `None` if the policy
    /// has no tokenizer or the tokenizer cannot encode the chunk.
    fn encode(
        &mut self,
        _chunk_normalised: &[f32],
        _rows: usize,
        _dims: usize,
    ) -> Option<Vec<u32>> {
        None
    }
}

/// Returns the action tokens of an output and their origin.
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
