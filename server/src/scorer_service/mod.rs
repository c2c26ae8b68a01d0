//! The hosted progress scorer: its files, for pages that score in the browser, and scoring on the studio for the others.
//!
//! - [`ScorerFiles`]: the served files and their manifest; `nano` is the scorer embedded in the binary
//! - [`ScoringBackend`]: scores on the studio; [`Model`] is the real one, tests use a scripted one
//! - `queue`: one queue of jobs for all pages, and the scoring thread
//! - `uploads`: limits on the number, rate and memory of arriving videos
//! - `upload`: decoding of a job from a request body

mod backend;
mod files;
mod fingerprint;
mod nano;
pub(crate) mod queue;
pub(crate) mod upload;
pub(crate) mod uploads;

pub use backend::{Model, ScoringBackend};
pub use files::{ScorerError, ScorerFiles};

use protocol::score::ScorerManifest;
use std::sync::Arc;

/// The hosted scorer, or the reason why there is none, for display.
pub type Scoring = Result<Scorer, String>;

/// A hosted scorer.
#[derive(Debug)]
pub struct Scorer {
    files: ScorerFiles,
    manifest: ScorerManifest,
    backend: Option<Arc<dyn ScoringBackend>>,
}

impl Scorer {
    /// A scorer whose files pages can fetch. Scores on the studio if there is a `backend`.
    #[must_use]
    pub fn new(files: ScorerFiles, backend: Option<Arc<dyn ScoringBackend>>) -> Self {
        let mut manifest = files.manifest().clone();
        manifest.studio_device = backend.as_ref().map(|backend| backend.device().to_owned());
        Self {
            files,
            manifest,
            backend,
        }
    }

    /// Manifest for pages.
    #[must_use]
    pub fn manifest(&self) -> &ScorerManifest {
        &self.manifest
    }

    pub(crate) fn files(&self) -> &ScorerFiles {
        &self.files
    }
}

/// The value of [`Scoring`] for a program that hosts no scorer.
///
/// # Errors
/// Always, with a message that says how to start one.
pub fn unavailable(program: &str) -> Scoring {
    Err(format!(
        "{program} hosts no progress scorer; start the studio with --scorer DIR, where DIR is a Qwen3-VL checkpoint"
    ))
}
