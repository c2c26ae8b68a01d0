//! Lines of the log that peers cause: shortened, on one line each, and not faster than a person reads.
//!
//! A peer that dials again and again under new names is the same peer to the log: its lines are rationed by its address
//! and by what they are about, so that one kind does not push another out.

use crate::{peer_address::PeerAddress, quota::Quota};
use std::{
    collections::HashMap,
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Bytes of a peer's words that are logged.
const MAX_BYTES: usize = 300;
/// Rations that are remembered; peers beyond share one for each kind.
const MAX_RATIONS: usize = 256;
/// Lines that were left out are counted this often, where no other line does it.
const COUNTED_EVERY: Duration = Duration::from_secs(5);

/// Lines at once, and in the long run.
#[derive(Debug, Clone, Copy)]
struct Rate {
    lines: f64,
    lines_per_sec: f64,
}

/// Of one kind from one address.
const OF_ONE: Rate = Rate {
    lines: 10.0,
    lines_per_sec: 1.0,
};
/// Of one kind from all addresses.
const OF_ALL: Rate = Rate {
    lines: 40.0,
    lines_per_sec: 5.0,
};

/// Lines that may still be logged, and how many were not.
#[derive(Debug)]
struct Ration {
    quota: Quota,
    left_out: u64,
}

impl Ration {
    fn new(rate: Rate, now: Instant) -> Self {
        Self {
            quota: Quota::new(rate.lines, rate.lines_per_sec, now),
            left_out: 0,
        }
    }
}

/// One ration for everything that is logged through it.
#[derive(Debug)]
pub(crate) struct PeerLog(Mutex<Ration>);

impl Default for PeerLog {
    fn default() -> Self {
        Self(Mutex::new(Ration::new(OF_ONE, Instant::now())))
    }
}

impl PeerLog {
    /// Logs a line of `whose` words, unless there have been too many.
    pub(crate) fn say(&self, whose: &dyn Display, words: &str) {
        if let Some(left_out) = self.take(Instant::now()) {
            tracing::info!("{}", line(&format!("{whose}: {words}"), left_out));
        }
    }

    /// Takes one line for something else than the log. Whether there was one.
    pub(crate) fn allows(&self) -> bool {
        self.take(Instant::now()).is_some()
    }

    /// Takes one line, and gives how many were refused since the last.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut ration = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !ration.quota.take(now) {
            ration.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut ration.left_out))
    }
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Robots that arrive and leave.
    Presence,
    /// Connections that are refused.
    Refusal,
    /// Errors that peers report, and messages that break a rule.
    Fault,
    /// Robots that cannot be driven as they are.
    Warning,
    /// Connections that are read at their limit.
    HeldBack,
    /// Stops.
    Stop,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Presence => "robots that come and go",
            Self::Refusal => "refused connections",
            Self::Fault => "faults of peers",
            Self::Warning => "warnings about robots",
            Self::HeldBack => "connections that are held back",
            Self::Stop => "stops",
        }
    }

    fn log(self, line: &str) {
        if self == Self::Warning {
            tracing::warn!("{line}");
        } else {
            tracing::info!("{line}");
        }
    }
}

/// The rations of all peers.
#[derive(Debug, Default)]
pub(crate) struct PeerLogs(Mutex<Rations>);

#[derive(Debug, Default)]
struct Rations {
    of_one: HashMap<(PeerAddress, Kind), Ration>,
    of_all: HashMap<Kind, Ration>,
}

