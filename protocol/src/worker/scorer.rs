//! Getting a scorer into the tab.

use super::ComputeKind;
use serde::{Deserialize, Serialize};

/// The scorer to load, and its precision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadScorer {
    /// Address of the manifest, `…/api/scorer`; its files are below it.
    pub url: String,
    /// Precision of the language model's matrices: `f32`, `f16`, `bf16`, `int8` or `int4`; the checkpoint's own or
    /// the nearest that the device computes with when absent.
    pub precision: Option<String>,
}

/// State of the tab's scorer; each message replaces the previous one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ScorerState {
    /// It cannot run here, and nothing was downloaded.
    Refused {
        /// The obstacle and the remedy, as text.
        reason: String,
    },
    /// Files arrive.
    Fetching {
        /// Bytes that are in the tab, kept ones included.
        received: u64,
        /// Bytes of all files.
        of: u64,
        /// Bytes that this browser had kept from before.
        kept: u64,
    },
    /// Weights go to the device.
    Loading {
        /// Bytes read.
        read: u64,
        /// Bytes of all weights.
        of: u64,
    },
    /// It is loaded.
    Ready(ScorerReady),
    /// The visitor stopped it; what has arrived is kept.
    Cancelled,
    /// It could not be fetched or read.
    Failed {
        /// The cause and the remedy, as text for a person.
        reason: String,
    },
}

/// A scorer in the tab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScorerReady {
    /// Name of its folder.
    pub name: String,
    /// The manifest's id.
    pub id: String,
    /// Device that holds its weights.
    pub computed_on: ComputeKind,
    /// Precision of its weights.
    pub precision: String,
    /// Bytes that they take there.
    pub weight_bytes: u64,
    /// Bytes that crossed the network for it, this time.
    pub fetched_bytes: u64,
    /// Whether the files were kept for the next visit.
    pub is_kept: bool,
    /// Largest size of the worker's memory so far (bytes).
    pub memory_bytes: u64,
    /// Time from the request to now (ms).
    pub millis: f64,
}
