//! Log lines that peers cause: shortened, without line breaks, and limited in rate.
//!
//! A peer that reconnects repeatedly under new names is still the same peer: its lines are rationed by its address and by
//! their kind, so that one kind does not displace another.

use crate::{peer_address::PeerAddress, quota::Quota};
use std::{
    collections::HashMap,
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Bytes of a line that are logged.
const MAX_BYTES: usize = 300;
/// Rations that are remembered. Further peers share one ration for each kind.
const MAX_RATIONS: usize = 256;
/// Interval between reports of omitted lines.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Burst and sustained rate of lines.
#[derive(Debug, Clone, Copy)]
struct Rate {
    lines: f64,
    lines_per_sec: f64,
}

/// Rate of the lines of one kind from one address.
const PER_ADDRESS: Rate = Rate {
    lines: 10.0,
    lines_per_sec: 1.0,
};
/// Rate of the lines of one kind from all addresses.
const TOTAL: Rate = Rate {
    lines: 40.0,
    lines_per_sec: 5.0,
};

/// Quota of lines, and the number of lines omitted since the last logged one.
#[derive(Debug)]
struct Ration {
    quota: Quota,
    omitted: u64,
}

impl Ration {
    fn new(rate: Rate, now: Instant) -> Self {
        Self {
            quota: Quota::new(rate.lines, rate.lines_per_sec, now),
            omitted: 0,
        }
    }
}

/// Log with one ration for all its lines.
#[derive(Debug)]
pub(crate) struct PeerLog(Mutex<Ration>);

impl Default for PeerLog {
    fn default() -> Self {
        Self(Mutex::new(Ration::new(PER_ADDRESS, Instant::now())))
    }
}

impl PeerLog {
    /// Logs a line that begins with its `subject`, unless the ration is used up.
    pub(crate) fn say(&self, subject: &dyn Display, text: &str) {
        if let Some(omitted) = self.take(Instant::now()) {
            tracing::info!("{}", line(&format!("{subject}: {text}"), omitted));
        }
    }

    /// Takes one line from the ration for another purpose than the log; `false` if the ration is used up.
    pub(crate) fn allows(&self) -> bool {
        self.take(Instant::now()).is_some()
    }

    /// Takes one line from the ration, and returns the number of lines omitted since the last one.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut ration = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !ration.quota.take(now) {
            ration.omitted += 1;
            return None;
        }
        Some(std::mem::take(&mut ration.omitted))
    }
}

/// Kind of a line.
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
    /// Connections that are read at their maximum rate.
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
            Self::HeldBack => "connections at their maximum rate",
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

/// Rations of all peers.
#[derive(Debug, Default)]
pub(crate) struct PeerLogs(Mutex<Rations>);

#[derive(Debug, Default)]
struct Rations {
    per_address: HashMap<(PeerAddress, Kind), Ration>,
    total: HashMap<Kind, Ration>,
}

impl PeerLogs {
    /// Logs the numbers of omitted lines while it is polled. Otherwise those of a peer that left would never be reported.
    pub(crate) async fn keep_counting(&self) {
        loop {
            tokio::time::sleep(COUNT_INTERVAL).await;
            let counted = self.lock().count(Instant::now());
            for (address, kind, omitted) in counted {
                kind.log(&format!(
                    "{omitted} lines about {} from {address} were left out",
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
    /// Takes one line from both rations, and returns the number of lines omitted since the last one.
    fn take(&mut self, address: PeerAddress, kind: Kind, now: Instant) -> Option<u64> {
        let mut key = (address, kind);
        if self.per_address.len() >= MAX_RATIONS && !self.per_address.contains_key(&key) {
            self.forget_unused(now);
            if self.per_address.len() >= MAX_RATIONS {
                key.0 = PeerAddress::UNKNOWN;
            }
        }
        let own = self
            .per_address
            .entry(key)
            .or_insert_with(|| Ration::new(PER_ADDRESS, now));
        let total = self
            .total
            .entry(kind)
            .or_insert_with(|| Ration::new(TOTAL, now));
        if !own.quota.take(now) || !total.quota.take(now) {
            own.omitted += 1;
            return None;
        }
        Some(std::mem::take(&mut own.omitted))
    }

    /// Takes the numbers of omitted lines that no later line has reported, as far as the rations allow a line for each.
    fn count(&mut self, now: Instant) -> Vec<(PeerAddress, Kind, u64)> {
        let mut counted = Vec::new();
        for ((address, kind), ration) in &mut self.per_address {
            let Some(total) = self.total.get_mut(kind) else {
                continue;
            };
            if ration.omitted > 0 && ration.quota.take(now) && total.quota.take(now) {
                counted.push((*address, *kind, std::mem::take(&mut ration.omitted)));
            }
        }
        self.forget_unused(now);
        counted
    }

    fn forget_unused(&mut self, now: Instant) {
        self.per_address
            .retain(|_, ration| ration.omitted > 0 || !ration.quota.is_full(now));
    }
}

/// Log of one connection. All connections from its address share the rations.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLog {
    address: PeerAddress,
    logs: Arc<PeerLogs>,
}

impl ConnectionLog {
    pub(crate) fn new(address: PeerAddress, logs: Arc<PeerLogs>) -> Self {
        Self { address, logs }
    }

    /// Address of the peer.
    pub(crate) fn address(&self) -> PeerAddress {
        self.address
    }

    /// Logs a line, unless a ration is used up.
    pub(crate) fn say(&self, kind: Kind, text: &str) {
        let omitted = self.logs.lock().take(self.address, kind, Instant::now());
        if let Some(omitted) = omitted {
            kind.log(&line(text, omitted));
        }
    }
}

/// Line as it is logged, with the number of lines omitted before it.
fn line(text: &str, omitted: u64) -> String {
    let text = one_line(text);
    if omitted > 0 {
        format!("{text} ({omitted} lines before were left out)")
    } else {
        text
    }
}

/// Shortened text of a peer without control characters, such as line breaks and terminal escapes.
pub(crate) fn one_line(text: &str) -> String {
    protocol::shortened(text, MAX_BYTES)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
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
    fn a_peer_that_reconnects_continuously_causes_few_lines_and_displaces_no_others() {
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
        assert!(rations.per_address.len() <= MAX_RATIONS + 1);
    }

    #[test]
    fn omitted_lines_are_reported_once_the_peer_is_quiet() {
        let mut rations = Rations::default();
        let now = Instant::now();
        for _ in 0..100 {
            rations.take(address(1), Kind::Presence, now);
        }
        assert!(rations.count(now).is_empty(), "the ration is used up");
        let later = now + Duration::from_secs(5);
        assert_eq!(rations.count(later), [(address(1), Kind::Presence, 90)]);
        assert!(rations.count(later).is_empty());
        let much_later = now + Duration::from_secs(60);
        assert!(rations.count(much_later).is_empty());
        assert!(rations.per_address.is_empty());
    }

    #[test]
    fn text_of_peers_is_shortened_and_has_no_control_characters() {
        assert_eq!(one_line("a\r\n\u{1b}[31mb"), "a   [31mb");
        assert_eq!(one_line(&"x".repeat(10 << 20)).len(), MAX_BYTES);
    }
}
