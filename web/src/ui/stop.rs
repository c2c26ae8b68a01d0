//! Sending of stops, and the status text that depends on them. The rules are in [`crate::stopping`].

use leptos::prelude::*;

use super::state::Studio;
use super::time::now_millis;
use crate::status_text::{self, StatusText};
use crate::stopping::{PageKnowledge, Stopping};

impl Studio {
    /// Sends the stops that are due, if a connection is open.
    pub(super) fn send_stops(self) {
        if !self.connection.get_untracked().may_carry() {
            return;
        }
        let now = now_millis();
        let due = self.stopping.with_untracked(|stopping| stopping.due(now));
        for (id, message) in due {
            if self.socket.send(&message).is_ok() {
                self.stopping.update(|stopping| stopping.sent(id, now));
            }
        }
    }

    /// Status of the robot in view, as text.
    pub(crate) fn status_text(self) -> StatusText {
        self.status.with(|status| {
            self.with_knowledge(|seen, stopping| {
                status_text::status_text(seen, stopping, status.as_ref())
            })
        })
    }

    /// The reason that no command can be given now; `None` when one can.
    pub(crate) fn blocked_reason(self) -> Option<String> {
        self.status.with(|status| {
            self.with_knowledge(|seen, stopping| {
                status_text::blocked_reason(seen, stopping, status.as_ref())
            })
        })
    }

    fn with_knowledge<T>(self, read: impl FnOnce(&PageKnowledge, &Stopping) -> T) -> T {
        self.robots.with(|robots| {
            self.watched.with(|watched| {
                let seen = PageKnowledge {
                    connection: self.connection.get(),
                    upgrade_is_blocked: self.upgrade_is_blocked.get(),
                    robots,
                    watched: watched.as_deref(),
                    now_millis: self.now_millis.get(),
                };
                self.stopping.with(|stopping| read(&seen, stopping))
            })
        })
    }
}
