//! Stops as the page presses, sends and tells them. What there is to decide is in [`crate::stopping`].

use std::time::Duration;

use leptos::prelude::*;
use protocol::viewer::ReleaseRobot;

use super::clock;
use super::state::{Studio, now_millis};
use crate::status_text::{self, StatusText};
use crate::stopping::{LATE_MILLIS, PageKnowledge, Stopping, Target};

impl Studio {
    /// Stops the robot in view; all of them while none is.
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
        self.stopping
            .update(|stopping| stopping.press(target, seen, now));
        // Sends it, or dials for it.
        clock::tick(self);
        // On time, and not with the next tick.
        set_timeout(
            move || clock::tick(self),
            Duration::from_secs_f64(LATE_MILLIS / 1e3),
        );
    }

    /// Sends the presses that are due, if there is a connection that may carry them.
    pub(crate) fn send_stops(self) {
        if !self.connection.get_untracked().may_carry() {
            return;
        }
        let now = now_millis();
        let due = self.stopping.with_untracked(|stopping| stopping.due(now));
        for (id, message) in due {
            if self.wire.send(&message).is_ok() {
                self.stopping.update(|stopping| stopping.sent(id, now));
            }
        }
    }

    /// Lifts the stop of the robot in view.
    pub(crate) fn press_release(self) {
        if let Some(robot_id) = self.watched.get_untracked()
            && self.send(ReleaseRobot { robot_id })
        {
            self.stopping.update(Stopping::released);
        }
    }

    /// What the robot is doing, in words.
    pub(crate) fn status_text(self) -> StatusText {
        self.status.with(|status| {
            self.knowing(|seen, stopping| status_text::status_text(seen, stopping, status.as_ref()))
        })
    }

    /// Why a command cannot be given now; `None` when it can.
    pub(crate) fn blocked_reason(self) -> Option<String> {
        self.status.with(|status| {
            self.knowing(|seen, stopping| {
                status_text::blocked_reason(seen, stopping, status.as_ref())
            })
        })
    }

    fn knowing<T>(self, tell: impl FnOnce(&PageKnowledge, &Stopping) -> T) -> T {
        self.robots.with(|robots| {
            self.watched.with(|watched| {
                let seen = PageKnowledge {
                    connection: self.connection.get(),
                    upgrade_is_blocked: self.upgrade_is_blocked.get(),
                    robots,
                    watched: watched.as_deref(),
                    now_millis: self.now_millis.get(),
                };
                self.stopping.with(|stopping| tell(&seen, stopping))
            })
        })
    }
}

/// Whether a press waits to be sent, so that the wire hurries.
pub(crate) fn is_urgent(studio: Studio) -> bool {
    studio.stopping.with_untracked(Stopping::is_open)
}
