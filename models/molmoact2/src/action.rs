//! What a policy is asked and what it answers.

use crate::clock::Stage;
use crate::heads::continuation::Continuation;
use crate::heads::depth::{Depth, DepthTrace};
use crate::heads::token_head::Decoding;
use crate::mode::Mode;

/// One moment of a robot, and what it is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// One frame per camera of the tag, in the tag's order.
    pub images: &'a [vision::RgbImage],
    /// Measured state in robot units, `state_dim` values.
    pub state: &'a [f32],
    /// The instruction, as a person wrote it.
    pub instruction: &'a str,
    /// Which robot's statistics and wording apply.
    pub tag: &'a str,
}

/// How to answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActOptions {
    /// Which head answers.
    pub mode: Mode,
    /// Euler steps of the flow; 0 takes the checkpoint's own number. Continuous mode only.
    pub flow_steps: usize,
    /// The noise to start from, `[horizon, max_action_dim]` row-major; drawn from `seed` if
    /// absent. Continuous mode only.
    pub noise: Option<Vec<f32>>,
    /// Seed of the noise.
    pub seed: u64,
    /// The chunk that is running, for one that continues it. Continuous mode only.
    pub continuation: Option<Continuation>,
    /// How tokens are picked. Discrete mode only.
    pub decoding: Decoding,
    /// Whether and how to reason about depth before acting.
    pub depth: Depth,
    /// Whether to keep [`Action::velocities`], [`Action::logits`], [`Action::prompt_logits`] and
    /// the scores and gates of [`Action::depth`].
    pub dumps: bool,
}

/// A chunk of actions and how it came about.
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
    /// The whole chunk as the network gave it, `[horizon, dims]`, normalised and not clipped.
    pub chunk_normalized: Vec<f32>,
    /// Rows of `chunk` and `chunk_normalized`: the tag's horizon.
    pub horizon: usize,
    /// The prompt as text, each image as its placeholder.
    pub prompt: String,
    /// The prompt as the network read it.
    pub prompt_ids: Vec<u32>,
    /// FAST ids of the chunk; empty in continuous mode.
    pub action_tokens: Vec<u32>,
    /// Every token of the answer, in the model's ids, as the reference returns them: the depth map's
    /// tokens if there is one, and in discrete mode after them `<action_start>` to the end of text.
    /// In masked decoding what stands around the action tokens is implied rather than picked.
    pub generated_ids: Vec<u32>,
    /// How the depth map came about, if the answer reasoned about depth.
    pub depth: Option<DepthTrace>,
    /// The scores of the whole vocabulary at the last token of the prompt, if asked for.
    pub prompt_logits: Option<Vec<f32>>,
    /// The velocity of each step, `[horizon, dims]` each, if asked for.
    pub velocities: Option<Vec<Vec<f32>>>,
    /// The scores each token was picked from, if asked for: of the action tokens in masked
    /// decoding, of the whole vocabulary in strict decoding.
    pub logits: Option<Vec<Vec<f32>>>,
    /// Where the time went, in order.
    pub stages: Vec<Stage>,
}
