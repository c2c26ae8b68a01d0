//! The viewers of one robot.

use crate::{
    metrics::Metrics,
    queues::outbox::{Key, Outbox},
};
use bytes::Bytes;
use protocol::Message;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The outboxes of the viewers. A message is encoded once for all of them, and not at all if there are none.
#[derive(Debug)]
pub(crate) struct Subscribers {
    outboxes: Mutex<Vec<Arc<Outbox>>>,
    metrics: Arc<Metrics>,
}

impl Subscribers {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            outboxes: Mutex::default(),
            metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Outbox>>> {
        self.outboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Adds a viewer, which receives `first` before anything else.
    pub(crate) fn join<M: Message>(&self, outbox: &Arc<Outbox>, key: Key, first: &M) {
        let mut outboxes = self.lock();
        if let Some(frame) = self.frame(first) {
            outbox.put_newest(key, frame);
        }
        outboxes.push(outbox.clone());
    }

    pub(crate) fn leave(&self, outbox: &Arc<Outbox>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, outbox));
    }

    /// Queues a message that replaces the one that still waits under the same key.
    pub(crate) fn newest<M: Message>(&self, key: &Key, message: &M) {
        self.for_each(message, |outbox, frame| {
            outbox.put_newest(key.clone(), frame);
        });
    }

    /// Like [`newest`](Self::newest), for a message that is encoded already.
    pub(crate) fn newest_frame(&self, key: &Key, frame: &Bytes) {
        for outbox in &*self.lock() {
            outbox.put_newest(key.clone(), frame.clone());
        }
    }

    /// Queues a message that a slow viewer may miss.
    pub(crate) fn lossy<M: Message>(&self, message: &M) {
        self.for_each(message, Outbox::put_lossy);
    }

    /// Queues a message that must arrive.
    pub(crate) fn control<M: Message>(&self, message: &M) {
        self.for_each(message, Outbox::put_control);
    }

    fn for_each<M: Message>(&self, message: &M, put: impl Fn(&Outbox, Bytes)) {
        let outboxes = self.lock();
        if outboxes.is_empty() {
            return;
        }
        if let Some(frame) = self.frame(message) {
            for outbox in &*outboxes {
                put(outbox, frame.clone());
            }
        }
    }

    fn frame<M: Message>(&self, message: &M) -> Option<Bytes> {
        match protocol::encode(message) {
            Ok(frame) => Some(frame.into()),
            Err(error) => {
                self.metrics.error("encode");
                tracing::warn!("a message for viewers was dropped: {error}");
                None
            }
        }
    }
}
