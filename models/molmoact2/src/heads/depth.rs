//! Reasoning about depth before acting (the Think checkpoints).
//!
//! The model first writes a coarse depth map of the first camera's image: a square grid of cells, each a code from
//! a small codebook, between `<depth_start>` and `<depth_end>`. Then it acts, and the expert also attends to the
//! depth tokens, attenuated by a learned gate (`network/token_gain.rs`).
//!
//! - `change.rs`: cells of the image that differ from the last call's;
//! - `regeneration.rs`: the plan of cells to regenerate and cells to keep;
//! - `head.rs`: decoding the maps of several robots together. A changed cell costs one pass through the language
//!   model; a run of unchanged cells is read in a single pass;
//! - `decode_state.rs` and `map.rs`: one map during decoding and after it.
//!
//!
//! No state is kept between calls: [`DepthTrace::cache`] returns the state for the next call, and
//! [`Depth::Adaptive`] takes it back.

pub(crate) mod change;
pub(crate) mod decode_state;
pub(crate) mod head;
pub(crate) mod map;
pub(crate) mod regeneration;

use vision::RgbImage;

pub use change::THRESHOLD;

use crate::checkpoint::config::Config;

/// Depth reasoning of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Depth {
    /// No depth map; the prompt does not ask for one.
    #[default]
    Off,
    /// Every cell is regenerated.
    Full,
    /// Cells in which the first camera's image has not changed keep their code.
    Adaptive {
        /// [`DepthTrace::cache`] of the last call. Without one, or with another number of cells, every cell is
        /// regenerated.
        cache: Option<DepthCache>,
    },
    /// Unrestricted decoding until the model ends the map, so the number of codes can differ from the number of
    /// cells. Only for comparison with the reference (`enable_adaptive_depth=False`).
    Free,
}

/// State from one call to the next of the same robot.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthCache {
    /// The first camera's image, at its own size or at the size for comparison.
    pub image: RgbImage,
    /// The code of every cell, row by row.
    pub codes: Vec<u32>,
}

/// The depth map of an answer, with intermediate results.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthTrace {
    /// The code of every cell, row by row from the top left. In [`Depth::Free`] all generated codes.
    pub codes: Vec<u32>,
    /// Per code, whether it was generated in this call.
    pub regenerated: Vec<bool>,
    /// Per cell, the cosine similarity to the cached image; `None` without a cached image.
    pub similarity: Option<Vec<f32>>,
    /// The tokens between prompt and action, `<depth_start>` to `<depth_end>`.
    pub tokens: Vec<u32>,
    /// Passes through the language model after the one that read the prompt.
    pub forwards: usize,
    /// Logits of the codes for every regenerated cell, if requested.
    pub logits: Option<Vec<Vec<f32>>>,
    /// Factors of the depth tokens in the expert's view, one per layer or one for all, if requested and if the
    /// checkpoint has a gate (continuous mode).
    pub gates: Option<Vec<f32>>,
    /// State for the next call.
    pub cache: DepthCache,
}

/// The ids and sizes of the depth map, from the checkpoint's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DepthIds {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The id of code 0.
    pub(crate) first: u32,
    /// Number of codes.
    pub(crate) codes: usize,
    /// Number of cells of a map.
    pub(crate) cells: usize,
}

impl DepthIds {
    /// `None` for a checkpoint without depth reasoning.
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

    /// The codes between the first start and the end after it (from the beginning without a start, to the end of
    /// the tokens without an end); other tokens are skipped.
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
