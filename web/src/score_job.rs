//! One job of scoring, from the question to its report.

use std::collections::VecDeque;

use protocol::score::{CurveKind, CurvePoint, ScoreEvent, ScoreOutcome, ScoreReport, ScoreRequest};

use crate::format;

mod curve;
mod text;

pub use curve::Curve;

/// So many of the newest steps say how long the next ones will take.
const PACE_OVER: usize = 12;

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing was scored.
    #[default]
    Idle,
    /// The scorer is not in the tab yet.
    Loading,
    /// A robot is waited for, or its frames are collected, or the points come.
    Running,
    /// Someone asked to stop, and it has not stopped.
    Stopping,
    /// Everything was scored.
    Done,
    /// It was stopped.
    Stopped,
    /// It could not go on.
    Failed,
}

impl State {
    /// For tests and style.
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

    /// Whether more will come.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Loading | Self::Running | Self::Stopping)
    }
}

/// The newest job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoreJob {
    job: u64,
    state: State,
    request: Option<ScoreRequest>,
    device: String,
    /// Videos that come first on the studio.
    ahead: u32,
    curves: Vec<Curve>,
    done: u32,
    of: u32,
    sent: u32,
    to_send: u32,
    closed: bool,
    /// Page milliseconds of the newest steps.
    steps: VecDeque<f64>,
    report: Option<ScoreReport>,
    note: String,
}

impl ScoreJob {
    /// Starts over; gives the request with its number. `to_send` frames are needed, if that is known.
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

    /// Waits for a scorer before it begins.
    pub fn wait(&mut self) {
        *self = Self {
            job: self.job + 1,
            state: State::Loading,
            ..Self::default()
        };
    }

    /// Refuses to begin.
    pub fn refuse(&mut self, reason: String) {
        *self = Self {
            job: self.job + 1,
            state: State::Failed,
            note: reason,
            ..Self::default()
        };
    }

    /// A frame was handed over.
    pub fn sent_frame(&mut self, job: u64) {
        if job == self.job {
            self.sent += 1;
        }
    }

    /// All frames were handed over.
    pub fn close(&mut self, job: u64) {
        if job == self.job {
            self.closed = true;
            self.steps.clear();
        }
    }

    /// Takes in what happened, unless it is of an older job or came late.
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

    /// Asks to stop; gives the job's number if there is something to stop.
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

    /// Whoever was asked to stop this job did not answer and is gone.
    pub fn gave_up(&mut self, job: u64) -> bool {
        let late = job == self.job && self.state == State::Stopping;
        if late {
            self.state = State::Stopped;
            "The worker did not answer in time, so it was started again."
                .clone_into(&mut self.note);
        }
        late
    }

    /// It cannot go on; what is known stays.
    pub fn fail(&mut self, reason: &str) {
        if self.state.is_open() {
            self.state = State::Failed;
            self.note = format::capitalized(reason);
        }
    }

    /// Whoever computed it is gone.
    pub fn lost(&mut self, reason: &str) {
        if self.state != State::Loading {
            self.fail(reason);
        }
    }

    /// What was waited for is there, and nothing begins yet.
    pub fn forget_wait(&mut self) {
        if self.state == State::Loading {
            self.state = State::Idle;
        }
    }

    /// Something to know about the job that is no failure.
    pub fn remark(&mut self, job: u64, note: &str) {
        if job == self.job {
            note.clone_into(&mut self.note);
        }
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Its number.
    #[must_use]
    pub fn job(&self) -> u64 {
        self.job
    }

    /// Whether this job is being computed and nobody wants it to stop.
    #[must_use]
    pub fn is_running(&self, job: u64) -> bool {
        self.job == job && self.state == State::Running
    }

    /// What was asked.
    #[must_use]
    pub fn request(&self) -> Option<&ScoreRequest> {
        self.request.as_ref()
    }

    /// Whether a robot is being watched.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.request
            .as_ref()
            .is_some_and(|request| request.frames.is_none())
    }

    /// Whether frames still come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Running && !self.closed
    }

    /// Where it is computed; empty before that is known.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The curves so far, the instruction's own first.
    #[must_use]
    pub fn curves(&self) -> &[Curve] {
        &self.curves
    }

    /// The curve of a kind.
    #[must_use]
    pub fn curve(&self, kind: CurveKind) -> Option<&Curve> {
        self.curves.iter().find(|curve| curve.heading.kind == kind)
    }

    /// The curves as they are drawn: as they are, or what the frozen frame has taken from each.
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

    /// Lengths of the prefixes that any curve has, ascending.
    #[must_use]
    pub fn lengths(&self) -> Vec<u32> {
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let mut lengths: Vec<u32> = points.map(|point| point.0).collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    /// Rate of the frames [1/s].
    #[must_use]
    pub fn fps(&self) -> f64 {
        self.request.as_ref().map_or(1.0, |request| request.fps)
    }

    /// The finished report.
    #[must_use]
    pub fn report(&self) -> Option<&ScoreReport> {
        self.report.as_ref()
    }

    /// What went wrong or should be known; may be empty.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }
}

#[cfg(test)]
mod tests;
