//! The rules of one robot: when it gets chunks, and the effects of an instruction, a stop and a success.
//!
//! A plain value without clocks, sockets or threads, so that every rule is tested without waiting.
//!
//! - [`chunks`]: from an observation to a chunk
//! - [`summary`]: the messages about its state for viewers

use super::{
    execution::Execution,
    latched_stop::{LatchedStop, Released},
};
use protocol::{
    Mode, TaskState,
    robot::{RobotHello, RobotReport},
};
use std::time::{Duration, Instant};

mod chunks;
mod summary;

/// Time for which a robot that reported success still gets chunks, to come to rest.
pub(crate) const REST_AFTER_SUCCESS: Duration = Duration::from_secs(1);

/// Reason why an observation did not become a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SkipReason {
    /// No chunk is due: no instruction, stopped, finished, or an observation without images.
    Idle,
    /// A problem to report to viewers: cause and remedy.
    Problem(String),
}

/// Reason why a computed chunk was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The instruction, the scene or the connection changed since.
    Superseded,
    /// A stop is latched.
    Stopped,
    /// The observation is older than the studio allows.
    TooOld,
    /// The robot is behind with reading; a stop would have to wait behind the chunk too.
    Unread,
}

impl DropReason {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::Stopped => "stopped",
            Self::TooOld => "too_old",
            Self::Unread => "unread",
        }
    }
}

/// One robot.
#[derive(Debug)]
pub(crate) struct SessionState {
    pub(crate) robot_id: String,
    pub(crate) hello: RobotHello,
    pub(crate) connected: bool,
    /// Time at which the last connection ended, in seconds since 1970.
    left_unix_secs: Option<u64>,
    /// Changes with every instruction, stop, reset and connection; a chunk of an older epoch is dropped.
    epoch: u64,
    instruction: String,
    mode: Mode,
    commanded_at: Option<Instant>,
    /// The viewer that gave the instruction in force.
    operator: Option<u64>,
    /// Time of the last job for this instruction.
    last_job_at: Option<Instant>,
    command_to_chunk_millis: Option<f32>,
    /// The stop that holds the robot.
    latched: Option<LatchedStop>,
    /// Arrival of the stop that has not left yet.
    stop_arrived_at: Option<Instant>,
    /// True if the latched stop was written to this connection.
    stop_delivered: bool,
    succeeded_at: Option<Instant>,
    report: Option<RobotReport>,
    next_chunk_id: u64,
    execution: Execution,
}

impl SessionState {
    pub(crate) fn new(robot_id: String, hello: RobotHello) -> Self {
        Self {
            robot_id,
            hello,
            connected: true,
            left_unix_secs: None,
            epoch: 0,
            instruction: String::new(),
            mode: Mode::default(),
            commanded_at: None,
            operator: None,
            last_job_at: None,
            command_to_chunk_millis: None,
            latched: None,
            stop_arrived_at: None,
            stop_delivered: false,
            succeeded_at: None,
            report: None,
            next_chunk_id: 1,
            execution: Execution::default(),
        }
    }

    /// The state of a robot whose stop was latched before this session began.
    pub(crate) fn stopped(robot_id: String, hello: RobotHello, stop: LatchedStop) -> Self {
        Self {
            latched: Some(stop),
            ..Self::new(robot_id, hello)
        }
    }

    /// Takes over a new connection of the robot. A latched stop survives it. An instruction does not: a robot must not set
    /// off because its cable was plugged in.
    pub(crate) fn reconnected(&mut self, hello: RobotHello) {
        self.hello = hello;
        self.connected = true;
        self.left_unix_secs = None;
        self.report = None;
        self.stop_delivered = false;
        self.next_chunk_id = 1;
        self.forget_command();
        self.execution.forget();
    }

    /// Ends the connection, and drops every field whose size the robot decides: of a robot that left, the name, the stop
    /// and the time remain.
    pub(crate) fn disconnected(&mut self, unix_secs: u64) {
        self.connected = false;
        self.left_unix_secs = Some(unix_secs);
        self.stop_delivered = false;
        let hello = &mut self.hello;
        hello.joints = Vec::new();
        hello.cameras = Vec::new();
        hello.example_instructions = Vec::new();
        hello.resume_token = None;
        self.report = self.report.take().map(|report| RobotReport {
            instruction: String::new(),
            task: TaskState::Idle,
            task_secs: 0.0,
            last_refusal: String::new(),
            ..report
        });
        self.forget_command();
        self.execution.forget();
    }

