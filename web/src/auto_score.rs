//! When the scoring of a robot begins and ends: with its commands.

use protocol::TaskState;
use protocol::viewer::RobotStatus;

/// What a robot's report means for whoever follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Go on.
    Stay,
    /// It works on a sentence that nobody has followed yet.
    Begin(String),
    /// What was followed is over.
    End,
}

/// Follows a robot from command to command.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Following {
    /// The sentence in force and how long the robot has been at it [s], once it was begun with.
    command: Option<(String, f32)>,
}

impl Following {
    /// Takes in the robot's newest report.
    pub fn see(&mut self, status: &RobotStatus) -> Step {
        let is_working = status.connected
            && !status.stopped
            && !status.stop_requested
            && !status.instruction.is_empty()
            && matches!(status.task, TaskState::Running | TaskState::Unknown);
        let sentence = &status.instruction;
        match &mut self.command {
            None if is_working => {
                self.command = Some((sentence.clone(), status.task_secs));
                Step::Begin(sentence.clone())
            }
            None => Step::Stay,
            // Its clock goes back when the same sentence is given again.
            Some((begun, secs)) if is_working && begun == sentence && status.task_secs >= *secs => {
                *secs = status.task_secs;
                Step::Stay
            }
            Some(_) => {
                // What comes instead is begun with at the next report.
                self.command = None;
                Step::End
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Mode;

    fn status(instruction: &str, task: TaskState, task_secs: f32) -> RobotStatus {
        RobotStatus {
            robot_id: "a".into(),
            connected: true,
            instruction: instruction.into(),
            mode: Mode::Continuous,
            task,
            task_secs,
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

    #[test]
    fn a_command_is_followed_until_it_succeeds() {
        let mut following = Following::default();
        assert_eq!(following.see(&status("", TaskState::Idle, 0.0)), Step::Stay);
        assert_eq!(
            following.see(&status("reach", TaskState::Idle, 0.0)),
            Step::Stay
        );
        let began = following.see(&status("reach", TaskState::Running, 0.1));
        assert_eq!(began, Step::Begin("reach".to_owned()));
        assert_eq!(
            following.see(&status("reach", TaskState::Running, 1.0)),
            Step::Stay
        );
        assert_eq!(
            following.see(&status("reach", TaskState::Succeeded, 2.0)),
            Step::End
        );
        assert_eq!(
            following.see(&status("reach", TaskState::Succeeded, 3.0)),
            Step::Stay
        );
    }

    #[test]
    fn another_command_and_the_same_again_end_it_and_begin_anew() {
        let mut following = Following::default();
        following.see(&status("reach", TaskState::Unknown, 0.1));
        assert_eq!(
            following.see(&status("push", TaskState::Running, 0.0)),
            Step::End
        );
        let began = following.see(&status("push", TaskState::Running, 0.2));
        assert_eq!(began, Step::Begin("push".to_owned()));
        following.see(&status("push", TaskState::Running, 4.0));
        assert_eq!(
            following.see(&status("push", TaskState::Running, 0.1)),
            Step::End
        );
        let again = following.see(&status("push", TaskState::Running, 0.2));
        assert_eq!(again, Step::Begin("push".to_owned()));
    }

    #[test]
    fn a_stop_and_a_robot_that_is_gone_end_it() {
        for change in [
            |status: &mut RobotStatus| status.stop_requested = true,
            |status: &mut RobotStatus| status.stopped = true,
            |status: &mut RobotStatus| status.connected = false,
            |status: &mut RobotStatus| status.instruction.clear(),
        ] {
            let mut following = Following::default();
            following.see(&status("reach", TaskState::Running, 0.1));
            let mut after = status("reach", TaskState::Running, 0.2);
            change(&mut after);
            assert_eq!(following.see(&after), Step::End);
            assert_eq!(following.see(&after), Step::Stay);
        }
    }
}
