//! Options of a question, and its answer.

use crate::ask::grounding::Markup;
use crate::clock::Stage;

/// Options of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct AskOptions {
    /// Maximum number of tokens of the answer.
    pub max_tokens: usize,
    /// Sampling temperature; 0 is greedy decoding.
    pub temperature: f32,
    /// Nucleus sampling: the probability mass of the likeliest tokens to sample from; 1 is all of them.
    pub top_p: f32,
    /// Seed of the sampling.
    pub seed: u64,
    /// True to return [`Reply::logits`].
    pub dumps: bool,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self {
            max_tokens: 200,
            temperature: 0.0,
            top_p: 1.0,
            seed: 0,
            dumps: false,
        }
    }
}

/// Reason why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model generated an end token.
    EndOfText,
    /// [`AskOptions::max_tokens`] was reached.
    MaxTokens,
    /// The last position of the model was reached.
    Positions,
    /// The caller stopped the generation.
    Stopped,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Text of the answer, without special tokens.
    pub text: String,
    /// Token ids of the answer, including the end token.
    pub ids: Vec<u32>,
    /// Reason why it ended.
    pub finish_reason: FinishReason,
    /// The points and boxes in the text, in pixels of the images as they were given.
    pub marks: Vec<Markup>,
    /// The prompt as text, each image as its placeholder.
    pub prompt: String,
    /// Token ids of the prompt.
    pub prompt_ids: Vec<u32>,
    /// Logits that each token was sampled from, if requested.
    pub logits: Option<Vec<Vec<f32>>>,
    /// Time of each stage: `preprocess`, `vision`, `prefill`, `decode`.
    pub stages: Vec<Stage>,
}
