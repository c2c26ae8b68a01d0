//! The connection of a robot, as its session sees it.

use super::places::Standing;
use crate::{connection_io::PeerActivity, peer_log::ConnectionLog, queues::mailbox::Mailbox};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Bytes of randomness in a resume token.
const TOKEN_BYTES: usize = 16;

/// One connection. A robot that reconnects gets a new one, and the old one is cut.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Unique in this run of the studio.
    pub(crate) number: u64,
    /// Queue of messages to the robot.
    pub(crate) mailbox: Arc<Mailbox>,
    /// Time of the last message from the robot, and its pings.
    pub(crate) heard: Arc<PeerActivity>,
    /// Its lines in the log.
    pub(crate) log: ConnectionLog,
    /// Cancelled when another connection takes the place of this one.
    pub(crate) cut: CancellationToken,
    began_at: Instant,
    /// True once an observation or a report came.
    is_used: Arc<AtomicBool>,
    /// True once its place went to another robot.
    gave_way: Arc<AtomicBool>,
    /// Secret with which the robot's next hello takes this place.
    pub(crate) resume_token: String,
}

impl Connection {
    pub(crate) fn new(
        number: u64,
        mailbox: Arc<Mailbox>,
        heard: Arc<PeerActivity>,
        log: ConnectionLog,
    ) -> Self {
        Self {
            number,
            mailbox,
            heard,
            log,
            cut: CancellationToken::new(),
            began_at: Instant::now(),
            is_used: Arc::default(),
            gave_way: Arc::default(),
            resume_token: token(),
        }
    }

    /// Records that an observation or a report came.
    pub(super) fn used(&self) {
        self.is_used.store(true, Ordering::Relaxed);
    }

    /// Ends the connection in favor of another robot.
    pub(super) fn give_way(&self) {
        self.gave_way.store(true, Ordering::Release);
        self.cut.cancel();
    }

    /// True if it was cut for another robot, not for a new connection of the same robot.
    pub(crate) fn gave_way(&self) -> bool {
        self.gave_way.load(Ordering::Acquire)
    }

    /// Its standing when all places are taken. A robot that has sent something keeps its place; a silent moment does not
    /// cost it, because networks fail for moments.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        Standing {
            address: self.log.address(),
            absent_for: None,
            here_for: now.saturating_duration_since(self.began_at),
            unused_for: None,
            is_protected: self.is_used.load(Ordering::Relaxed),
        }
    }

    /// True if a hello with this token may take the place of this connection.
    pub(crate) fn is_resumed_by(&self, token: Option<&str>) -> bool {
        !self.resume_token.is_empty() && token == Some(self.resume_token.as_str())
    }
}

/// Draws a secret as hexadecimal digits. Empty if the system has no randomness; then no hello can resume.
fn token() -> String {
    use std::fmt::Write as _;
    let mut bytes = [0_u8; TOKEN_BYTES];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!("no resume token: the system gives no random bytes ({error})");
        return String::new();
    }
    bytes.iter().fold(String::new(), |mut token, byte| {
        write!(token, "{byte:02x}").ok();
        token
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer_address::PeerAddress;

    #[test]
    fn only_its_own_token_resumes_a_connection() {
        let log = ConnectionLog::new(PeerAddress::UNKNOWN, Arc::default());
        let [one, two] = [1, 2]
            .map(|number| Connection::new(number, Arc::default(), Arc::default(), log.clone()));
        assert_eq!(one.resume_token.len(), 2 * TOKEN_BYTES);
        assert!(one.is_resumed_by(Some(&one.resume_token)));
        assert!(!one.is_resumed_by(Some(&two.resume_token)));
        assert!(!one.is_resumed_by(Some("")) && !one.is_resumed_by(None));
    }
}
