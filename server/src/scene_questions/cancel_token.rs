//! Cancellation of a question by its viewer.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// Cancellation state of a question, shared by its viewer and the answering thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct CancelToken(Arc<AtomicU8>);

impl CancelToken {
    const STOPPED: u8 = 1;
    const ABANDONED: u8 = 2;

    /// Stops the answer. The viewer still gets a message that it stopped.
    pub(super) fn stop(&self) {
        self.0.fetch_max(Self::STOPPED, Ordering::AcqRel);
    }

    /// Stops the answer and all its messages.
    pub(super) fn abandon(&self) {
        self.0.fetch_max(Self::ABANDONED, Ordering::AcqRel);
    }

    /// True once the question is stopped or abandoned.
    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// True once the viewer takes no more messages about the question.
    pub(super) fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Acquire) >= Self::ABANDONED
    }
}
