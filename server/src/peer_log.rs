//! What peers say, in the log: shortened, on one line each, and not faster than a person reads.

use crate::quota::Quota;
use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Bytes of a peer's words that are logged.
const MAX_BYTES: usize = 300;
/// Lines at once, and in the long run.
const MAX_LINES: f64 = 10.0;
const LINES_PER_SEC: f64 = 1.0;

/// The right of one connection to the log.
#[derive(Debug)]
pub(crate) struct PeerLog(Mutex<Lines>);

#[derive(Debug)]
struct Lines {
    quota: Quota,
    left_out: u64,
}

impl Default for PeerLog {
    fn default() -> Self {
        Self(Mutex::new(Lines {
            quota: Quota::new(MAX_LINES, LINES_PER_SEC, Instant::now()),
            left_out: 0,
        }))
    }
}

impl PeerLog {
    /// Logs a line of `whose` words. False where there have been too many, and nothing was.
    pub(crate) fn say(&self, whose: &dyn Display, words: &str) -> bool {
        let Some(left_out) = self.take(Instant::now()) else {
            return false;
        };
        let words = one_line(words);
        if left_out > 0 {
            tracing::info!("{whose}: {words} ({left_out} lines before were left out)");
        } else {
            tracing::info!("{whose}: {words}");
        }
        true
    }

    /// Takes one line of the quota, and gives how many were refused since the last.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !lines.quota.take(now) {
            lines.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut lines.left_out))
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
    use std::time::Duration;

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
    fn words_are_short_and_on_one_line() {
        assert_eq!(one_line("a\r\n\u{1b}[31mb"), "a   [31mb");
        assert_eq!(one_line(&"x".repeat(10 << 20)).len(), MAX_BYTES);
    }
}
