//! What peers say, in the log: shortened, on one line each, and not faster than a person reads.

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
pub(crate) struct PeerLog(Mutex<Quota>);

#[derive(Debug)]
struct Quota {
    lines: f64,
    counted_at: Instant,
    left_out: u64,
}

impl Default for PeerLog {
    fn default() -> Self {
        Self(Mutex::new(Quota {
            lines: MAX_LINES,
            counted_at: Instant::now(),
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
        let mut quota = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(quota.counted_at);
        quota.lines = (quota.lines + passed.as_secs_f64() * LINES_PER_SEC).min(MAX_LINES);
        quota.counted_at = now;
        if quota.lines < 1.0 {
            quota.left_out += 1;
            return None;
        }
        quota.lines -= 1.0;
        Some(std::mem::take(&mut quota.left_out))
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
