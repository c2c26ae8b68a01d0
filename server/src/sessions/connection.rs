//! A robot's connection as its session knows it.

use crate::{peer_log::ConnectionLog, queues::mailbox::Mailbox, wire::Heard};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Bytes of randomness in a resume token.
const TOKEN_BYTES: usize = 16;

/// One connection. A robot that dials in again gets a new one; the old one is cut.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Unique in this run of the studio.
    pub(crate) number: u64,
    /// Messages to the robot.
    pub(crate) mailbox: Arc<Mailbox>,
    /// When the robot was last heard.
    pub(crate) heard: Arc<Heard>,
    /// Its part of the log.
    pub(crate) log: ConnectionLog,
    /// Cancelled when another connection takes the place of this one.
    pub(crate) cut: CancellationToken,
    /// With this in its next hello the robot takes its place back.
    pub(crate) resume_token: String,
}

impl Connection {
    pub(crate) fn new(
        number: u64,
        mailbox: Arc<Mailbox>,
        heard: Arc<Heard>,
        log: ConnectionLog,
    ) -> Self {
        Self {
            number,
            mailbox,
            heard,
            log,
            cut: CancellationToken::new(),
            resume_token: token(),
        }
    }

    /// Whether a hello with this token may take the place of this connection.
    pub(crate) fn is_resumed_by(&self, token: Option<&str>) -> bool {
        !self.resume_token.is_empty() && token == Some(self.resume_token.as_str())
    }
}

/// A fresh secret, as hexadecimal digits; empty, and then nobody can resume, where the system has no randomness.
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
