//! Sending one message to the studio.

use leptos::prelude::*;
use protocol::viewer::FromViewer;

use super::state::Studio;
use crate::backoff::Connection;

impl Studio {
    /// Sends one message; shows a notice when it cannot be sent, or would arrive late.
    pub(crate) fn send(self, message: impl Into<FromViewer>) -> bool {
        let outcome = match self.connection.get_untracked() {
            Connection::Silent => Err("Not sent: the studio is not responding.".to_owned()),
            _ => self.socket.send(&message.into()),
        };
        match outcome {
            Ok(()) => true,
            Err(reason) => {
                self.notify(reason);
                false
            }
        }
    }
}
