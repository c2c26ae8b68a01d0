//! Heartbeats of one viewer's connection: they show whether a command arrived in time and whether the viewer is present.
//! Time is a parameter.
//!
//! A link that fails unnoticed keeps what a page has written and delivers it when it recovers. A robot would then start to
//! move on a command from a person who may have walked away. A message that can set a robot in motion therefore names the
//! last heartbeat that its sender had received, and its age is measured with the studio's clock alone.
//!
//! A browser answers pings even for a page that hangs, so a page echoes each heartbeat. The age of an echo counts from the
//! departure of its heartbeat: an echo that a slow link delays proves past presence only.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Heartbeats whose send time is remembered: half a minute. An older one is too late in any case.
const MAX_REMEMBERED: usize = 64;

/// Heartbeats that were sent on one connection.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats(Mutex<Sent>);

#[derive(Debug, Default)]
struct Sent {
    /// Number of the next heartbeat.
    next: u64,
    /// Send times of the last heartbeats, newest last.
    times: VecDeque<Instant>,
    /// Send time of the newest echoed heartbeat; absent until the viewer echoes one.
    echoed: Option<Instant>,
}

impl Sent {
    /// Send time of a heartbeat.
    fn time(&self, beat: u64) -> Result<Instant, Late> {
        // Number of heartbeats after it; 0 for the newest.
        let Some(after) = self.next.checked_sub(1).and_then(|n| n.checked_sub(beat)) else {
            return Err(Late::Unknown(beat));
        };
        usize::try_from(after)
            .ok()
            .and_then(|after| self.times.iter().rev().nth(after))
            .copied()
            .ok_or(Late::Forgotten)
    }
}

/// Reason why a message is late. Its text follows "the instruction came".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// The named heartbeat is too old; its age.
    Old(Duration),
    /// The named heartbeat is older than all that are remembered.
    Forgotten,
    /// The named heartbeat was never sent on this connection; its number.
    Unknown(u64),
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const AFTER: &str = "after the last heartbeat that its sender had received";
        match self {
            Self::Old(age) => write!(f, "{:.1} s {AFTER}", age.as_secs_f32()),
            Self::Forgotten => write!(f, "more than half a minute {AFTER}"),
            Self::Unknown(beat) => {
                write!(
                    f,
                    "with heartbeat {beat}, which was never sent on this connection"
                )
            }
        }
    }
}

impl Heartbeats {
    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a heartbeat that is sent at `now`, and returns its number.
    pub(crate) fn send(&self, now: Instant) -> u64 {
        let mut sent = self.lock();
        let beat = sent.next;
        sent.next += 1;
        sent.times.push_back(now);
        if sent.times.len() > MAX_REMEMBERED {
            sent.times.pop_front();
        }
        beat
    }

    /// Checks that a message arrives within a time from its `newest_received` heartbeat. A message without one passes.
    ///
    /// # Errors
    /// [`Late`] with the age, or for a heartbeat that is not remembered or was never sent.
    pub(crate) fn check(
        &self,
        newest_received: Option<u64>,
        within: Duration,
        now: Instant,
    ) -> Result<(), Late> {
        let Some(beat) = newest_received else {
            return Ok(());
        };
        let age = now.saturating_duration_since(self.lock().time(beat)?);
        if age > within {
            return Err(Late::Old(age));
        }
        Ok(())
    }

    /// Send time of a heartbeat; `None` for one that is not remembered or was never sent.
    pub(crate) fn sent_at(&self, beat: u64) -> Option<Instant> {
        self.lock().time(beat).ok()
    }

    /// Records an echo. From the first one on, only echoes count as presence of the viewer.
    ///
    /// # Errors
    /// [`Late::Unknown`] for a heartbeat that was never sent.
    pub(crate) fn echoed(&self, beat: u64) -> Result<(), Late> {
        let mut sent = self.lock();
        let time = match sent.time(beat) {
            Ok(time) => Some(time),
            // The oldest remembered time is an upper bound.
            Err(Late::Forgotten) => sent.times.front().copied(),
            Err(late) => return Err(late),
        };
        sent.echoed = sent.echoed.max(time);
        Ok(())
    }

