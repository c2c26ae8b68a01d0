//! Observations, options and actions: the input and the output of a policy.

use crate::clock::Stage;
use crate::heads::continuation::Continuation;
use crate::heads::depth::{Depth, DepthTrace};
use crate::heads::token_head::Decoding;
use crate::mode::Mode;

/// State of a robot at one moment, and its instruction.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// One image per camera of the tag, in the tag's order.
    pub images: &'a [vision::RgbImage],
    /// Measured state in robot units, `state_dim` values.
    pub state: &'a [f32],
    /// The instruction as it was typed.
    pub instruction: &'a str,
    /// Tag of the robot, which selects statistics and prompt wording.
    pub tag: &'a str,
}

/// Options of one answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActOptions {
    /// The head that answers.
    pub mode: Mode,
    /// Euler steps of the flow; 0 takes the checkpoint's own number. Continuous mode only.
    pub flow_steps: usize,
    /// Initial noise, `[horizon, max_action_dim]` row-major; drawn from `seed` if absent. Continuous mode only.
    pub noise: Option<Vec<f32>>,
    /// Seed of the noise.
    pub seed: u64,
    /// The running chunk that the new one continues. Continuous mode only.
    pub continuation: Option<Continuation>,
    /// Decoding of action tokens. Discrete mode only.
    pub decoding: Decoding,
    /// Depth reasoning before the action.
    pub depth: Depth,
    /// True to return [`Action::velocities`], [`Action::logits`], [`Action::prompt_logits`] and the logits and
    /// gates of [`Action::depth`].
    pub dumps: bool,
}

/// A chunk of actions, with intermediate results.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Rows of `actions`: the tag's `n_action_steps`.
    pub rows: usize,
    /// Columns of `actions`: the tag's real number of action dimensions.
    pub dims: usize,
    /// The actions in robot units, `[rows, dims]` row-major.
    pub actions: Vec<f32>,
    /// The whole chunk in robot units, `[horizon, dims]`; `actions` are its rows to execute.
    pub chunk: Vec<f32>,
    /// The whole chunk as the network computed it, `[horizon, dims]`, normalized and not clipped.
    pub chunk_normalized: Vec<f32>,
    /// Rows of `chunk` and `chunk_normalized`: the tag's horizon.
    pub horizon: usize,
    /// The prompt as text, each image as its placeholder.
    pub prompt: String,
    /// Token ids of the prompt.
    pub prompt_ids: Vec<u32>,
    /// FAST ids of the chunk; empty in continuous mode.
    pub action_tokens: Vec<u32>,
    /// All generated tokens in the model's ids, as the reference returns them: those of the depth map if there is
    /// one, then in discrete mode `<action_start>` to the end of text. In masked decoding the tokens around the
    /// action tokens are implied, not decoded.
    pub generated_ids: Vec<u32>,
    /// The depth map, if the answer reasoned about depth.
    pub depth: Option<DepthTrace>,
    /// Logits of the whole vocabulary at the last token of the prompt, if requested.
    pub prompt_logits: Option<Vec<f32>>,
    /// Velocity of each Euler step, `[horizon, dims]` each, if requested.
    pub velocities: Option<Vec<Vec<f32>>>,
    /// Logits that each token was chosen from, if requested: of the action tokens in masked decoding, of the whole
    /// vocabulary in strict decoding.
    pub logits: Option<Vec<Vec<f32>>>,
    /// Time of each stage, in order.
    pub stages: Vec<Stage>,
}
