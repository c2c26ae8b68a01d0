//! The messages about the state of a robot for viewers.

use super::SessionState;
use protocol::{
    TaskState,
    viewer::{RobotDetails, RobotStatus, RobotSummary},
};

impl SessionState {
    /// The status for the subscribers of this robot.
    pub(crate) fn status(&self) -> RobotStatus {
        let report = self.report.as_ref();
        let about_this = report.filter(|report| report.instruction == self.instruction);
        RobotStatus {
            robot_id: self.robot_id.clone(),
            connected: self.connected,
            instruction: self.instruction.clone(),
            mode: self.mode,
            task: match about_this {
                Some(report) => report.task,
                None if self.instruction.is_empty() => TaskState::Idle,
                None => TaskState::Running,
            },
            task_secs: about_this.map_or(0.0, |report| report.task_secs),
            holding: report.is_some_and(|report| report.holding),
            stop_requested: self.is_stopped(),
            stop_delivered: self.stop_delivered,
            stopped: report.is_some_and(|report| report.stopped),
            ticks: report.map_or(0, |report| report.ticks),
            late_ticks: report.map_or(0, |report| report.late_ticks),
            clamped: report.map_or(0, |report| report.clamped),
            refused_chunks: report.map_or(0, |report| report.refused_chunks),
            command_to_chunk_millis: self.command_to_chunk_millis,
            stop_number: self.latched.map(|stop| stop.number),
        }
    }

    /// The entry of the robot list.
    pub(crate) fn summary(&self, unattended: bool) -> RobotSummary {
        RobotSummary {
            robot_id: self.robot_id.clone(),
            name: self.hello.name.clone(),
            connected: self.connected,
            simulated: self.hello.simulated,
            unattended: unattended || self.hello.simulated,
            stop_requested: self.is_stopped(),
            left_unix_secs: self.left_unix_secs,
        }
    }

    /// The rest of the robot's hello, for its subscribers; `None` for a robot that left.
    pub(crate) fn details(&self, warnings: Vec<String>) -> Option<RobotDetails> {
        self.connected.then(|| RobotDetails {
            robot_id: self.robot_id.clone(),
            joints: self.hello.joints.clone(),
            cameras: self.hello.cameras.clone(),
            control_rate_hz: self.hello.control_rate_hz,
            example_instructions: self.hello.example_instructions.clone(),
            warnings,
        })
    }
}
