//! The page's state of the compute worker.

use protocol::worker::{
    ComputeKind, ComputeReport, DecoderOutcome, FromWorker, TimeOutcome, TokenizerOutcome, Verdict,
};

use crate::format;

/// Phase of the worker's life.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Phase {
    /// Not started; camera images are loaded first.
    #[default]
    Waiting,
    /// Its module is being downloaded.
    Loading {
        /// Bytes received, after decompression.
        received: f64,
    },
    /// Running.
    Running,
    /// Ended, and not restarted.
    Dead {
        /// Reason, as a sentence.
        reason: String,
    },
}

/// State of the worker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compute {
    /// Phase of its life.
    pub phase: Phase,
    /// Its newest report.
    pub report: Option<ComputeReport>,
    /// Outcome of loading the action tokenizer; `None` before.
    pub tokenizer: Option<TokenizerOutcome>,
    /// Outcome of loading the depth decoder; `None` before.
    pub depth_decoder: Option<DecoderOutcome>,
    /// True if the codec is being timed.
    pub is_timing: bool,
    /// Result of the newest timing of the codec.
    pub timing: Option<TimeOutcome>,
    /// Number of finished timings.
    pub timed: u32,
}

impl Compute {
    /// Applies a message; decodes are stored elsewhere.
    pub fn apply(&mut self, message: &FromWorker) {
        match message {
            FromWorker::Started => {
                self.phase = Phase::Running;
                self.tokenizer = None;
                self.depth_decoder = None;
                self.is_timing = false;
            }
            FromWorker::Devices(report) => self.report = Some(report.clone()),
            FromWorker::Tokenizer(outcome) => self.tokenizer = Some(outcome.clone()),
            FromWorker::DepthDecoder(outcome) => self.depth_decoder = Some(outcome.clone()),
            FromWorker::Timed(outcome) => {
                self.is_timing = false;
                self.timed += 1;
                self.timing = Some(outcome.clone());
            }
            FromWorker::Decoded { .. }
            | FromWorker::PartiallyDecoded { .. }
            | FromWorker::Encoded { .. }
            | FromWorker::Drawn { .. }
            | FromWorker::Scorer(_)
            | FromWorker::ScorersForgotten { .. }
            | FromWorker::Score(_) => {}
        }
    }

    /// True if the tokenizer is loaded. Encoding and decoding tokens needs nothing else.
    pub fn has_tokenizer(&self) -> bool {
        self.phase == Phase::Running
            && matches!(self.tokenizer, Some(TokenizerOutcome::Ready { .. }))
    }

    /// True if decisions can be decoded.
    pub fn can_decode(&self) -> bool {
        self.has_tokenizer() && self.has_device()
    }

    /// True if depth codes can be drawn.
    pub fn can_draw(&self) -> bool {
        self.phase == Phase::Running
            && matches!(self.depth_decoder, Some(DecoderOutcome::Ready { .. }))
            && self.has_device()
    }

    /// True if a scorer can be loaded. A large one waits until every device was tested.
    pub fn can_load_scorer(&self, is_large: bool) -> bool {
        let settled = self.report.as_ref().is_some_and(|report| report.settled);
        self.phase == Phase::Running && self.has_device() && (settled || !is_large)
    }

    fn has_device(&self) -> bool {
        self.report
            .as_ref()
            .is_some_and(|report| report.chosen.is_some())
    }

