//! Frames to one viewer: the messages of its outbox, and heartbeats in between.

use super::heartbeats::Heartbeats;
use crate::{
    connection_io::{FrameSource, PeerActivity},
    health::Health,
    limits::Limits,
    metrics::Metrics,
    queues::outbox::Outbox,
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

/// Problems in one heartbeat, one sentence each.
const MAX_PROBLEMS: usize = 8;

/// Source of frames from a viewer's outbox, and of heartbeats once the viewer has its welcome.
pub(super) struct Outgoing {
    pub(super) outbox: Arc<Outbox>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: Limits,
    pub(super) health: Arc<Health>,
    pub(super) activity: Arc<PeerActivity>,
    pub(super) is_greeted: Arc<AtomicBool>,
    pub(super) beats: Arc<Heartbeats>,
}

impl FrameSource for Outgoing {
    async fn next_frame(&self) -> Option<Bytes> {
        let frame = self.outbox.next().await;
        let dropped = self.outbox.take_dropped();
        if dropped > 0 {
            self.metrics.viewer_messages_dropped.inc_by(dropped);
        }
        frame
    }

    fn activity(&self) -> &PeerActivity {
        &self.activity
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

/// Heartbeat to be sent now.
pub(super) fn heartbeat(beats: &Heartbeats, health: &Health) -> Heartbeat {
    let mut problems = health.problems();
    problems.truncate(MAX_PROBLEMS);
    Heartbeat {
        beat: beats.send(Instant::now()),
        problems,
    }
}