    fn forget_command(&mut self) {
        self.epoch += 1;
        self.instruction.clear();
        self.commanded_at = None;
        self.operator = None;
        self.last_job_at = None;
        self.command_to_chunk_millis = None;
        self.succeeded_at = None;
    }

    /// Puts an instruction from the viewer `operator` in force, from the next observation on.
    pub(crate) fn command(&mut self, text: &str, mode: Mode, operator: u64, now: Instant) {
        let text = text.trim();
        if text.is_empty() {
            self.execution.forget();
        } else if text != self.instruction {
            self.execution.instruction_changed();
        }
        if mode != self.mode {
            self.execution.head_changed();
        }
        self.forget_command();
        text.clone_into(&mut self.instruction);
        self.mode = mode;
        self.commanded_at = Some(now);
        self.operator = Some(operator).filter(|_| !self.instruction.is_empty());
    }

    /// The viewer that gave the instruction in force.
    pub(crate) fn operator(&self) -> Option<u64> {
        self.operator
    }

    /// Ends the instruction of a viewer that is gone, because that viewer can no longer stop the robot. Returns `true` if
    /// there was one.
    pub(crate) fn operator_gone(&mut self, viewer: u64) -> bool {
        if self.operator != Some(viewer) {
            return false;
        }
        self.forget_command();
        self.execution.forget();
        true
    }

    /// The instruction in force; empty if there is none.
    pub(crate) fn instruction(&self) -> &str {
        &self.instruction
    }

    /// Latches a stop until [`release`](Self::release). It ends the instruction too, so that a release moves nothing.
    pub(crate) fn stop(&mut self, stop: LatchedStop) {
        if !self.is_stopped() {
            self.forget_confirmation();
        }
        self.forget_command();
        self.execution.forget();
        self.latched = Some(stop);
        self.stop_delivered = false;
        self.stop_arrived_at.get_or_insert(stop.at);
    }

    /// Records a further press while a stop holds the robot: a release of an earlier press does not lift it. Nothing else
    /// changes.
    pub(crate) fn stop_again(&mut self, stop: LatchedStop) {
        self.latched = Some(stop);
    }

    /// Records that the stop left for the robot. Returns the time since its arrival, once per stop.
    pub(crate) fn stop_left(&mut self, now: Instant) -> Option<Duration> {
        let arrived_at = self.stop_arrived_at.take()?;
        Some(now.saturating_duration_since(arrived_at))
    }

    /// Records that the stop was written to the robot's connection.
    pub(crate) fn stop_delivered(&mut self) {
        self.stop_delivered = self.is_stopped();
    }

    /// True if a stop is latched.
    pub(crate) fn is_stopped(&self) -> bool {
        self.latched.is_some()
    }

    /// Lifts the stop if the release applies to it (see [`LatchedStop::is_lifted_by`]). Nothing moves until the next
    /// instruction.
    ///
    /// A robot that is not stopped here may have latched a stop itself, so a release that names no stop always reaches it.
    pub(crate) fn release(&mut self, named: Option<u64>, heard_at: Option<Instant>) -> Released {
        match self.latched {
            Some(stop) if !stop.is_lifted_by(named, heard_at) => return Released::StoppedAgain,
            None if named.is_some() => return Released::Before,
            _ => {}
        }
        self.forget_confirmation();
        self.forget_command();
        self.execution.forget();
        self.latched = None;
        self.stop_arrived_at = None;
        self.stop_delivered = false;
        Released::Now
    }

    /// Discards the reported `stopped`: a report from before a stop or a release confirms neither.
    fn forget_confirmation(&mut self) {
        if let Some(report) = &mut self.report {
            report.stopped = false;
        }
    }

    /// Ends the instruction and drops its chunks, because the scene is about to change.
    pub(crate) fn reset(&mut self) {
        self.forget_command();
        self.execution.forget();
    }

    /// Takes over a report of the robot.
    pub(crate) fn reported(&mut self, report: RobotReport, now: Instant) {
        let succeeded =
            report.task == TaskState::Succeeded && report.instruction == self.instruction;
        self.succeeded_at = match (succeeded, self.succeeded_at) {
            (true, None) => Some(now),
            (true, since) => since,
            (false, _) => None,
        };
        if report.holding {
            self.execution.holds(report.at_micros);
        }
        self.report = Some(report);
    }
}

#[cfg(test)]
mod tests;
