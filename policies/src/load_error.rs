//! The error of a MolmoAct2 policy that does not load.

use super::depth_setup::DepthError;

/// A policy could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The binary has no weights inside.
    #[error(
        "this binary was built without the nano policy (models/nano/molmoact2 was missing then); \
         give a checkpoint with --policy DIR"
    )]
    NoNano,
    /// The checkpoint does not load.
    #[error("cannot load the policy {name}: {error}{}", advice(.error))]
    Policy {
        /// Folder or name.
        name: String,
        /// What was wrong.
        error: molmoact2::LoadError,
    },
    /// Its tokenizer does not load.
    #[error("cannot load the OpenFAST tokenizer of the policy {name}: {error}")]
    Tokenizer {
        /// Folder or name.
        name: String,
        /// What was wrong.
        error: openfast::LoadError,
    },
    /// The calibration file cannot be used.
    #[error("cannot read the calibration {name}: {error}")]
    Calibration {
        /// The file.
        name: String,
        /// What was wrong.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was asked about depth cannot be done.
    #[error("the policy {name}: {error}")]
    Depth {
        /// Folder or name.
        name: String,
        /// What was wrong.
        error: Box<DepthError>,
    },
}

/// The option that helps, for the commands that load a policy; all of them have it.
#[must_use]
pub fn advice(error: &molmoact2::LoadError) -> &'static str {
    match error {
        molmoact2::LoadError::NeedsBase { .. } => " (--base DIR)",
        _ => "",
    }
}
