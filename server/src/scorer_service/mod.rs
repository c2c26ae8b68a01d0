//! The hosted progress scorer: its files, for pages that score themselves, and scoring on the studio for the others.
//!
//! - [`ScorerFiles`]: what is served and what it says about itself; `nano` is the one inside the binary
//! - [`ScoringBackend`]: who scores on the studio; [`Model`] is the real one, tests put a scripted one in its place
//! - `queue`: one line of jobs for all pages, and the thread that works it off
//! - `uploads`: videos that are arriving, how many and how slowly
//! - `upload`: a job out of the body of a request

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

/// The hosted scorer, or why there is none, in words for the person who wants to score.
pub type Scoring = Result<Scorer, String>;

/// A hosted scorer.
#[derive(Debug)]
pub struct Scorer {
    files: ScorerFiles,
    manifest: ScorerManifest,
    judge: Option<Arc<dyn ScoringBackend>>,
}

impl Scorer {
    /// A scorer whose files pages can fetch, and that scores on the studio if there is a backend (`judge`).
    #[must_use]
    pub fn new(files: ScorerFiles, judge: Option<Arc<dyn ScoringBackend>>) -> Self {
        let mut manifest = files.manifest().clone();
        manifest.studio_device = judge.as_ref().map(|judge| judge.device().to_owned());
        Self {
            files,
            manifest,
            judge,
        }
    }

    /// As pages are told.
    #[must_use]
    pub fn manifest(&self) -> &ScorerManifest {
        &self.manifest
    }

    pub(crate) fn files(&self) -> &ScorerFiles {
        &self.files
    }
}

/// Nobody scores, because nobody was asked to.
///
/// # Errors
/// Always: what to start, in words.
pub fn unavailable(who: &str) -> Scoring {
    Err(format!(
        "{who} hosts no progress scorer; start the studio with --scorer DIR, where DIR is a Qwen3-VL checkpoint"
    ))
}
