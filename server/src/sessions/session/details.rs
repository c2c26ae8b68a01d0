//! The details of a robot on their way to its subscribers, encoded once per change.

use super::{Session, lock};
use crate::queues::outbox::{Key, Outbox};
use bytes::Bytes;

/// The newest details.
#[derive(Debug, Default)]
pub(super) struct Details {
    /// The encoded message, once a subscriber needed it.
    frame: Option<Bytes>,
    /// True if the subscribers do not have them yet.
    is_new: bool,
}

impl Session {
    /// Records a change of the robot's hello, or its departure.
    pub(super) fn details_changed(&self) {
        *lock(&self.details) = Details {
            frame: None,
            is_new: true,
        };
    }

    /// Sends them to a new subscriber. The lock is held meanwhile, so that no older version overtakes them.
    pub(super) fn send_details(&self, outbox: &Outbox) {
        let mut details = lock(&self.details);
        if let Some(frame) = self.encoded_details(&mut details) {
            outbox.put_newest(Key::Details, frame);
        }
    }

    /// Sends them to all subscribers if they changed.
    pub(crate) fn publish_details(&self) {
        let mut details = lock(&self.details);
        if !std::mem::take(&mut details.is_new) || self.subscribers.is_empty() {
            return;
        }
        if let Some(frame) = self.encoded_details(&mut details) {
            self.subscribers.newest_frame(&Key::Details, &frame);
        }
    }

    fn encoded_details(&self, details: &mut Details) -> Option<Bytes> {
        if details.frame.is_none() {
            let contradictions = lock(&self.contradictions).clone();
            let warnings = contradictions.into_iter().map(|found| found.message);
            let message = lock(&self.state).details(warnings.collect())?;
            match protocol::encode(&message) {
                Ok(frame) => details.frame = Some(frame.into()),
                Err(error) => {
                    self.services.metrics.error("encode");
                    tracing::warn!("the details of a robot were not sent: {error}");
                }
            }
        }
        details.frame.clone()
    }
}