    /// Stable name: `waiting`, `loading`, `testing`, `ready`, `refused` or `failed`.
    pub fn state(&self) -> &'static str {
        match (&self.phase, &self.report) {
            (Phase::Waiting, _) => "waiting",
            (Phase::Loading { .. }, _) => "loading",
            (Phase::Dead { .. }, _) => "failed",
            (Phase::Running, None) => "testing",
            (Phase::Running, Some(report)) if report.chosen.is_some() => "ready",
            (Phase::Running, Some(report)) if report.settled => "refused",
            (Phase::Running, Some(_)) => "testing",
        }
    }

    /// Short summary for the header.
    pub fn summary(&self) -> String {
        match &self.phase {
            Phase::Waiting => "starts after the cameras".to_owned(),
            Phase::Loading { received } => format!("loading, {}", format::megabytes(*received)),
            Phase::Dead { .. } => "stopped".to_owned(),
            Phase::Running => match &self.report {
                Some(report) => match report.chosen_device() {
                    Some(device) => match device.products.last() {
                        Some(product) => format!(
                            "{}, {} GFLOP/s",
                            kind_name(device.kind),
                            short(product.gflops())
                        ),
                        None => kind_name(device.kind).to_owned(),
                    },
                    None if report.settled => "no device passed".to_owned(),
                    None => "testing".to_owned(),
                },
                None => "testing".to_owned(),
            },
        }
    }
}

/// Name of a kind of device.
pub fn kind_name(kind: ComputeKind) -> &'static str {
    match kind {
        ComputeKind::Cpu => "CPU",
        ComputeKind::Webgpu => "WebGPU",
    }
}

/// Name of a kind of device after "on".
pub fn kind_phrase(kind: ComputeKind) -> &'static str {
    match kind {
        ComputeKind::Cpu => "the CPU",
        ComputeKind::Webgpu => "WebGPU",
    }
}

/// A verdict as a stable name, a short phrase, and the reason.
pub fn verdict_text(verdict: &Verdict) -> (&'static str, &'static str, Option<&str>) {
    match verdict {
        Verdict::Testing => ("testing", "Being tested", None),
        Verdict::Postponed(why) => ("postponed", "Not tested yet", Some(why)),
        Verdict::Passed => ("passed", "Passed the self-test", None),
        Verdict::Refused(why) => ("refused", "Refused", Some(why)),
        Verdict::Unavailable(why) => ("unavailable", "Not available", Some(why)),
    }
}

/// A rate with two significant digits.
pub fn short(value: f64) -> String {
    if value >= 10.0 {
        format!("{value:.0}")
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::worker::{ComputeDevice, TimedProduct};

    fn report(chosen: Option<ComputeKind>, settled: bool) -> FromWorker {
        FromWorker::Devices(ComputeReport {
            devices: vec![ComputeDevice {
                kind: ComputeKind::Cpu,
                name: "flex".into(),
                verdict: Verdict::Passed,
                checks: vec![],
                products: vec![TimedProduct {
                    size: 512,
                    millis: 9.0,
                }],
                probe_millis: 1.0,
            }],
            chosen,
            chosen_by_visitor: false,
            reason: String::new(),
            settled,
        })
    }

    #[test]
    fn it_is_ready_once_a_device_is_chosen_and_refused_when_none_is_left() {
        let mut compute = Compute::default();
        assert_eq!(compute.state(), "waiting");
        compute.apply(&FromWorker::Started);
        assert_eq!(compute.state(), "testing");
        compute.apply(&report(Some(ComputeKind::Cpu), false));
        assert_eq!(
            (compute.state(), compute.summary().as_str()),
            ("ready", "CPU, 30 GFLOP/s")
        );
        assert!(!compute.can_decode(), "no tokenizer yet");
        assert!(compute.can_load_scorer(false) && !compute.can_load_scorer(true));
        compute.apply(&FromWorker::Tokenizer(TokenizerOutcome::Ready {
            vocabulary: 9,
        }));
        assert!(compute.can_decode());
        compute.apply(&report(None, true));
        assert_eq!(compute.state(), "refused");
        assert!(!compute.can_decode());
    }

    #[test]
    fn a_worker_that_starts_again_has_no_tokenizer() {
        let mut compute = Compute::default();
        compute.apply(&FromWorker::Tokenizer(TokenizerOutcome::Ready {
            vocabulary: 9,
        }));
        compute.apply(&FromWorker::Started);
        assert_eq!(compute.tokenizer, None);
    }
}
