//! Frames to one viewer: its outbox, and heartbeats between.

use super::beats::Beats;
use crate::queues::outbox::Outbox;
use crate::{
    health::Health,
    limits::Limits,
    metrics::Metrics,
    wire::{Heard, Source},
};
use bytes::Bytes;
use protocol::viewer::Heartbeat;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Sentences about parts that do not answer in one heartbeat.
const MAX_PROBLEMS: usize = 8;

/// The outbox as frames, and a heartbeat once the viewer is greeted.
pub(super) struct Outgoing {
    pub(super) outbox: Arc<Outbox>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: Limits,
    pub(super) health: Arc<Health>,
    pub(super) heard: Arc<Heard>,
    pub(super) is_greeted: Arc<AtomicBool>,
    pub(super) beats: Arc<Beats>,
}

impl Source for Outgoing {
    async fn next_frame(&self) -> Option<Bytes> {
        let frame = self.outbox.next().await;
        let dropped = self.outbox.take_dropped();
        if dropped > 0 {
            self.metrics.viewer_messages_dropped.inc_by(dropped);
        }
        frame
    }

    fn heard(&self) -> &Heard {
        &self.heard
    }

    fn heartbeat(&self) -> Option<Bytes> {
        if !self.is_greeted.load(Ordering::Acquire) {
            return None;
        }
        match protocol::encode(&heartbeat(&self.beats, &self.health)) {
            Ok(frame) => Some(frame.into()),
            Err(error) => {
                tracing::warn!("a heartbeat was dropped: {error}");
                None
            }
        }
    }

    fn write_within(&self) -> Duration {
        self.limits.silence
    }
}

/// The heartbeat that is sent now.
pub(super) fn heartbeat(beats: &Beats, health: &Health) -> Heartbeat {
    let mut problems = health.problems();
    problems.truncate(MAX_PROBLEMS);
    Heartbeat {
        beat: beats.send(Instant::now()),
        problems,
    }
}