impl PeerLogs {
    /// Logs how many lines were left out, for as long as it is polled: of a peer that is gone no other line says it.
    pub(crate) async fn keep_counting(&self) {
        loop {
            tokio::time::sleep(COUNTED_EVERY).await;
            let counted = self.lock().count(Instant::now());
            for (address, kind, left_out) in counted {
                kind.log(&format!(
                    "{left_out} lines about {} from {address} were left out",
                    kind.name()
                ));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rations {
    /// Takes one line, and gives how many were refused since the last.
    fn take(&mut self, address: PeerAddress, kind: Kind, now: Instant) -> Option<u64> {
        let mut key = (address, kind);
        if self.of_one.len() >= MAX_RATIONS && !self.of_one.contains_key(&key) {
            self.forget_unused(now);
            if self.of_one.len() >= MAX_RATIONS {
                key.0 = PeerAddress::UNKNOWN;
            }
        }
        let one = self
            .of_one
            .entry(key)
            .or_insert_with(|| Ration::new(OF_ONE, now));
        let all = self
            .of_all
            .entry(kind)
            .or_insert_with(|| Ration::new(OF_ALL, now));
        if !one.quota.take(now) || !all.quota.take(now) {
            one.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut one.left_out))
    }

    /// The lines that were left out and that no later line has counted, where there is a line left to say so.
    fn count(&mut self, now: Instant) -> Vec<(PeerAddress, Kind, u64)> {
        let mut counted = Vec::new();
        for ((address, kind), ration) in &mut self.of_one {
            let Some(all) = self.of_all.get_mut(kind) else {
                continue;
            };
            if ration.left_out > 0 && ration.quota.take(now) && all.quota.take(now) {
                counted.push((*address, *kind, std::mem::take(&mut ration.left_out)));
            }
        }
        self.forget_unused(now);
        counted
    }

    fn forget_unused(&mut self, now: Instant) {
        self.of_one
            .retain(|_, ration| ration.left_out > 0 || !ration.quota.is_full(now));
    }
}

/// The log of one connection, rationed together with all others from its address.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLog {
    address: PeerAddress,
    logs: Arc<PeerLogs>,
}

impl ConnectionLog {
    pub(crate) fn new(address: PeerAddress, logs: Arc<PeerLogs>) -> Self {
        Self { address, logs }
    }

    /// Where the connection comes from.
    pub(crate) fn address(&self) -> PeerAddress {
        self.address
    }

    /// Logs a line, unless there have been too many.
    pub(crate) fn say(&self, kind: Kind, words: &str) {
        let left_out = self.logs.lock().take(self.address, kind, Instant::now());
        if let Some(left_out) = left_out {
            kind.log(&line(words, left_out));
        }
    }
}

/// A line as it is logged.
fn line(words: &str, left_out: u64) -> String {
    let words = one_line(words);
    if left_out > 0 {
        format!("{words} ({left_out} lines before were left out)")
    } else {
        words
    }
}

/// A peer's words without line ends and other signs that a terminal obeys.
pub(crate) fn one_line(words: &str) -> String {
    let plain: String = protocol::shortened(words, MAX_BYTES)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn address(last: u8) -> PeerAddress {
        PeerAddress::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    #[test]
    fn ten_lines_at_once_and_then_one_per_second() {
        let log = PeerLog::default();
        let now = Instant::now();
        let taken: Vec<_> = (0..100).filter_map(|_| log.take(now)).collect();
        assert_eq!(taken, [0; 10]);
        let later = now + Duration::from_millis(2500);
        assert_eq!(log.take(later), Some(90));
        assert_eq!(log.take(later), Some(0));
        assert_eq!(log.take(later), None);
    }

    #[test]
    fn a_peer_that_dials_again_and_again_writes_a_few_lines_and_leaves_those_of_others() {
        let mut rations = Rations::default();
        let start = Instant::now();
        let mut lines = 0;
        for millis in 0..10_000 {
            let now = start + Duration::from_millis(millis);
            lines += usize::from(rations.take(address(1), Kind::Presence, now).is_some());
        }
        assert!((18..=20).contains(&lines), "{lines}");
        let now = start + Duration::from_secs(10);
        assert_eq!(rations.take(address(1), Kind::Refusal, now), Some(0));
        assert_eq!(rations.take(address(2), Kind::Presence, now), Some(0));
    }

    #[test]
    fn many_addresses_share_a_ration_and_little_memory() {
        let mut rations = Rations::default();
        let now = Instant::now();
        let mut lines = 0;
        for number in 0..100_000_u32 {
            let address = PeerAddress::new(IpAddr::V4(Ipv4Addr::from(number + 1)));
            lines += usize::from(rations.take(address, Kind::Fault, now).is_some());
        }
        assert_eq!(lines, 40);
        assert!(rations.of_one.len() <= MAX_RATIONS + 1);
    }

    #[test]
    fn lines_that_were_left_out_are_counted_once_the_peer_is_quiet() {
        let mut rations = Rations::default();
        let now = Instant::now();
        for _ in 0..100 {
            rations.take(address(1), Kind::Presence, now);
        }
        assert!(rations.count(now).is_empty(), "no line is left to say so");
        let later = now + Duration::from_secs(5);
        assert_eq!(rations.count(later), [(address(1), Kind::Presence, 90)]);
        assert!(rations.count(later).is_empty());
        let much_later = now + Duration::from_secs(60);
        assert!(rations.count(much_later).is_empty());
        assert!(rations.of_one.is_empty());
    }

    #[test]
    fn words_are_short_and_on_one_line() {
        assert_eq!(one_line("a\r\n\u{1b}[31mb"), "a   [31mb");
        assert_eq!(one_line(&"x".repeat(10 << 20)).len(), MAX_BYTES);
    }
}
