//! Reasoning about depth before acting (the Think checkpoints).
//!
//! The model first writes a coarse depth map of the first camera's frame: a square grid of cells,
//! each a code from a small codebook, between `<depth_start>` and `<depth_end>`. Only then does it
//! act, and the expert looks at those tokens too, dimmed by a learned gate.
//!
//! - `change.rs`: which cells of the frame differ from the last call's;
//! - `regeneration.rs`: which cells are therefore written anew, and which are taken over;
//! - `head.rs`: writing them, of several robots together. A changed cell costs one pass through the
//!   language model; a run of unchanged ones is read in a single pass;
//! - `decode_state.rs`: how far one map is.
//!
//! How much of the depth tokens the expert gets to see is decided in `network/token_gain.rs`.
//!
//! Nothing is remembered here between calls: what the next call needs is handed out in
//! [`DepthTrace::cache`] and taken back in [`Depth::Adaptive`].

pub(crate) mod change;
pub(crate) mod decode_state;
pub(crate) mod head;
pub(crate) mod map;
pub(crate) mod regeneration;

use vision::RgbImage;

pub use change::THRESHOLD;

use crate::checkpoint::config::Config;

/// Whether and how an answer reasons about depth.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Depth {
    /// Not at all; the prompt does not ask for it.
    #[default]
    Off,
    /// Every cell is written anew.
    Full,
    /// Cells in which the first camera's frame has not changed keep their code.
    Adaptive {
        /// What the last call left ([`DepthTrace::cache`]). Without one, or with one of another
        /// number of cells, every cell is written anew.
        cache: Option<DepthCache>,
    },
    /// The model writes freely until it ends the map itself, so there may be another number of
    /// codes than cells. Only for comparing with the reference (`enable_adaptive_depth=False`).
    Free,
}

/// What a call leaves for the next one of the same robot.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthCache {
    /// The first camera's frame, at its own size or already at the size frames are compared at.
    pub image: RgbImage,
    /// The code of every cell, row by row.
    pub codes: Vec<u32>,
}

/// How an answer's depth map came about.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthTrace {
    /// The code of every cell, row by row from the top left. In [`Depth::Free`] what was written.
    pub codes: Vec<u32>,
    /// Per code, whether the model wrote it in this call.
    pub regenerated: Vec<bool>,
    /// Per cell, the cosine similarity to the cached frame that decided it; `None` if there was no
    /// frame to compare with.
    pub similarity: Option<Vec<f32>>,
    /// The tokens between prompt and action, `<depth_start>` to `<depth_end>`.
    pub tokens: Vec<u32>,
    /// Passes through the language model after the one that read the prompt.
    pub forwards: usize,
    /// The scores of the codes for every cell that was written anew, if asked for.
    pub logits: Option<Vec<Vec<f32>>>,
    /// What the expert's view of the depth tokens was multiplied by, one value per layer or one for
    /// all, if asked for and if the checkpoint has a gate (continuous mode).
    pub gates: Option<Vec<f32>>,
    /// For the next call.
    pub cache: DepthCache,
}

/// The ids and sizes of the depth map, from the checkpoint's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DepthIds {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The id of code 0.
    pub(crate) first: u32,
    /// Number of codes there are.
    pub(crate) codes: usize,
    /// Number of cells of a map.
    pub(crate) cells: usize,
}

impl DepthIds {
    /// `None` for a checkpoint that was not trained for it.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        if !config.enable_depth_reasoning {
            return None;
        }
        Some(Self {
            start: config.depth_start_token_id?,
            end: config.depth_end_token_id?,
            first: config.depth_token_start_id?,
            codes: config.num_depth_tokens,
            cells: config.num_depth_codes,
        })
    }

    /// The token of a code.
    pub(crate) fn token(&self, code: u32) -> u32 {
        self.first.saturating_add(code)
    }

    /// The codes between the first start and the end after it (from the beginning if there is no
    /// start, to the end of the tokens if there is no end), anything else in between skipped.
    pub(crate) fn span(&self, generated: &[u32]) -> Vec<u32> {
        let start = generated.iter().position(|&id| id == self.start);
        generated
            .iter()
            .skip(start.map_or(0, |start| start + 1))
            .take_while(|&&id| start.is_none() || id != self.end)
            .filter_map(|id| id.checked_sub(self.first))
            .filter(|&code| (code as usize) < self.codes)
            .collect()
    }
}
