//! The details of a robot on their way to those who watch it: written once, however many ask and however often.

use super::{Session, lock};
use crate::queues::outbox::{Key, Outbox};
use bytes::Bytes;

/// The newest details.
#[derive(Debug, Default)]
pub(super) struct Details {
    /// As they are sent, once somebody wanted them.
    frame: Option<Bytes>,
    /// Those who watch have not been sent them.
    is_new: bool,
}

impl Session {
    /// The robot announced something else, or left.
    pub(super) fn details_changed(&self) {
        *lock(&self.details) = Details {
            frame: None,
            is_new: true,
        };
    }

    /// Sends them to one who watches from now on. Put under the lock, so that nothing older overtakes.
    pub(super) fn send_details(&self, outbox: &Outbox) {
        let mut details = lock(&self.details);
        if let Some(frame) = self.written(&mut details) {
            outbox.put_newest(Key::Details, frame);
        }
    }

    /// Sends them to everybody who watches, if they changed.
    pub(crate) fn publish_details(&self) {
        let mut details = lock(&self.details);
        if !std::mem::take(&mut details.is_new) || self.subscribers.is_empty() {
            return;
        }
        if let Some(frame) = self.written(&mut details) {
            self.subscribers.newest_frame(&Key::Details, &frame);
        }
    }

    fn written(&self, details: &mut Details) -> Option<Bytes> {
        if details.frame.is_none() {
            let contradictions = lock(&self.contradictions).clone();
            let warnings = contradictions.into_iter().map(|found| found.message);
            let told = lock(&self.state).details(warnings.collect())?;
            match protocol::encode(&told) {
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