    /// Time since the newest echoed heartbeat was sent; `None` until the viewer echoes one.
    pub(crate) fn unechoed_for(&self, now: Instant) -> Option<Duration> {
        let echoed = self.lock().echoed?;
        Some(now.saturating_duration_since(echoed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(2);

    /// Heartbeats every half second, and the time of the last.
    fn beating(count: u64) -> (Heartbeats, Instant) {
        let beats = Heartbeats::default();
        let mut now = Instant::now();
        for number in 0..count {
            now += Duration::from_millis(500);
            assert_eq!(beats.send(now), number);
        }
        (beats, now)
    }

    #[test]
    fn a_heartbeat_of_the_last_two_seconds_is_in_time_and_an_older_one_is_not() {
        let (beats, now) = beating(10);
        for (newest, result) in [
            (9, Ok(())),
            (5, Ok(())),
            (4, Err(Late::Old(Duration::from_millis(2500)))),
            (0, Err(Late::Old(Duration::from_millis(4500)))),
        ] {
            assert_eq!(beats.check(Some(newest), WITHIN, now), result, "{newest}");
        }
        let later = now + Duration::from_millis(2001);
        let late = beats.check(Some(9), WITHIN, later);
        assert_eq!(late, Err(Late::Old(Duration::from_millis(2001))));
    }

    #[test]
    fn a_heartbeat_that_was_never_sent_is_refused_and_a_client_that_names_none_is_not() {
        let (beats, now) = beating(10);
        for beat in [10, u64::MAX] {
            let unknown = Err(Late::Unknown(beat));
            assert_eq!(beats.check(Some(beat), WITHIN, now), unknown);
        }
        let none = Heartbeats::default();
        assert_eq!(none.check(Some(0), WITHIN, now), Err(Late::Unknown(0)));
        assert_eq!(
            beats.check(None, WITHIN, now + Duration::from_secs(99)),
            Ok(())
        );
    }

    #[test]
    fn the_number_of_remembered_heartbeats_is_bounded() {
        let (beats, now) = beating(100_000);
        assert_eq!(beats.lock().times.len(), MAX_REMEMBERED);
        assert_eq!(beats.check(Some(99_999), WITHIN, now), Ok(()));
        assert_eq!(beats.check(Some(5), WITHIN, now), Err(Late::Forgotten));
    }

    #[test]
    fn an_echo_is_as_old_as_its_heartbeat() {
        let (beats, now) = beating(10);
        assert_eq!(beats.unechoed_for(now), None, "a client that echoes none");
        assert_eq!(beats.echoed(5), Ok(()));
        assert_eq!(beats.unechoed_for(now), Some(WITHIN));
        assert_eq!(beats.echoed(9), Ok(()));
        assert_eq!(beats.unechoed_for(now), Some(Duration::ZERO));
        // An echo of an older heartbeat changes nothing.
        assert_eq!(beats.echoed(7), Ok(()));
        let later = now + Duration::from_secs(3);
        assert_eq!(beats.unechoed_for(later), Some(Duration::from_secs(3)));
        assert_eq!(beats.sent_at(9), Some(now));
    }

    #[test]
    fn an_echo_of_an_unknown_or_a_very_old_heartbeat_is_no_presence() {
        let (beats, now) = beating(100);
        assert_eq!(beats.echoed(100), Err(Late::Unknown(100)));
        assert_eq!(beats.unechoed_for(now), None);
        assert_eq!(beats.sent_at(100), None);
        assert_eq!(beats.echoed(1), Ok(()));
        let silent_for = beats.unechoed_for(now);
        assert!(silent_for.is_some_and(|time| time > 10 * WITHIN));
    }
}
