//! Backends that score videos on the studio.

use protocol::score::{ScoreEvent, ScoreOutcome};
use qwen3vl::Qwen3Vl;
use score_job::ClipJob;
use std::{fmt, ops::ControlFlow, sync::Arc};

/// A backend that scores videos, one at a time, on one thread.
pub trait ScoringBackend: Send + Sync {
    /// Device that it computes on, for display.
    fn device(&self) -> &str;

    /// Scores a video and blocks until it is done. Emits every event except the last one as it becomes known; a break
    /// from `emit` ends the job.
    fn score(
        &self,
        clip: ClipJob,
        emit: &mut dyn FnMut(ScoreEvent) -> ControlFlow<()>,
    ) -> ScoreOutcome;
}

impl fmt::Debug for dyn ScoringBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScoringBackend")
            .field(&self.device())
            .finish()
    }
}

/// A Qwen3-VL checkpoint.
#[derive(Debug)]
pub struct Model {
    /// Name of the checkpoint's folder.
    pub name: String,
    /// Device that it computes on, for display.
    pub device: String,
    /// The model.
    pub model: Arc<Qwen3Vl>,
}

impl ScoringBackend for Model {
    fn device(&self) -> &str {
        &self.device
    }

    fn score(
        &self,
        clip: ClipJob,
        emit: &mut dyn FnMut(ScoreEvent) -> ControlFlow<()>,
    ) -> ScoreOutcome {
        layers::block_on(
            clip.score(&self.model, &self.name, &self.device, &mut async |event| {
                emit(event)
            }),
        )
    }
}
