//! The heartbeats of one viewer's connection: whether what its viewer wants came in time, and whether the viewer is still
//! there. Time is handed in.
//!
//! A link that is dead without anybody having noticed keeps what a page hands to it, and delivers it when it is back. A robot
//! would then begin to move on the word of somebody who gave it long ago and may have walked away. So what can set a robot
//! in motion names the last heartbeat that its sender had heard, and only the studio's clock is asked how old that is.
//!
//! A browser answers pings for a page that hangs, so a page echoes each heartbeat. The age of an echo counts from the
//! departure of its heartbeat: echoes that a slow link holds back show that somebody was there, not that somebody is.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Heartbeats whose time is remembered: half a minute. One before them is too old in any case.
const KEPT: usize = 64;

/// The heartbeats that were sent.
#[derive(Debug, Default)]
pub(crate) struct Beats(Mutex<Sent>);

#[derive(Debug, Default)]
struct Sent {
    /// The number of the next one.
    next: u64,
    /// When the last ones were sent, the newest at the end.
    times: VecDeque<Instant>,
    /// When the newest heartbeat that was echoed was sent; absent until the viewer echoes one.
    echoed: Option<Instant>,
}

impl Sent {
    /// When a heartbeat was sent.
    fn time(&self, beat: u64) -> Result<Instant, Late> {
        // The newest has 0 after it.
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

/// A reason why something came too late, in words that follow "it came".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// So long ago the named heartbeat was sent.
    Old(Duration),
    /// Longer ago than is remembered.
    Forgotten,
    /// This connection never had it.
    Unknown(u64),
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEARD: &str = "after the last heartbeat of the studio that its sender had heard";
        match self {
            Self::Old(age) => write!(f, "{:.1} s {HEARD}", age.as_secs_f32()),
            Self::Forgotten => write!(f, "more than half a minute {HEARD}"),
            Self::Unknown(beat) => {
                write!(f, "with heartbeat {beat}, which this connection never had")
            }
        }
    }
}

impl Beats {
    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a heartbeat that is sent now.
    pub(crate) fn send(&self, now: Instant) -> u64 {
        let mut sent = self.lock();
        let beat = sent.next;
        sent.next += 1;
        sent.times.push_back(now);
        if sent.times.len() > KEPT {
            sent.times.pop_front();
        }
        beat
    }

    /// Whether a viewer that had heard `heard` before anything newer is answered in time. One that does not say is.
    pub(crate) fn check(
        &self,
        heard: Option<u64>,
        within: Duration,
        now: Instant,
    ) -> Result<(), Late> {
        let Some(heard) = heard else {
            return Ok(());
        };
        let age = now.saturating_duration_since(self.lock().time(heard)?);
        if age > within {
            return Err(Late::Old(age));
        }
        Ok(())
    }

    /// When a heartbeat was sent; `None` for one that is not remembered or never was.
    pub(crate) fn sent_at(&self, beat: u64) -> Option<Instant> {
        self.lock().time(beat).ok()
    }

    /// The viewer echoed a heartbeat. From now on it is present by its echoes alone.
    ///
    /// # Errors
    /// [`Late::Unknown`] for a heartbeat that was never sent; that is no echo.
    pub(crate) fn echoed(&self, beat: u64) -> Result<(), Late> {
        let mut sent = self.lock();
        let time = match sent.time(beat) {
            Ok(time) => Some(time),
            // Older than all that are remembered.
            Err(Late::Forgotten) => sent.times.front().copied(),
            Err(late) => return Err(late),
        };
        sent.echoed = sent.echoed.max(time);
        Ok(())
    }

    /// Time since the newest echoed heartbeat was sent; `None` for a viewer that echoes none.
    pub(crate) fn unechoed_for(&self, now: Instant) -> Option<Duration> {
        let echoed = self.lock().echoed?;
        Some(now.saturating_duration_since(echoed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(2);

    /// A heartbeat every half second, and the time of the last.
    fn beating(count: u64) -> (Beats, Instant) {
        let beats = Beats::default();
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
        for (heard, verdict) in [
            (9, Ok(())),
            (5, Ok(())),
            (4, Err(Late::Old(Duration::from_millis(2500)))),
            (0, Err(Late::Old(Duration::from_millis(4500)))),
        ] {
            assert_eq!(beats.check(Some(heard), WITHIN, now), verdict, "{heard}");
        }
        let later = now + Duration::from_millis(2001);
        let late = beats.check(Some(9), WITHIN, later);
        assert_eq!(late, Err(Late::Old(Duration::from_millis(2001))));
    }

    #[test]
    fn a_heartbeat_that_was_never_sent_is_refused_and_a_silent_client_is_not() {
        let (beats, now) = beating(10);
        for heard in [10, u64::MAX] {
            let unknown = Err(Late::Unknown(heard));
            assert_eq!(beats.check(Some(heard), WITHIN, now), unknown);
        }
        let none = Beats::default();
        assert_eq!(none.check(Some(0), WITHIN, now), Err(Late::Unknown(0)));
        assert_eq!(
            beats.check(None, WITHIN, now + Duration::from_secs(99)),
            Ok(())
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (beats, now) = beating(100_000);
        assert_eq!(beats.lock().times.len(), KEPT);
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
        // One that was overtaken says nothing new.
        assert_eq!(beats.echoed(7), Ok(()));
        let later = now + Duration::from_secs(3);
        assert_eq!(beats.unechoed_for(later), Some(Duration::from_secs(3)));
        assert_eq!(beats.sent_at(9), Some(now));
    }

    #[test]
    fn what_is_no_echo_makes_nobody_present_and_a_very_old_one_neither() {
        let (beats, now) = beating(100);
        assert_eq!(beats.echoed(100), Err(Late::Unknown(100)));
        assert_eq!(beats.unechoed_for(now), None);
        assert_eq!(beats.sent_at(100), None);
        assert_eq!(beats.echoed(1), Ok(()));
        let silent_for = beats.unechoed_for(now);
        assert!(silent_for.is_some_and(|time| time > 10 * WITHIN));
    }
}
