//! Drawing of depth codes as images.

use super::ComputeKind;
use serde::{Deserialize, Serialize};

/// Codes to draw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawRequest {
    /// Chosen by the page, returned with the answer.
    pub request_id: u64,
    /// The codes, row by row from the top left.
    pub codes: Vec<u32>,
    /// Rows of cells.
    pub rows: u32,
    /// Cells per row.
    pub columns: u32,
}

/// A depth image, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DrawOutcome {
    /// The decoder drew it.
    Drawn(DepthDrawing),
    /// The decoder failed.
    Failed {
        /// The cause and the remedy, as text for a person.
        reason: String,
    },
}

/// Depth codes as the decoder draws them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DepthDrawing {
    /// Device of the decoder.
    pub computed_on: ComputeKind,
    /// Pixels per row.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// Relative depth, larger towards the camera: `[height, width]`, little-endian `f32`.
    #[serde(with = "serde_bytes")]
    pub values: Vec<u8>,
    /// Wall time of the drawing in microseconds, read-back included.
    pub micros: u64,
}

impl DepthDrawing {
    /// The values as numbers.
    pub fn floats(&self) -> Vec<f32> {
        let (values, _) = self.values.as_chunks::<4>();
        values.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
    }
}

/// Outcome of loading the depth decoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecoderOutcome {
    /// The decoder is loaded.
    Ready {
        /// Number of its codes.
        codes: u32,
        /// Pixels along one side of a cell.
        cell_pixels: u32,
    },
    /// The decoder could not be fetched or read.
    Failed {
        /// The cause.
        reason: String,
    },
}
