//! The pings of one connection, and by the answers how much of what was written has been read.
//!
//! A write ends when the operating system has taken the bytes, which may be minutes before the peer reads them. A ping goes
//! the way of everything else: when its answer comes, all that was written before it has been read. So from the oldest ping
//! without an answer it is known for how long the peer has been behind, and from the bytes since the newest answered one how
//! much may lie in front of what is written next. A ping has content that cannot be guessed, and only its echo counts: pongs
//! that nobody asked for say nothing.

use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// A peer whose oldest unanswered ping is older than this is behind.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// A peer that has not confirmed so many bytes is behind.
const MAX_UNREAD_BYTES: u64 = 256 << 10;
/// Unanswered pings that are remembered: one that leaves so many unanswered is cut off long before.
const MAX_UNANSWERED: usize = 256;
/// Bytes of a ping's content.
const CONTENT_BYTES: usize = 8;

/// The pings of one connection.
#[derive(Debug)]
pub(crate) struct Pings {
    state: Mutex<State>,
    /// For the one that writes.
    answered: Notify,
}

#[derive(Debug)]
struct State {
    count: u64,
    /// The oldest first.
    unanswered: VecDeque<Ping>,
    /// When the newest answered one was sent.
    answered_sent_at: Instant,
    written_bytes: u64,
    /// Of those, before the newest answered one.
    read_bytes: u64,
}

#[derive(Debug)]
struct Ping {
    content: [u8; CONTENT_BYTES],
    sent_at: Instant,
    /// Bytes of the connection before it.
    after_bytes: u64,
}

impl Pings {
    /// Those of a connection that begins now.
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

    /// The content of a ping that is sent now.
    pub(super) fn send(&self, now: Instant) -> Bytes {
        let mut state = self.lock();
        state.count += 1;
        let mut content = state.count.to_be_bytes();
        if let Err(error) = getrandom::fill(&mut content) {
            tracing::debug!("a ping can be guessed, the system gives no random bytes: {error}");
        }
        if state.unanswered.len() >= MAX_UNANSWERED {
            // Not the oldest: that says for how long the peer has been behind.
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

    /// Bytes are written now, behind the last ping.
    pub(super) fn write(&self, bytes: usize) {
        let mut state = self.lock();
        state.written_bytes = state.written_bytes.saturating_add(bytes as u64);
    }

    /// A pong came. Peers may answer the newest of several pings alone.
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

    /// Waits for the next answer. For one writer.
    pub(crate) async fn answered(&self) {
        self.answered.notified().await;
    }

    /// Whether the peer has not read for a second, or much of what was written: what is written now would lie behind that.
    pub(crate) fn is_behind(&self, now: Instant) -> bool {
        let state = self.lock();
        let unread_bytes = state.written_bytes - state.read_bytes;
        let oldest = state.unanswered.front();
        unread_bytes > MAX_UNREAD_BYTES
            || oldest
                .is_some_and(|ping| now.saturating_duration_since(ping.sent_at) > ANSWERS_WITHIN)
    }

    /// Time since the newest answered ping was sent: the peer may send and not read.
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
    fn pongs_that_nobody_asked_for_say_nothing() {
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
        // Neither does one that was answered before.
        pings.answer(&old);
        let now = start + secs(11.0);
        assert!(pings.is_behind(now) && pings.deaf_for(now) == secs(11.0));
        pings.answer(&ping);
        assert!(!pings.is_behind(now) && pings.deaf_for(now) == secs(10.5));
    }

    #[test]
    fn whoever_leaves_a_ping_unanswered_for_a_second_is_behind_until_it_answers() {
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
        // The newest alone is answered for all.
        pings.answer(&third);
        assert!(!pings.is_behind(start + secs(2.0)));
        pings.answer(&second);
        assert_eq!(pings.deaf_for(start + secs(2.6)), secs(1.0));
    }

    #[test]
    fn whoever_has_much_to_read_is_behind() {
        let start = Instant::now();
        let pings = Pings::new(start);
        pings.write(200 << 10);
        let ping = pings.send(start);
        pings.write(57 << 10);
        assert!(pings.is_behind(start));
        pings.answer(&ping);
        assert!(!pings.is_behind(start));
        pings.write(200 << 10);
        assert!(pings.is_behind(start), "57 KiB came before these");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_stays() {
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
