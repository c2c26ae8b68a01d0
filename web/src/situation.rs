//! What the robot is doing, in one plain sentence. Also what is said aloud to those who do not see it.

use protocol::TaskState;
use protocol::viewer::RobotStatus;

use crate::reconnect::Connection;

/// A sentence, a second one with details, and a stable word for styles and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// `idle`, `running`, `succeeded`, `unknown`, `holding`, `stopping`, `stopped` or `disconnected`.
    pub state: &'static str,
    /// The sentence. Changes only when something happened, so it can be announced.
    pub headline: String,
    /// What else there is to know; may change all the time. May be empty.
    pub detail: String,
}

impl Situation {
    fn new(state: &'static str, headline: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            state,
            headline: headline.into(),
            detail: detail.into(),
        }
    }
}

/// Puts what is known into words. `robots` is how many the studio knows.
pub fn situation(connection: Connection, robots: usize, status: Option<&RobotStatus>) -> Situation {
    match connection {
        Connection::Connecting => {
            return Situation::new("disconnected", "Connecting to the studio …", "");
        }
        Connection::Waiting { .. } => {
            return Situation::new(
                "disconnected",
                "The connection to the studio is lost.",
                "Without it the robot holds its position by itself. Trying again.",
            );
        }
        Connection::Refused => {
            return Situation::new(
                "disconnected",
                "The studio refused this page.",
                "Reload it: page and studio are probably of different versions.",
            );
        }
        Connection::Live => {}
    }
    let Some(status) = status else {
        return if robots == 0 {
            Situation::new(
                "disconnected",
                "No robot is connected yet.",
                "Start one with: policy-studio sim",
            )
        } else {
            Situation::new("idle", "Waiting for the robot's first report …", "")
        };
    };
    of_robot(status)
}

fn of_robot(status: &RobotStatus) -> Situation {
    let sentence = quoted(&status.instruction);
    if !status.connected {
        return Situation::new(
            "disconnected",
            "The robot is gone.",
            "It holds its position by itself and comes back into view when it dials in again.",
        );
    }
    if status.stopped {
        return Situation::new(
            "stopped",
            "Stopped. The robot confirmed it.",
            "Nothing moves it until it is released.",
        );
    }
    if status.stop_requested {
        return Situation::new("stopping", "Stopping …", "The robot has not confirmed yet.");
    }
    if status.instruction.is_empty() {
        return Situation::new("idle", "Ready.", "Tell the robot what to do.");
    }
    let elapsed = format!("{:.1} s", status.task_secs.max(0.0));
    match status.task {
        TaskState::Succeeded => Situation::new(
            "succeeded",
            format!("Done: {sentence}"),
            format!("The robot's own test passed after {elapsed}."),
        ),
        _ if status.holding => Situation::new(
            "holding",
            format!("Holding: {sentence}"),
            "No valid plan has arrived for 300 ms, so the robot keeps its position.",
        ),
        TaskState::Running => Situation::new("running", format!("Working on {sentence}"), elapsed),
        TaskState::Unknown => Situation::new(
            "unknown",
            format!("Working on {sentence}"),
            format!("{elapsed}. The robot has no test of its own for this sentence."),
        ),
        TaskState::Idle => Situation::new(
            "idle",
            format!("About to begin {sentence}"),
            "The robot has not taken it up yet.",
        ),
    }
}

fn quoted(text: &str) -> String {
    format!("\u{201c}{text}\u{201d}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Mode;

    fn status() -> RobotStatus {
        RobotStatus {
            robot_id: "a".into(),
            connected: true,
            instruction: "reach the red cube".into(),
            mode: Mode::Continuous,
            task: TaskState::Running,
            task_secs: 2.14,
            holding: false,
            stop_requested: false,
            stop_delivered: false,
            stopped: false,
            ticks: 0,
            late_ticks: 0,
            clamped: 0,
            refused_chunks: 0,
            command_to_chunk_millis: None,
        }
    }

    fn state_of(status: &RobotStatus) -> &'static str {
        situation(Connection::Live, 1, Some(status)).state
    }

    #[test]
    fn a_running_task_names_the_sentence_and_the_time() {
        let said = situation(Connection::Live, 1, Some(&status()));
        assert_eq!(said.state, "running");
        assert!(said.headline.contains("reach the red cube"));
        assert_eq!(said.detail, "2.1 s");
    }

    #[test]
    fn a_stop_outranks_success_and_a_lost_wire_outranks_everything() {
        let mut status = status();
        status.task = TaskState::Succeeded;
        assert_eq!(state_of(&status), "succeeded");
        status.stop_requested = true;
        assert_eq!(state_of(&status), "stopping");
        status.stopped = true;
        assert_eq!(state_of(&status), "stopped");
        let lost = Connection::Live.after_loss();
        assert_eq!(situation(lost, 1, Some(&status)).state, "disconnected");
        status.connected = false;
        assert_eq!(state_of(&status), "disconnected");
    }

    #[test]
    fn holding_matters_only_while_there_is_work() {
        let mut status = status();
        status.holding = true;
        assert_eq!(state_of(&status), "holding");
        status.task = TaskState::Succeeded;
        assert_eq!(state_of(&status), "succeeded");
        status.instruction.clear();
        status.task = TaskState::Idle;
        assert_eq!(state_of(&status), "idle");
    }

    #[test]
    fn without_a_robot_it_says_how_to_get_one() {
        let said = situation(Connection::Live, 0, None);
        assert!(said.detail.contains("policy-studio sim"));
    }
}
