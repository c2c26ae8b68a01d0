//! One scoring job, from its request to its report.

use std::collections::VecDeque;

use protocol::score::{CurveKind, CurvePoint, ScoreEvent, ScoreOutcome, ScoreReport, ScoreRequest};

use crate::format;

mod curve;
mod text;

pub use curve::Curve;

/// Number of recent steps from which the remaining time is estimated.
const PACE_OVER: usize = 12;

/// State of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// There is no job.
    #[default]
    Idle,
    /// The scorer is being loaded.
    Loading,
    /// Frames are being collected, or points computed.
    Running,
    /// Cancelled, but not ended yet.
    Stopping,
    /// Every point was scored.
    Done,
    /// Cancelled.
    Stopped,
    /// Failed.
    Failed,
}

impl State {
    /// Stable name for tests and styles.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Loading => "loading",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    /// True if the job is still in progress.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Loading | Self::Running | Self::Stopping)
    }
}

/// The newest scoring job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoreJob {
    job: u64,
    state: State,
    request: Option<ScoreRequest>,
    device: String,
    /// Jobs that the studio scores before this one.
    ahead: u32,
    curves: Vec<Curve>,
    done: u32,
    of: u32,
    sent: u32,
    to_send: u32,
    closed: bool,
    /// Times of the newest steps [page milliseconds].
    steps: VecDeque<f64>,
    report: Option<ScoreReport>,
    note: String,
}

