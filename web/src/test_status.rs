//! A robot's status for tests.

use protocol::viewer::RobotStatus;
use protocol::{Mode, TaskState};

/// Status of a connected robot without an instruction.
pub(crate) fn idle_status(robot_id: &str) -> RobotStatus {
    RobotStatus {
        robot_id: robot_id.to_owned(),
        connected: true,
        instruction: String::new(),
        mode: Mode::Continuous,
        task: TaskState::Idle,
        task_secs: 0.0,
        holding: false,
        stop_requested: false,
        stop_delivered: false,
        stopped: false,
        ticks: 0,
        late_ticks: 0,
        clamped: 0,
        refused_chunks: 0,
        command_to_chunk_millis: None,
        stop_number: None,
    }
}
