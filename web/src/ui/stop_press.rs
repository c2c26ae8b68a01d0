//! Presses of the stop and release buttons and keys.

use std::time::Duration;

use leptos::prelude::*;

use super::socket;
use super::state::Studio;
use super::time::now_millis;
use crate::pending_instruction::PendingInstruction;
use crate::stopping::{self, LATE_MILLIS, Stopping, Target};

impl Studio {
    /// Stops the robot in view; all robots while none is in view.
    pub(crate) fn press_stop(self) {
        let target = self
            .watched
            .get_untracked()
            .map_or(Target::All, Target::Robot);
        self.press(target);
    }

    /// Stops every robot that the studio knows.
    pub(crate) fn press_stop_all(self) {
        self.press(Target::All);
    }

    fn press(self, target: Target) {
        let now = now_millis();
        let seen = self.robots.with_untracked(|robots| {
            robots
                .iter()
                .map(|robot| robot.robot_id.clone())
                .collect::<Vec<_>>()
        });
        self.refusal.set(None);
        self.pending_instruction
            .update_value(PendingInstruction::forget);
        self.stopping
            .update(|stopping| stopping.press(target, seen, now));
        // Sends the stop, or connects first.
        socket::tick(self);
        // The alarm is shown on time, not with the next tick.
        set_timeout(
            move || socket::tick(self),
            Duration::from_secs_f64(LATE_MILLIS / 1e3),
        );
    }

    /// Releases the stop of the robot in view.
    pub(crate) fn press_release(self) {
        let Some(robot_id) = self.watched.get_untracked() else {
            return;
        };
        let heard_beat = self.socket.heard_beat();
        let release = self
            .status
            .with_untracked(|status| stopping::release(robot_id, status.as_ref(), heard_beat));
        if self.send(release) {
            self.stopping.update(Stopping::released);
        }
    }
}