impl ScoreJob {
    /// Starts a new job and returns its request with its number. `to_send`: number of frames needed, if known.
    pub fn begin(&mut self, request: ScoreRequest, to_send: Option<usize>) -> ScoreRequest {
        let request = ScoreRequest {
            job: self.job + 1,
            ..request
        };
        *self = Self {
            job: request.job,
            state: State::Running,
            request: Some(request.clone()),
            to_send: to_send.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)),
            ..Self::default()
        };
        request
    }

    /// Waits for the scorer before the job starts.
    pub fn wait(&mut self) {
        *self = Self {
            job: self.job + 1,
            state: State::Loading,
            ..Self::default()
        };
    }

    /// Refuses to start a job.
    pub fn refuse(&mut self, reason: String) {
        *self = Self {
            job: self.job + 1,
            state: State::Failed,
            note: reason,
            ..Self::default()
        };
    }

    /// Records that a frame was sent.
    pub fn sent_frame(&mut self, job: u64) {
        if job == self.job {
            self.sent += 1;
        }
    }

    /// Records that all frames were sent.
    pub fn close(&mut self, job: u64) {
        if job == self.job {
            self.closed = true;
            self.steps.clear();
        }
    }

    /// Applies an event, unless it belongs to an older job or came late.
    pub fn on_event(&mut self, event: ScoreEvent, now_millis: f64) {
        if event.job() != self.job || !self.state.is_open() {
            return;
        }
        match event {
            ScoreEvent::Waiting { ahead, .. } => self.ahead = ahead,
            ScoreEvent::Started { device, curves, .. } => {
                self.ahead = 0;
                self.device = device;
                self.curves = curves
                    .into_iter()
                    .map(|heading| Curve {
                        heading,
                        points: Vec::new(),
                    })
                    .collect();
            }
            ScoreEvent::Points {
                points, done, of, ..
            } => {
                for point in points {
                    self.put(point);
                }
                (self.done, self.of) = (done, of);
                self.steps.push_back(now_millis);
                if self.steps.len() > PACE_OVER {
                    self.steps.pop_front();
                }
            }
            ScoreEvent::Ended { outcome, .. } => match outcome {
                ScoreOutcome::Scored(report) => self.scored(*report),
                ScoreOutcome::Stopped => self.state = State::Stopped,
                ScoreOutcome::Failed { reason } => self.fail(&reason),
            },
        }
    }

    fn put(&mut self, point: CurvePoint) {
        let curve = usize::try_from(point.curve)
            .ok()
            .and_then(|curve| self.curves.get_mut(curve));
        if let Some(curve) = curve.filter(|_| point.log_prob.is_finite()) {
            curve.put(point.length, point.log_prob);
        }
    }

    fn scored(&mut self, report: ScoreReport) {
        self.state = State::Done;
        self.curves = report
            .curves
            .iter()
            .map(|curve| Curve {
                heading: curve.heading.clone(),
                points: report
                    .prefix_lengths
                    .iter()
                    .copied()
                    .zip(curve.log_probs.iter().copied())
                    .collect(),
            })
            .collect();
        self.report = Some(report);
    }

    /// Cancels the job; returns its number if it is running.
    pub fn stop(&mut self) -> Option<u64> {
        match self.state {
            State::Loading => {
                self.state = State::Stopped;
                None
            }
            State::Running => {
                self.state = State::Stopping;
                Some(self.job)
            }
            State::Idle | State::Stopping | State::Done | State::Stopped | State::Failed => None,
        }
    }

    /// Records that the worker did not respond to the cancellation and was restarted.
    pub fn gave_up(&mut self, job: u64) -> bool {
        let late = job == self.job && self.state == State::Stopping;
        if late {
            self.state = State::Stopped;
            "The worker did not respond in time and was restarted.".clone_into(&mut self.note);
        }
        late
    }

    /// Ends the job with a failure; the points so far remain.
    pub fn fail(&mut self, reason: &str) {
        if self.state.is_open() {
            self.state = State::Failed;
            self.note = format::capitalized(reason);
        }
    }

    /// Ends the job because its worker is gone.
    pub fn lost(&mut self, reason: &str) {
        if self.state != State::Loading {
            self.fail(reason);
        }
    }

    /// Ends waiting for the scorer without starting a job.
    pub fn forget_wait(&mut self) {
        if self.state == State::Loading {
            self.state = State::Idle;
        }
    }

    /// Adds a note that is not a failure.
    pub fn remark(&mut self, job: u64, note: &str) {
        if job == self.job {
            note.clone_into(&mut self.note);
        }
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Its number.
    #[must_use]
    pub fn job(&self) -> u64 {
        self.job
    }

    /// True if this job is running and not cancelled.
    #[must_use]
    pub fn is_running(&self, job: u64) -> bool {
        self.job == job && self.state == State::Running
    }

    /// Its request.
    #[must_use]
    pub fn request(&self) -> Option<&ScoreRequest> {
        self.request.as_ref()
    }

    /// True if it scores a live robot.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.request
            .as_ref()
            .is_some_and(|request| request.frames.is_none())
    }

    /// True if it still takes frames.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Running && !self.closed
    }

    /// The device that computes it; empty until that is known.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The curves so far, the instruction's first.
    #[must_use]
    pub fn curves(&self) -> &[Curve] {
        &self.curves
    }

    /// The curve of this kind.
    #[must_use]
    pub fn curve(&self, kind: CurveKind) -> Option<&Curve> {
        self.curves.iter().find(|curve| curve.heading.kind == kind)
    }

    /// The curves to draw: unchanged, or with the frozen frame's curve subtracted from each.
    #[must_use]
    pub fn drawn(&self, subtract_frozen: bool) -> Vec<Curve> {
        match self.curve(CurveKind::Frozen).filter(|_| subtract_frozen) {
            None => self.curves.clone(),
            Some(frozen) => {
                let others = self.curves.iter();
                others
                    .filter(|curve| curve.heading.kind != CurveKind::Frozen)
                    .map(|curve| curve.above(frozen))
                    .collect()
            }
        }
    }

    /// Prefix lengths of all curves, ascending.
    #[must_use]
    pub fn lengths(&self) -> Vec<u32> {
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let mut lengths: Vec<u32> = points.map(|point| point.0).collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    /// Frame rate [1/s].
    #[must_use]
    pub fn fps(&self) -> f64 {
        self.request.as_ref().map_or(1.0, |request| request.fps)
    }

    /// The finished report.
    #[must_use]
    pub fn report(&self) -> Option<&ScoreReport> {
        self.report.as_ref()
    }

    /// The failure or note; may be empty.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }
}

#[cfg(test)]
mod tests;
