//! Depth maps of policies that reason about depth before they act.

use crate::bounded;
use crate::common::View;
use crate::frame::{FrameError, invalid};
use crate::limits::MAX_NAME_BYTES;
use serde::{Deserialize, Serialize};

/// Most cells of a depth map. The published checkpoints have 100.
pub const MAX_DEPTH_CELLS: usize = 4096;

/// Part of a depth map that is generated anew in each decision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepthMode {
    /// The policy acts without a depth map.
    Off,
    /// Every cell.
    Full,
    /// The cells whose image changed since the previous decision; the others are replayed.
    #[default]
    Adaptive,
    /// Free generation, until the policy ends the map.
    Free,
}

impl DepthMode {
    /// Name of the mode on the command line and in the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Full => "full",
            Self::Adaptive => "adaptive",
            Self::Free => "free",
        }
    }
}

/// Depth reasoning of a hosted policy: capabilities and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepthDescription {
    /// Mode in use.
    pub mode: DepthMode,
    /// Cells of its depth map.
    pub cells: u32,
    /// Codes that a cell can have.
    pub codes: u32,
    /// True if `/api/policy/depth_decoder.safetensors` can be fetched.
    pub has_decoder: bool,
}

/// The depth map of one decision and its origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DepthReasoning {
    /// Name of the view that it belongs to: the policy's first camera.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub camera: String,
    /// The code of every cell, row by row from the top left.
    #[serde(deserialize_with = "bounded::list::<_, MAX_DEPTH_CELLS, _>")]
    pub codes: Vec<u32>,
    /// Cells per row.
    pub columns: u32,
    /// For each cell, true if the policy generated it in this decision; false if it was replayed from the previous one.
    #[serde(deserialize_with = "bounded::list::<_, MAX_DEPTH_CELLS, _>")]
    pub regenerated: Vec<bool>,
    /// For each cell, the cosine similarity of its pixels to those of the previous decision, which determines
    /// `regenerated`. Empty without a previous image; then every cell was generated.
    #[serde(default)]
    #[serde(deserialize_with = "bounded::list::<_, MAX_DEPTH_CELLS, _>")]
    pub similarity: Vec<f32>,
    /// Similarity below which a cell is generated anew.
    pub threshold: f32,
    /// Forward passes through the language model after the prefill.
    pub forwards: u32,
    /// The camera's image at the size of the comparison, in which every cell is a square (`Jpeg`).
    #[serde(default)]
    pub frame: Option<View>,
}

impl DepthReasoning {
    /// Number of cells that the policy generated in this decision.
    pub fn written(&self) -> usize {
        self.regenerated.iter().filter(|written| **written).count()
    }

    /// Number of rows of cells; the last row may have fewer than [`Self::columns`].
    pub fn rows(&self) -> usize {
        self.codes.len().div_ceil(self.columns.max(1) as usize)
    }

    pub(crate) fn validate(&self, message: &'static str) -> Result<(), FrameError> {
        let cells = self.codes.len();
        if cells > MAX_DEPTH_CELLS {
            let reason = format!("{cells} cells, at most {MAX_DEPTH_CELLS}");
            return Err(invalid(message, "depth.codes", reason));
        }
        if self.columns == 0 {
            return Err(invalid(message, "depth.columns", "a row has no cells"));
        }
        if self.regenerated.len() != cells {
            let reason = format!("{} values for {cells} cells", self.regenerated.len());
            return Err(invalid(message, "depth.regenerated", reason));
        }
        if !self.similarity.is_empty() && self.similarity.len() != cells {
            let reason = format!("{} values for {cells} cells", self.similarity.len());
            return Err(invalid(message, "depth.similarity", reason));
        }
        crate::common::finite(message, "depth.similarity", &self.similarity)?;
        match &self.frame {
            Some(frame) => frame.validate(message),
            None => Ok(()),
        }
    }
}
