//! Decoding the policy's own tokens, beside what was carried out.

use serde::{Deserialize, Serialize};

use super::ComputeKind;
use crate::viewer::{ActionDimension, TokensOrigin, Trace};

/// Tokens to decode, and what their decode should equal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecodeRequest {
    /// Chosen by the page, returned with the answer.
    pub request_id: u64,
    /// OpenFAST ids.
    pub tokens: Vec<u32>,
    /// Whether equality is exact or up to quantisation.
    pub origin: TokensOrigin,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Row-major `[rows, dims]`, normalised, as the policy computed it.
    pub chunk_normalised: Vec<f32>,
    /// Row-major `[rows, dims]`, robot units, as the robot was sent it.
    pub actions: Vec<f32>,
    /// Mapping of normalized values to robot units, one entry per dimension.
    pub action: Vec<ActionDimension>,
}

impl DecodeRequest {
    /// The part of a trace that the worker needs.
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

/// A decode that ran, or why it did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DecodeOutcome {
    /// The tokens decoded.
    Compared(Comparison),
    /// They did not, or no device may compute.
    Failed {
        /// The cause and the remedy, as text for a person.
        reason: String,
    },
}

/// The browser's decode beside the chunk that the robot was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Device of the inverse cosine transform.
    pub computed_on: ComputeKind,
    /// Row-major `[rows, dims]`, normalised, decoded here.
    pub chunk_normalised: Vec<f32>,
    /// Largest absolute difference to the policy's chunk, normalised units.
    pub max_difference: f32,
    /// Largest difference that counts as equal: rounding of `f32`, plus half a quantisation step per
    /// frequency for tokens that were encoded for transport.
    pub tolerance: f32,
    /// Largest absolute difference to the actions that the robot was sent, robot units.
    pub max_difference_in_robot_units: f32,
    /// The dimension in which that largest difference is.
    pub worst_dimension: u32,
    /// Number of coefficients that begin in each token, in the tokens' order.
    pub token_lengths: Vec<u32>,
    /// Wall time of the decode in microseconds.
    pub micros: u64,
}

impl Comparison {
    /// Whether the decode equals the policy's chunk within [`Comparison::tolerance`].
    pub fn is_equal(&self) -> bool {
        self.max_difference <= self.tolerance
    }
}
