//! Start and end of automatic scoring: it follows the robot from instruction to instruction.

use protocol::TaskState;
use protocol::viewer::RobotStatus;

/// Consequence of a robot's status for the scoring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowStep {
    /// Nothing changes.
    Continue,
    /// The robot works on this new instruction.
    Begin(String),
    /// The instruction that was followed has ended.
    End,
}

/// Follows a robot from instruction to instruction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstructionFollower {
    /// The instruction that is followed, and the time that the robot has worked on it (s).
    command: Option<(String, f32)>,
}

impl InstructionFollower {
    /// Processes the robot's newest status.
    pub fn update(&mut self, status: &RobotStatus) -> FollowStep {
        let is_working = status.connected
            && !status.stopped
            && !status.stop_requested
            && !status.instruction.is_empty()
            && matches!(status.task, TaskState::Running | TaskState::Unknown);
        let instruction = &status.instruction;
        match &mut self.command {
            None if is_working => {
                self.command = Some((instruction.clone(), status.task_secs));
                FollowStep::Begin(instruction.clone())
            }
            None => FollowStep::Continue,
            // The time is reset when the same instruction is given again.
            Some((begun, secs))
                if is_working && begun == instruction && status.task_secs >= *secs =>
            {
                *secs = status.task_secs;
                FollowStep::Continue
            }
            Some(_) => {
                // The next status starts its successor.
                self.command = None;
                FollowStep::End
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_status::idle_status;

    fn status(instruction: &str, task: TaskState, task_secs: f32) -> RobotStatus {
        RobotStatus {
            instruction: instruction.to_owned(),
            task,
            task_secs,
            ..idle_status("a")
        }
    }

    #[test]
    fn a_command_is_followed_until_it_succeeds() {
        let mut follower = InstructionFollower::default();
        assert_eq!(
            follower.update(&status("", TaskState::Idle, 0.0)),
            FollowStep::Continue
        );
        assert_eq!(
            follower.update(&status("reach", TaskState::Idle, 0.0)),
            FollowStep::Continue
        );
        let began = follower.update(&status("reach", TaskState::Running, 0.1));
        assert_eq!(began, FollowStep::Begin("reach".to_owned()));
        assert_eq!(
            follower.update(&status("reach", TaskState::Running, 1.0)),
            FollowStep::Continue
        );
        assert_eq!(
            follower.update(&status("reach", TaskState::Succeeded, 2.0)),
            FollowStep::End
        );
        assert_eq!(
            follower.update(&status("reach", TaskState::Succeeded, 3.0)),
            FollowStep::Continue
        );
    }

    #[test]
    fn another_command_and_the_same_again_end_it_and_begin_anew() {
        let mut follower = InstructionFollower::default();
        follower.update(&status("reach", TaskState::Unknown, 0.1));
        assert_eq!(
            follower.update(&status("push", TaskState::Running, 0.0)),
            FollowStep::End
        );
        let began = follower.update(&status("push", TaskState::Running, 0.2));
        assert_eq!(began, FollowStep::Begin("push".to_owned()));
        follower.update(&status("push", TaskState::Running, 4.0));
        assert_eq!(
            follower.update(&status("push", TaskState::Running, 0.1)),
            FollowStep::End
        );
        let again = follower.update(&status("push", TaskState::Running, 0.2));
        assert_eq!(again, FollowStep::Begin("push".to_owned()));
    }

    #[test]
    fn a_stop_and_a_robot_that_is_gone_end_it() {
        for change in [
            |status: &mut RobotStatus| status.stop_requested = true,
            |status: &mut RobotStatus| status.stopped = true,
            |status: &mut RobotStatus| status.connected = false,
            |status: &mut RobotStatus| status.instruction.clear(),
        ] {
            let mut follower = InstructionFollower::default();
            follower.update(&status("reach", TaskState::Running, 0.1));
            let mut after = status("reach", TaskState::Running, 0.2);
            change(&mut after);
            assert_eq!(follower.update(&after), FollowStep::End);
            assert_eq!(follower.update(&after), FollowStep::Continue);
        }
    }
}
