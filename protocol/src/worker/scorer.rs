//! Loading of a scorer into the tab.

use super::ComputeKind;
use serde::{Deserialize, Serialize};

/// The scorer to load, and its precision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadScorer {
    /// Address of the manifest, `…/api/scorer`; the files are below it.
    pub url: String,
    /// Precision of the language model's matrices: `f32`, `f16`, `bf16`, `int8` or `int4`. Without it, the checkpoint's own,
    /// or the nearest one that the device supports.
    pub precision: Option<String>,
}

/// State of the tab's scorer; each message replaces the previous one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ScorerState {
    /// The scorer cannot run here, and nothing was downloaded.
    Refused {
        /// The obstacle and the remedy, as text.
        reason: String,
    },
    /// Files are being fetched.
    Fetching {
        /// Bytes in the tab, stored ones included.
        received: u64,
        /// Bytes of all files.
        of: u64,
        /// Bytes that were in the browser's storage before.
        kept: u64,
    },
    /// Weights are being loaded onto the device.
    Loading {
        /// Bytes read.
        read: u64,
        /// Bytes of all weights.
        of: u64,
    },
    /// The scorer is loaded.
    Ready(ScorerReady),
    /// The visitor cancelled the loading. Files that have arrived stay in the browser's storage.
    Cancelled,
    /// The scorer could not be fetched or read.
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
    /// Size of the weights on the device in bytes.
    pub weight_bytes: u64,
    /// Bytes that were fetched over the network this time.
    pub fetched_bytes: u64,
    /// True if the files are stored for the next visit.
    pub is_kept: bool,
    /// Largest size of the worker's memory so far (bytes).
    pub memory_bytes: u64,
    /// Time since the request (ms).
    pub millis: f64,
}
