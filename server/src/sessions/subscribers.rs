//! The viewers of one robot.

use crate::{
    metrics::Metrics,
    queues::outbox::{Key, Outbox},
};
use bytes::Bytes;
use protocol::Message;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Everybody who watches; a message is encoded once for all of them, and not at all for nobody.
#[derive(Debug)]
pub(crate) struct Audience {
    watchers: Mutex<Vec<Arc<Outbox>>>,
    metrics: Arc<Metrics>,
}

impl Audience {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            watchers: Mutex::default(),
            metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Outbox>>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// One more, told `first` before anything else.
    pub(crate) fn join<M: Message>(&self, watcher: &Arc<Outbox>, key: Key, first: &M) {
        let mut watchers = self.lock();
        if let Some(frame) = self.frame(first) {
            watcher.put_newest(key, frame);
        }
        watchers.push(watcher.clone());
    }

    pub(crate) fn leave(&self, watcher: &Arc<Outbox>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, watcher));
    }

    /// Replaces what still waits under the same key.
    pub(crate) fn newest<M: Message>(&self, key: &Key, message: &M) {
        self.each(message, |watcher, frame| {
            watcher.put_newest(key.clone(), frame);
        });
    }

    /// The same of a message that was written before.
    pub(crate) fn newest_frame(&self, key: &Key, frame: &Bytes) {
        for watcher in &*self.lock() {
            watcher.put_newest(key.clone(), frame.clone());
        }
    }

    /// May be dropped by a slow viewer.
    pub(crate) fn lossy<M: Message>(&self, message: &M) {
        self.each(message, Outbox::put_lossy);
    }

    /// Arrives.
    pub(crate) fn control<M: Message>(&self, message: &M) {
        self.each(message, Outbox::put_control);
    }

    fn each<M: Message>(&self, message: &M, put: impl Fn(&Outbox, Bytes)) {
        let watchers = self.lock();
        if watchers.is_empty() {
            return;
        }
        if let Some(frame) = self.frame(message) {
            for watcher in &*watchers {
                put(watcher, frame.clone());
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
