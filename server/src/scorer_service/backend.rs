//! Who scores videos on the studio.

use protocol::score::{ScoreEvent, ScoreOutcome};
use qwen3vl::Qwen3Vl;
use score_job::ClipJob;
use std::{fmt, ops::ControlFlow, sync::Arc};

/// Someone who can be asked about videos, one at a time, on one thread.
pub trait ScoringBackend: Send + Sync {
    /// Where it computes, for people.
    fn device(&self) -> &str;

    /// Scores a video and tells everything but the end of it as it becomes known; `emit` ends the job by breaking. Blocks
    /// for as long as that takes.
    fn judge(
        &self,
        clip: ClipJob,
        emit: &mut dyn FnMut(ScoreEvent) -> ControlFlow<()>,
    ) -> ScoreOutcome;
}

impl fmt::Debug for dyn ScoringBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Judge").field(&self.device()).finish()
    }
}

/// A Qwen3-VL checkpoint.
#[derive(Debug)]
pub struct Model {
    /// The name of its folder.
    pub name: String,
    /// Where it computes, for people.
    pub device: String,
    /// The model.
    pub model: Arc<Qwen3Vl>,
}

impl ScoringBackend for Model {
    fn device(&self) -> &str {
        &self.device
    }

    fn judge(
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
