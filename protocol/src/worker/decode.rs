//! Decoding of a decision's tokens, compared with the executed chunk.

use serde::{Deserialize, Serialize};

use super::ComputeKind;
use crate::viewer::{ActionDimension, TokensOrigin, Trace};

/// Tokens to decode, and the chunk to compare the result with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecodeRequest {
    /// Chosen by the page, returned with the answer.
    pub request_id: u64,
    /// OpenFAST ids.
    pub tokens: Vec<u32>,
    /// Origin of the tokens: generated ones decode exactly to the chunk, encoded ones up to quantization.
    pub origin: TokensOrigin,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// The chunk as the policy computed it, row-major `[rows, dims]`, normalized.
    pub chunk_normalised: Vec<f32>,
    /// The chunk as it was sent to the robot, row-major `[rows, dims]`, in robot units.
    pub actions: Vec<f32>,
    /// Mapping of normalized values to robot units, one entry per dimension.
    pub action: Vec<ActionDimension>,
}

impl DecodeRequest {
    /// Request with the part of a trace that the worker needs.
    pub fn of(trace: &Trace, action: &[ActionDimension], request_id: u64) -> Self {
        Self {
            request_id,
            tokens: trace.action_tokens.clone(),
            origin: trace.tokens_origin,
            rows: trace.rows,
            dims: trace.dims,
            chunk_normalised: trace.chunk_normalised.clone(),
            actions: trace.actions.clone(),
            action: action.to_vec(),
        }
    }
}

/// Result of a decode, or the reason of its failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DecodeOutcome {
    /// The tokens were decoded and compared.
    Compared(Comparison),
    /// The tokens could not be decoded, or no device may be used.
    Failed {
        /// The cause and the remedy, as text for a person.
        reason: String,
    },
}

/// Comparison of the browser's decode with the chunk that was sent to the robot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Device of the inverse cosine transform.
    pub computed_on: ComputeKind,
    /// The decoded chunk, row-major `[rows, dims]`, normalized.
    pub chunk_normalised: Vec<f32>,
    /// Largest absolute difference from the policy's chunk, in normalized units.
    pub max_difference: f32,
    /// Largest difference that counts as equal: rounding of `f32`, plus half a quantization step per frequency for tokens
    /// that were encoded for transport.
    pub tolerance: f32,
    /// Largest absolute difference from the actions that were sent to the robot, in robot units.
    pub max_difference_in_robot_units: f32,
    /// Index of the dimension with that difference.
    pub worst_dimension: u32,
    /// Number of coefficients that begin in each token, in the order of the tokens.
    pub token_lengths: Vec<u32>,
    /// Wall time of the decode in microseconds.
    pub micros: u64,
}

impl Comparison {
    /// True if the decode equals the policy's chunk within [`Comparison::tolerance`].
    pub fn is_equal(&self) -> bool {
        self.max_difference <= self.tolerance
    }
}
