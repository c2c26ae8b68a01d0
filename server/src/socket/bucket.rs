//! The bytes that a connection may send: so many at once, and so many per second in the long run. Time is handed in.
//!
//! A frame counts as some bytes more than it has: what is done for a small message costs more than reading it.

use tokio::time::{Duration, Instant};

/// How long a connection that sent too much is not read at a time. Short, so that what comes behind the bytes (the word
/// that a robot has stopped) is not held for long; long enough that the pauses themselves cost nothing.
const PAUSE: Duration = Duration::from_millis(10);

/// A sustained rate and a burst.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// The burst, after a while in which less came.
    pub(super) bytes_at_once: u32,
    /// The sustained rate.
    pub(super) bytes_per_sec: u32,
    /// Bytes that a frame counts beside its own.
    pub(super) bytes_per_frame: u32,
}

/// A token bucket that fills at a rate; its tokens are bytes.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// Below zero when the last read took more than was left.
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

    /// Takes note of bytes that were read, and of frames that began in them.
    pub(super) fn take(&mut self, bytes: usize, frames: u32, now: Instant) {
        self.fill(now);
        self.bytes -= bytes as f64 + f64::from(frames) * f64::from(self.rate.bytes_per_frame);
    }

    /// The time until which nothing is to be read; `None` when reading may go on now.
    pub(super) fn pause(&mut self, now: Instant) -> Option<Instant> {
        // A pause lasts to its end, whoever asks in between.
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

    /// Reads for ten seconds from somebody who always has more to send, so many frames in each read: the bytes, and the
    /// longest pause.
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
    fn whoever_sends_as_fast_as_possible_is_read_at_the_rate_in_short_pauses() {
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
    fn a_pause_lasts_to_its_end_and_a_rest_gives_no_more_than_what_may_come_at_once() {
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
    fn a_clock_that_stands_still_or_is_handed_in_late_does_no_harm() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start + Duration::from_secs(1));
        bucket.take(33 * MIB as usize, 0, start);
        let until = bucket.pause(start).unwrap();
        assert_eq!(until, start + PAUSE * 2);
    }
}
