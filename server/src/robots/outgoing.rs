//! Frames to one robot: its mailbox, and of that a stop alone while the robot is behind with reading.

use crate::{
    limits::Limits,
    queues::mailbox::Mailbox,
    sessions::{Session, connection::Connection},
    wire::{Heard, Source},
};
use bytes::Bytes;
use protocol::ToRobot;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// The mailbox as frames, telling the session when a stop leaves and when it has left. To a robot that is behind with
/// reading goes a stop alone: what is written lies in front of the stop that comes next.
pub(super) struct Outgoing {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) heard: Arc<Heard>,
    pub(super) limits: Limits,
    pub(super) session: Option<(Arc<Session>, Connection)>,
    /// The frame on its way is a stop.
    pub(super) is_stop: AtomicBool,
}

impl Source for Outgoing {
    async fn next_frame(&self) -> Option<Bytes> {
        loop {
            let message = if self.is_behind() {
                self.keep_chunk_back(self.mailbox.take_chunk());
                tokio::select! {
                    biased;
                    message = self.mailbox.next_stop() => message?,
                    () = self.heard.pings().answered() => {
                        // One that slipped in is old by now.
                        self.keep_chunk_back(self.mailbox.take_chunk());
                        continue;
                    }
                }
            } else {
                self.mailbox.next().await?
            };
            // It may have come long after the robot was looked at.
            if matches!(message, ToRobot::Chunk(_)) && self.is_behind() {
                self.keep_chunk_back(true);
                continue;
            }
            if let (ToRobot::Stop(_), Some((session, _))) = (&message, &self.session) {
                session.stop_left();
                self.is_stop.store(true, Ordering::Release);
            }
            match message.encode() {
                Ok(frame) => return Some(frame.into()),
                // A chunk is checked before it gets here; whatever else does not encode is our bug.
                Err(error) => tracing::error!("a message to a robot was dropped: {error}"),
            }
        }
    }

    fn was_written(&self) {
        if self.is_stop.swap(false, Ordering::AcqRel)
            && let Some((session, connection)) = &self.session
        {
            session.stop_delivered(connection.number);
        }
    }

    fn heard(&self) -> &Heard {
        &self.heard
    }

    fn write_within(&self) -> Duration {
        self.limits.robot_write_within
    }
}

impl Outgoing {
    fn is_behind(&self) -> bool {
        self.heard.pings().is_behind(Instant::now())
    }

    /// Accounts for a chunk that does not leave, if there was one.
    fn keep_chunk_back(&self, was_there: bool) {
        if let (true, Some((session, _))) = (was_there, &self.session) {
            session.chunk_kept_back();
        }
    }
}
