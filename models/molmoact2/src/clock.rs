//! Wall time per stage.

use burn::tensor::Device;
use web_time::Instant;

/// How long one stage of an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Stage {
    /// `preprocess`, `vision`, `prefill`, `think` (only with depth), `flow` or `decode`, `postprocess`.
    pub name: &'static str,
    /// Wall time. In a browser on a GPU, work that was only queued counts in the stage that
    /// waits for it.
    pub micros: u64,
}

/// Measures one stage after the other.
#[derive(Debug)]
pub(crate) struct StageClock<'a> {
    device: &'a Device,
    since: Instant,
    stages: Vec<Stage>,
}

impl<'a> StageClock<'a> {
    pub(crate) fn start(device: &'a Device) -> Self {
        Self {
            device,
            since: Instant::now(),
            stages: Vec::new(),
        }
    }

    /// A clock that starts now, after stages that were measured already.
    pub(crate) fn after(device: &'a Device, stages: &[Stage]) -> Self {
        Self {
            stages: stages.to_vec(),
            ..Self::start(device)
        }
    }

    /// Ends the stage that began when the last one ended.
    ///
    /// A GPU works through a queue, so it is waited for here; in a browser waiting is impossible.
    /// If the device fails the next read-back says so, hence no error here.
    pub(crate) fn end(&mut self, name: &'static str) {
        #[cfg(not(target_family = "wasm"))]
        self.device.sync().ok();
        #[cfg(target_family = "wasm")]
        let _ = self.device;
        let now = Instant::now();
        let micros = now.duration_since(self.since).as_micros();
        self.stages.push(Stage {
            name,
            micros: u64::try_from(micros).unwrap_or(u64::MAX),
        });
        self.since = now;
    }

    pub(crate) fn finish(self) -> Vec<Stage> {
        self.stages
    }
}
