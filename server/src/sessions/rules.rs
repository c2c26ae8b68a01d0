//! The rules of one robot: when it gets chunks, what a command, a stop and a success change.
//!
//! A plain value without clocks, sockets or threads, so that every rule is tested without waiting.

use super::{
    execution::Execution,
    latched_stop::{LatchedStop, Released},
};
use crate::inference::job::{Job, unknown_tag};
use policies::{
    chunking::committed::Committed,
    policy::{PolicyInfo, PolicyOutput},
};
use protocol::{
    Mode, TaskState,
    robot::{ActionChunk, Observation, RobotHello, RobotReport},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

mod summary;

/// A robot that reported success gets chunks for this long, to come to rest, and then none.
pub(crate) const REST_AFTER_SUCCESS: Duration = Duration::from_secs(1);

/// Longest time between two questions to the policy while a task runs: a robot holds when it hears nothing for
/// 300 ms.
const LONGEST_COMMITMENT: Duration = Duration::from_millis(200);

/// Why an observation did not become a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SkipReason {
    /// Nothing to do: no instruction, stopped, done, or an observation without views.
    Idle,
    /// Something to tell the viewers, in words.
    Problem(String),
}

/// Why a computed chunk was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The command, the scene or the connection changed since.
    Superseded,
    /// A stop is latched.
    Stopped,
    /// The observation is older than the studio allows.
    TooOld,
    /// The robot has not read what it was sent before; a stop would have to wait behind the chunk too.
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
    /// When the last connection ended, in seconds since 1970.
    left_unix_secs: Option<u64>,
    /// Changes with every command, stop, reset and connection; a chunk for an older one is dropped.
    epoch: u64,
    instruction: String,
    mode: Mode,
    commanded_at: Option<Instant>,
    /// The viewer that gave the instruction in force.
    operator: Option<u64>,
    /// When the policy was last asked about this command.
    asked_at: Option<Instant>,
    command_to_chunk_millis: Option<f32>,
    /// The stop that holds the robot.
    latched: Option<LatchedStop>,
    /// When the stop that has not left yet arrived.
    stop_asked_at: Option<Instant>,
    /// The latched stop was written to this connection.
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
            asked_at: None,
            command_to_chunk_millis: None,
            latched: None,
            stop_asked_at: None,
            stop_delivered: false,
            succeeded_at: None,
            report: None,
            next_chunk_id: 1,
            execution: Execution::default(),
        }
    }

    /// A robot whose stop was latched before this session began.
    pub(crate) fn stopped(robot_id: String, hello: RobotHello, stop: LatchedStop) -> Self {
        Self {
            latched: Some(stop),
            ..Self::new(robot_id, hello)
        }
    }

    /// The robot dialled in again. A latched stop survives this, a command does not: nobody expects a robot
    /// to set off because its cable was plugged in.
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

    /// The connection is gone, and with it everything that a robot can make long: of one that left its name is known, its
    /// stop, and when that was.
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
        self.asked_at = None;
        self.command_to_chunk_millis = None;
        self.succeeded_at = None;
    }

    /// An instruction from the viewer `operator`; in force from the next observation on.
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

    /// The viewer is gone. Whether that ended an instruction: a robot that moves real things does not go on when the
    /// person who set it off can no longer stop it.
    pub(crate) fn operator_gone(&mut self, viewer: u64) -> bool {
        if self.operator != Some(viewer) {
            return false;
        }
        self.forget_command();
        self.execution.forget();
        true
    }

    /// The sentence in force.
    pub(crate) fn instruction(&self) -> &str {
        &self.instruction
    }

    /// A stop, latched until [`release`](Self::release). It ends the instruction too, so that a release moves nothing.
    pub(crate) fn stop(&mut self, stop: LatchedStop) {
        if !self.is_stopped() {
            self.forget_confirmation();
        }
        self.forget_command();
        self.execution.forget();
        self.latched = Some(stop);
        self.stop_delivered = false;
        self.stop_asked_at.get_or_insert(stop.at);
    }

    /// A further press while a stop holds the robot: a release of the one before does not lift it. Nothing else changes.
    pub(crate) fn stop_again(&mut self, stop: LatchedStop) {
        self.latched = Some(stop);
    }

    /// The stop left towards the robot; how long it was here.
    pub(crate) fn stop_left(&mut self, now: Instant) -> Option<Duration> {
        let asked_at = self.stop_asked_at.take()?;
        Some(now.saturating_duration_since(asked_at))
    }

    /// The stop was written to the robot's connection.
    pub(crate) fn stop_delivered(&mut self) {
        self.stop_delivered = self.is_stopped();
    }

    /// Whether a stop is latched.
    pub(crate) fn is_stopped(&self) -> bool {
        self.latched.is_some()
    }

    /// Lifts the stop, if the release means it (see [`LatchedStop::is_lifted_by`]). Nothing moves until the next command.
    ///
    /// A robot that is not stopped here may have a stop of its own, so a release that names none always reaches it.
    pub(crate) fn release(&mut self, named: Option<u64>, heard_at: Option<Instant>) -> Released {
        match self.latched {
            Some(stop) if !stop.is_lifted_by(named, heard_at) => return Released::StoppedAgain,
            None if named.is_some() => return Released::Before,
            _ => {}
        }
        self.forget_confirmation();
        self.forget_command();
        self.latched = None;
        self.stop_asked_at = None;
        self.stop_delivered = false;
        Released::Now
    }

    /// What the robot reported before a stop or a release confirms neither.
    fn forget_confirmation(&mut self) {
        if let Some(report) = &mut self.report {
            report.stopped = false;
        }
    }

    /// A fresh scene: what was computed for the old one is dropped, and so is the sentence about it.
    pub(crate) fn reset(&mut self) {
        self.forget_command();
        self.execution.forget();
    }

    /// What the robot says about itself.
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

    /// What the policy shall compute from an observation, if anything.
    ///
    /// A chunk is followed for the rows that the policy's authors execute before asking again, up to
    /// [`LONGEST_COMMITMENT`]: with a new plain one every 100 ms the shipped policy dithers, and succeeds in 73 %
    /// of 48 episodes instead of 96 %. Chunks that continue each other do not (README, figures), but asking
    /// twice as often would take the policy from other robots and gain nothing.
    pub(crate) fn job(
        &mut self,
        observation: &Arc<Observation>,
        info: Option<&PolicyInfo>,
        now: Instant,
    ) -> Result<Job, SkipReason> {
        let resting = self
            .succeeded_at
            .is_some_and(|since| now.saturating_duration_since(since) >= REST_AFTER_SUCCESS);
        if self.instruction.is_empty()
            || self.is_stopped()
            || resting
            || observation.views.is_empty()
        {
            return Err(SkipReason::Idle);
        }
        let Some(info) = info else {
            return Err(SkipReason::Idle);
        };
        let tag = info
            .tag(&self.hello.tag)
            .ok_or_else(|| SkipReason::Problem(unknown_tag(&self.hello.tag, info)))?;
        if observation.state.len() != tag.state_dim {
            return Err(SkipReason::Problem(format!(
                "the robot sends {} state values, the policy wants {} for the tag {:?}",
                observation.state.len(),
                tag.state_dim,
                tag.tag
            )));
        }
        let missing: Vec<&str> = tag
            .cameras
            .iter()
            .filter(|camera| !observation.views.iter().any(|view| view.name == **camera))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            return Err(SkipReason::Problem(format!(
                "the policy wants the views {}, and the observation lacks {}",
                tag.cameras.join(", "),
                missing.join(", ")
            )));
        }
        let rows_secs = tag.n_action_steps as f32 / self.hello.control_rate_hz;
        let commitment =
            LONGEST_COMMITMENT.mul_f32((rows_secs / LONGEST_COMMITMENT.as_secs_f32()).min(1.0));
        // Observations come in steps of their own; one that is a little early for its turn still has it.
        let is_early =
            |asked_at: Instant| now.saturating_duration_since(asked_at) < commitment.mul_f32(0.8);
        if self.asked_at.is_some_and(is_early) {
            return Err(SkipReason::Idle);
        }
        self.asked_at = Some(now);
        Ok(Job {
            observation: observation.clone(),
            arrived_at: now,
            instruction: self.instruction.clone(),
            mode: self.mode,
            epoch: self.epoch,
            tag: self.hello.tag.clone(),
        })
    }

    /// The policy begins with this job. The rows that its chunk must begin with, if it shall continue what the
    /// robot executes.
    pub(crate) fn begin(&mut self, job: &Job, now: Instant) -> Option<Committed> {
        let rate_hz = f64::from(self.hello.control_rate_hz);
        let captured_at = job.observation.captured_at_micros;
        self.execution
            .begin(captured_at, job.arrived_at, rate_hz, now)
            .filter(|_| job.epoch == self.epoch)
    }

    /// Whether a chunk for this job would be sent now.
    pub(crate) fn check(
        &self,
        job: &Job,
        max_age: Duration,
        now: Instant,
    ) -> Result<(), DropReason> {
        if self.is_stopped() {
            return Err(DropReason::Stopped);
        }
        if job.epoch != self.epoch || !self.connected {
            return Err(DropReason::Superseded);
        }
        if now.saturating_duration_since(job.arrived_at) > max_age {
            return Err(DropReason::TooOld);
        }
        Ok(())
    }

    /// The chunk that the robot is sent for a policy's answer, and whether it is the first of a command.
    pub(crate) fn chunk(
        &mut self,
        job: &Job,
        output: &PolicyOutput,
        max_age: Duration,
        now: Instant,
    ) -> Result<(ActionChunk, bool), DropReason> {
        self.check(job, max_age, now)?;
        let chunk_id = self.next_chunk_id;
        self.next_chunk_id += 1;
        let is_first = self.command_to_chunk_millis.is_none();
        if let (Some(commanded_at), true) = (self.commanded_at, is_first) {
            let took = now.saturating_duration_since(commanded_at);
            self.command_to_chunk_millis = Some(took.as_secs_f32() * 1e3);
        }
        let starts_at_micros = job.observation.captured_at_micros;
        self.execution
            .sent(starts_at_micros, job.arrived_at, output, now);
        let duration_micros =
            (output.rows as f64 / f64::from(self.hello.control_rate_hz) * 1e6).max(1.0) as u64;
        let chunk = ActionChunk {
            chunk_id,
            observation_sequence: job.observation.sequence,
            starts_at_micros,
            valid_until_micros: starts_at_micros.saturating_add(duration_micros),
            rows: output.rows.try_into().unwrap_or(u32::MAX),
            dims: output.dims.try_into().unwrap_or(u32::MAX),
            actions: output.actions.clone(),
        };
        Ok((chunk, is_first))
    }

    /// The chunk did not leave: the robot goes on with none.
    pub(crate) fn chunk_kept_back(&mut self) {
        self.execution.forget();
    }
}

#[cfg(test)]
mod tests;
