//! Wall time per stage.

use burn_tensor::Device;
use web_time::Instant;

/// Duration of one stage of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Stage {
    /// `preprocess`, `vision`, `prefill`, `think` (only with depth), `flow` or `decode`, `postprocess`.
    pub name: &'static str,
    /// Wall time in microseconds. On a GPU in a browser, queued work counts in the stage that waits for it.
    pub micros: u64,
}

/// Stopwatch that measures one stage after the other.
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

    /// A stopwatch that starts now, after stages that were measured before.
    pub(crate) fn after(device: &'a Device, stages: &[Stage]) -> Self {
        Self {
            stages: stages.to_vec(),
            ..Self::start(device)
        }
    }

    /// Ends the stage that began when the last one ended.
    ///
    /// A GPU works through a queue, so the device is synchronized here; a browser cannot block. A device failure is
    /// reported by the next read-back, hence no error here.
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
