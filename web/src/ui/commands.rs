//! Commands of the viewer to the robot in view.

use leptos::prelude::*;
use protocol::robot::ResetScene;
use protocol::viewer::{Command, ResetRobot};

use super::state::Studio;

impl Studio {
    /// Gives the robot in view an instruction; `false`, with the reason shown, when that is not possible.
    pub(crate) fn command(self, text: &str) -> bool {
        let mode = self.mode.get_untracked();
        let outcome = match (
            untrack(|| self.blocked_reason()),
            self.watched.get_untracked(),
        ) {
            (Some(reason), _) => Err(reason),
            (None, None) => Err("There is no robot to instruct yet.".to_owned()),
            (None, Some(robot_id)) => self.wire.send(
                &Command {
                    robot_id,
                    text: text.to_owned(),
                    mode,
                }
                .into(),
            ),
        };
        let is_sent = outcome.is_ok();
        self.refusal.set(outcome.err());
        is_sent
    }

    /// Resets the scene of the robot in view.
    pub(crate) fn press_reset(self) {
        if let Some(robot_id) = self.watched.get_untracked() {
            self.send(ResetRobot {
                robot_id,
                scene: ResetScene { seed: None },
            });
        }
    }
}
