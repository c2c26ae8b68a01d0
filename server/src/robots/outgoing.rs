//! Frames to one robot: the messages of its mailbox, or only stops while the robot is behind with reading.

use crate::{
    connection_io::{FrameSource, PeerActivity},
    limits::Limits,
    queues::mailbox::Mailbox,
    sessions::{Session, connection::Connection},
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

/// Source of frames from a robot's mailbox. It reports to the session when a stop is about to be written and when it has
/// been written. A robot that is behind with reading is sent stops only: every other frame would delay the next stop.
pub(super) struct Outgoing {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) activity: Arc<PeerActivity>,
    pub(super) limits: Limits,
    pub(super) session: Option<(Arc<Session>, Connection)>,
    /// The frame that is being written is a stop.
    pub(super) is_stop: AtomicBool,
}

impl FrameSource for Outgoing {
    async fn next_frame(&self) -> Option<Bytes> {
        loop {
            let message = if self.is_behind() {
                self.keep_chunk_back(self.mailbox.take_chunk());
                tokio::select! {
                    biased;
                    message = self.mailbox.next_stop() => message?,
                    () = self.activity.pings().answered() => {
                        // A chunk that arrived meanwhile is outdated.
                        self.keep_chunk_back(self.mailbox.take_chunk());
                        continue;
                    }
                }
            } else {
                self.mailbox.next().await?
            };
            // The mailbox may have waited long since the check above.
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
                // A chunk is validated before the mailbox; any other failure is a bug of the studio.
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

    fn activity(&self) -> &PeerActivity {
        &self.activity
    }

    fn write_within(&self) -> Duration {
        self.limits.robot_write_within
    }
}

impl Outgoing {
    fn is_behind(&self) -> bool {
        self.activity.pings().is_behind(Instant::now())
    }

    /// Reports a chunk that is not sent, if there was one.
    fn keep_chunk_back(&self, had_chunk: bool) {
        if let (true, Some((session, _))) = (had_chunk, &self.session) {
            session.chunk_kept_back();
        }
    }
}
