//! Options of a question, and its answer.

use crate::ask::grounding::Markup;
use crate::clock::Stage;

/// How to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct AskOptions {
    /// Most tokens of the answer.
    pub max_tokens: usize,
    /// 0 takes the likeliest token every time; above, tokens are drawn, the more freely the higher.
    pub temperature: f32,
    /// Draw only among the likeliest tokens that together have this probability; 1 is all of them.
    pub top_p: f32,
    /// Seed of the draws.
    pub seed: u64,
    /// Whether to keep [`Reply::logits`].
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

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model said so.
    EndOfText,
    /// It reached [`AskOptions::max_tokens`].
    MaxTokens,
    /// It reached the model's last position.
    Positions,
    /// Whoever asked had heard enough.
    Stopped,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer as the model wrote it, special tokens left out.
    pub text: String,
    /// Its tokens, with the one that ended it.
    pub ids: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The points and boxes in the text, in pixels of the images as they were given.
    pub marks: Vec<Markup>,
    /// The prompt as text, each image as its placeholder.
    pub prompt: String,
    /// The prompt as the network read it.
    pub prompt_ids: Vec<u32>,
    /// The scores each token was picked from, if asked for.
    pub logits: Option<Vec<Vec<f32>>>,
    /// Where the time went: `preprocess`, `vision`, `prefill`, `decode`.
    pub stages: Vec<Stage>,
}
