//! Token bucket for the bytes that a connection sends: a burst and a sustained rate. Time is a parameter.
//!
//! Each frame counts a fixed number of bytes more than its length, because handling a small message costs more than
//! reading it.

use tokio::time::{Duration, Instant};

/// Pause in reading a connection that exceeds its rate. Short enough that a message behind the excess bytes (the report
/// that a robot has stopped) is not delayed for long, and long enough that the pauses themselves cost nothing.
const PAUSE: Duration = Duration::from_millis(10);

/// A sustained rate and a burst.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// The burst in bytes.
    pub(super) bytes_at_once: u32,
    /// The sustained rate.
    pub(super) bytes_per_sec: u32,
    /// Bytes that a frame counts in addition to its length.
    pub(super) bytes_per_frame: u32,
}

/// A token bucket that fills at a rate; its tokens are bytes.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// Bytes that are left; negative after a read that took more.
    bytes: f64,
    counted_at: Instant,
    paused_until: Option<Instant>,
}

impl Bucket {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            bytes: f64::from(rate.bytes_at_once),
            counted_at: now,
            paused_until: None,
        }
    }

    /// Counts bytes that were read, and frames that began in them.
    pub(super) fn take(&mut self, bytes: usize, frames: u32, now: Instant) {
        self.fill(now);
        self.bytes -= bytes as f64 + f64::from(frames) * f64::from(self.rate.bytes_per_frame);
    }

    /// Time until which nothing may be read; `None` if reading may go on now.
    pub(super) fn pause(&mut self, now: Instant) -> Option<Instant> {
        // Calls during a pause do not shorten it.
        if let Some(until) = self.paused_until.filter(|until| now < *until) {
            return Some(until);
        }
        self.paused_until = None;
        self.fill(now);
        if self.bytes <= 0.0 {
            let debt = Duration::from_secs_f64(-self.bytes / f64::from(self.rate.bytes_per_sec));
            self.paused_until = Some(now + debt + PAUSE);
        }
        self.paused_until
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted_at);
        let more = passed.as_secs_f64() * f64::from(self.rate.bytes_per_sec);
        self.bytes = (self.bytes + more).min(f64::from(self.rate.bytes_at_once));
        self.counted_at = now;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const MIB: u32 = 1 << 20;
    const RATE: Rate = Rate {
        bytes_at_once: 32 * MIB,
        bytes_per_sec: 100 * MIB,
        bytes_per_frame: 4 << 10,
    };
    /// Bytes of one read.
    const READ: usize = 64 << 10;

    /// Reads for ten seconds from a peer that always has more to send, with a number of `frames` in each read. Returns the
    /// bytes that were read and the longest pause.
    fn greedy(frames: u32) -> (usize, Duration) {
        let from = Instant::now();
        let mut bucket = Bucket::new(RATE, from);
        let (mut read, mut longest) = (0, Duration::ZERO);
        let mut now = from;
        while now < from + Duration::from_secs(10) {
            match bucket.pause(now) {
                Some(until) => {
                    longest = longest.max(until - now);
                    now = until;
                }
                None => {
                    read += READ;
                    now += Duration::from_micros(30);
                    bucket.take(READ, frames, now);
                }
            }
        }
        (read, longest)
    }

    #[test]
    fn a_greedy_peer_is_read_at_the_rate_with_short_pauses() {
        let (read, longest) = greedy(0);
        let most = 32 * MIB as usize + 1000 * MIB as usize;
        assert!(read <= most + READ, "{read} of {most}");
        assert!(read >= most - 2 * MIB as usize, "{read} of {most}");
        assert!(longest <= PAUSE + Duration::from_millis(1), "{longest:?}");
    }

    #[test]
    fn small_frames_count_as_more_than_their_bytes() {
        // Of 64 bytes each: 25,200 per second, and 8,000 at once.
        let in_a_read = 1024;
        let (read, longest) = greedy(in_a_read);
        let frames = read / 64;
        assert!((250_000..270_000).contains(&frames), "{frames}");
        assert!(longest <= Duration::from_millis(60), "{longest:?}");
    }

    #[test]
    fn three_raw_cameras_at_thirty_hertz_are_never_paused() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        for frame in 0..1800 {
            let mut now = start + Duration::from_secs(1) * frame / 30;
            bucket.take(0, 1, now);
            for _ in 0..(3 * 640 * 480 * 3_usize).div_ceil(READ) {
                assert_eq!(bucket.pause(now), None, "frame {frame}");
                now += Duration::from_micros(30);
                bucket.take(READ, 0, now);
            }
        }
    }

    #[test]
    fn a_pause_lasts_to_its_end_and_a_long_rest_gives_no_more_than_one_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        let later = start + Duration::from_secs(3600);
        assert_eq!(bucket.pause(later), None);
        bucket.take(32 * MIB as usize, 0, later);
        let until = bucket.pause(later).unwrap();
        assert_eq!(until, later + PAUSE);
        let almost = until - Duration::from_micros(1);
        assert_eq!(bucket.pause(almost), Some(until));
        assert_eq!(bucket.pause(until), None);
    }

    #[test]
    fn a_time_before_the_last_one_does_no_harm() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start + Duration::from_secs(1));
        bucket.take(33 * MIB as usize, 0, start);
        let until = bucket.pause(start).unwrap();
        assert_eq!(until, start + PAUSE * 2);
    }
}
