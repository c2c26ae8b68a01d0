//! Commands of the viewer to the robot in view.

use leptos::prelude::*;
use protocol::robot::ResetScene;
use protocol::viewer::{Command, ResetRobot};

use super::state::Studio;
use super::time::now_millis;
use crate::pending_instruction::PendingInstruction;

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
            (None, Some(robot_id)) => {
                self.pending_instruction
                    .update_value(|pending| pending.give(&robot_id, text, now_millis()));
                let command = Command {
                    robot_id,
                    text: text.to_owned(),
                    mode,
                    heard_beat: self.socket.heard_beat(),
                };
                self.socket.send(&command.into())
            }
        };
        let is_sent = outcome.is_ok();
        if !is_sent {
            self.pending_instruction
                .update_value(PendingInstruction::forget);
        }
        self.refusal.set(outcome.err());
        is_sent
    }

    /// Resets the scene of the robot in view.
    pub(crate) fn press_reset(self) {
        if let Some(robot_id) = self.watched.get_untracked() {
            self.send(ResetRobot {
                robot_id,
                scene: ResetScene { seed: None },
                heard_beat: self.socket.heard_beat(),
            });
        }
    }
}
