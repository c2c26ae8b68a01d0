//! The error of a MolmoAct2 policy that does not load.

use super::depth_setup::DepthError;

/// A policy could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The binary was built without the nano policy.
    #[error(
        "this binary was built without the nano policy (models/nano/molmoact2 was missing); \
         give a checkpoint with --policy DIR"
    )]
    NoNano,
    /// The checkpoint does not load.
    #[error("cannot load the policy {name}: {error}{}", advice(.error))]
    Policy {
        /// Folder or name.
        name: String,
        /// Error of the checkpoint.
        error: molmoact2::LoadError,
    },
    /// The action tokenizer does not load.
    #[error("cannot load the OpenFAST tokenizer of the policy {name}: {error}")]
    Tokenizer {
        /// Folder or name.
        name: String,
        /// Error of the tokenizer.
        error: openfast::LoadError,
    },
    /// The calibration file cannot be used.
    #[error("cannot read the calibration {name}: {error}")]
    Calibration {
        /// Path of the file.
        name: String,
        /// Error of reading or parsing it.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The options for depth cannot be applied to the policy.
    #[error("the policy {name}: {error}")]
    Depth {
        /// Folder or name.
        name: String,
        /// Error of the depth options or of the decoder.
        error: Box<DepthError>,
    },
}

/// Command-line option that remedies the error, in parentheses; empty if there is none. All commands that load a policy have
/// it.
#[must_use]
pub fn advice(error: &molmoact2::LoadError) -> &'static str {
    match error {
        molmoact2::LoadError::NeedsBase { .. } => " (--base DIR)",
        _ => "",
    }
}
