//! Pings of one connection, and how much of the written data their answers confirm as read.
//!
//! A write completes when the operating system has accepted the bytes, which may be minutes before the peer reads them. A
//! ping is queued behind them: its answer confirms that everything written before it has been read. The age of the oldest
//! unanswered ping therefore tells how long the peer has been behind, and the bytes since the newest answered one tell how
//! much may be in front of the next write. The content of a ping is random, and only its echo counts: unsolicited pongs
//! confirm nothing.

use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Age of the oldest unanswered ping beyond which a peer is behind.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// Unconfirmed bytes beyond which a peer is behind.
const MAX_UNREAD_BYTES: u64 = 256 << 10;
/// Unanswered pings that are remembered. A connection with this many is closed long before.
const MAX_UNANSWERED: usize = 256;
/// Length of a ping's content.
const CONTENT_BYTES: usize = 8;

/// The pings of one connection.
#[derive(Debug)]
pub(crate) struct Pings {
    state: Mutex<State>,
    /// Wakes the writer.
    answered: Notify,
}

#[derive(Debug)]
struct State {
    count: u64,
    /// Oldest first.
    unanswered: VecDeque<Ping>,
    /// Departure of the newest answered ping.
    answered_sent_at: Instant,
    written_bytes: u64,
    /// Bytes that were written before the newest answered ping.
    read_bytes: u64,
}

#[derive(Debug)]
struct Ping {
    content: [u8; CONTENT_BYTES],
    sent_at: Instant,
    /// Bytes that were written before it.
    after_bytes: u64,
}

impl Pings {
    /// Pings of a connection that begins at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            state: Mutex::new(State {
                count: 0,
                unanswered: VecDeque::new(),
                answered_sent_at: now,
                written_bytes: 0,
                read_bytes: 0,
            }),
            answered: Notify::new(),
        }
    }

    /// Records a ping that is sent at `now`, and returns its content.
    pub(super) fn send(&self, now: Instant) -> Bytes {
        let mut state = self.lock();
        state.count += 1;
        let mut content = state.count.to_be_bytes();
        if let Err(error) = getrandom::fill(&mut content) {
            tracing::debug!("a ping is predictable, the system has no random bytes: {error}");
        }
        if state.unanswered.len() >= MAX_UNANSWERED {
            // The oldest one stays: its age tells how long the peer has been behind.
            state.unanswered.remove(1);
        }
        let after_bytes = state.written_bytes;
        state.unanswered.push_back(Ping {
            content,
            sent_at: now,
            after_bytes,
        });
        Bytes::copy_from_slice(&content)
    }

    /// Records bytes that are written behind the last ping.
    pub(super) fn write(&self, bytes: usize) {
        let mut state = self.lock();
        state.written_bytes = state.written_bytes.saturating_add(bytes as u64);
    }

    /// Records a pong. It answers all older pings too: peers may answer only the newest of several.
    pub(super) fn answer(&self, content: &[u8]) {
        let mut state = self.lock();
        let mut newest_first = state.unanswered.iter().rev();
        let Some(at) = newest_first.position(|ping| ping.content == *content) else {
            return;
        };
        let newer = state.unanswered.len() - at;
        let newest = state.unanswered.drain(..newer).next_back();
        if let Some(ping) = newest {
            state.answered_sent_at = ping.sent_at;
            state.read_bytes = ping.after_bytes;
        }
        drop(state);
        self.answered.notify_one();
    }

    /// Waits for the next answer. Only one task may wait.
    pub(crate) async fn answered(&self) {
        self.answered.notified().await;
    }

    /// True if the peer has left a ping unanswered for more than a second, or has more than 256 KiB to read: a frame
    /// written now would be queued behind that.
    pub(crate) fn is_behind(&self, now: Instant) -> bool {
        let state = self.lock();
        let unread_bytes = state.written_bytes - state.read_bytes;
        let oldest = state.unanswered.front();
        unread_bytes > MAX_UNREAD_BYTES
            || oldest
                .is_some_and(|ping| now.saturating_duration_since(ping.sent_at) > ANSWERS_WITHIN)
    }

    /// Time since the newest answered ping was sent. A peer may send without reading.
    pub(crate) fn deaf_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.lock().answered_sent_at)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every value here is complete after each statement, so a panic elsewhere leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: f64) -> Duration {
        Duration::from_secs_f64(secs)
    }

    #[test]
    fn a_pong_counts_from_the_time_at_which_its_ping_was_sent() {
        let start = Instant::now();
        let pings = Pings::new(start);
        assert_eq!(pings.deaf_for(start + secs(3.0)), secs(3.0));
        let ping = pings.send(start + secs(1.0));
        pings.answer(&ping);
        assert_eq!(pings.deaf_for(start + secs(3.0)), secs(2.0));
    }

    #[test]
    fn unsolicited_pongs_confirm_nothing() {
        let start = Instant::now();
        let pings = Pings::new(start);
        let old = pings.send(start);
        pings.answer(&old);
        let ping = pings.send(start + secs(0.5));
        for forged in [
            &b""[..],
            &[0; 8],
            &1_u64.to_be_bytes(),
            &2_u64.to_be_bytes(),
        ] {
            pings.answer(forged);
        }
        // A second answer to the same ping confirms nothing either.
        pings.answer(&old);
        let now = start + secs(11.0);
        assert!(pings.is_behind(now) && pings.deaf_for(now) == secs(11.0));
        pings.answer(&ping);
        assert!(!pings.is_behind(now) && pings.deaf_for(now) == secs(10.5));
    }

    #[test]
    fn a_peer_that_leaves_a_ping_unanswered_for_a_second_is_behind_until_it_answers() {
        let start = Instant::now();
        let pings = Pings::new(start);
        let first = pings.send(start);
        let second = pings.send(start + secs(0.5));
        assert!(!pings.is_behind(start + secs(1.0)));
        assert!(pings.is_behind(start + secs(1.1)));
        pings.answer(&first);
        assert!(!pings.is_behind(start + secs(1.1)), "the second is younger");
        assert!(pings.is_behind(start + secs(1.6)));
        let third = pings.send(start + secs(1.6));
        // An answer to the newest counts for all.
        pings.answer(&third);
        assert!(!pings.is_behind(start + secs(2.0)));
        pings.answer(&second);
        assert_eq!(pings.deaf_for(start + secs(2.6)), secs(1.0));
    }

    #[test]
    fn a_peer_with_much_unread_data_is_behind() {
        let start = Instant::now();
        let pings = Pings::new(start);
        pings.write(200 << 10);
        let ping = pings.send(start);
        pings.write(57 << 10);
        assert!(pings.is_behind(start));
        pings.answer(&ping);
        assert!(!pings.is_behind(start));
        pings.write(200 << 10);
        assert!(pings.is_behind(start), "57 KiB were written before these");
    }

    #[test]
    fn the_number_of_unanswered_pings_is_bounded_and_the_oldest_stays() {
        let start = Instant::now();
        let pings = Pings::new(start);
        let first = pings.send(start);
        for number in 1..100_000 {
            pings.send(start + Duration::from_micros(number));
        }
        assert_eq!(pings.lock().unanswered.len(), MAX_UNANSWERED);
        assert!(pings.is_behind(start + secs(1.01)));
        pings.answer(&first);
        assert_eq!(pings.lock().unanswered.len(), MAX_UNANSWERED - 1);
    }
}
