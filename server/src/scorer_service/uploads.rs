//! Limits on arriving videos: their number, their rate, and their memory together.
//!
//! A job takes its slot in the queue only once its video has arrived completely, so slow senders cannot block the scorer.
//! When no slot or memory is left for another upload, the slowest one is evicted, because a genuine sender uses all of its
//! bandwidth.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Largest number of concurrent uploads.
const MAX_UPLOADS: usize = 16;
/// Memory limit for all videos together, including those that wait to be scored.
const MAX_HELD_BYTES: usize = 1 << 30;
/// Minimum rate of an upload, in bytes per second.
const MIN_RATE: u64 = 16 << 10;
/// An upload at this rate or faster is never evicted, in bytes per second.
const SAFE_RATE: u64 = 256 << 10;
/// Age from which the rate of an upload is known.
const SETTLED: Duration = Duration::from_millis(250);
/// Time limit of an upload.
const MAX_TIME: Duration = Duration::from_secs(30 * 60);
/// Time limit for an evicted upload to free its memory.
const EVICTION_WITHIN: Duration = Duration::from_secs(1);

/// Reasons for ending an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Too few bytes arrived in this time.
    Slow(Duration),
    /// The upload exceeded the time limit.
    TooLong,
    /// Evicted for another upload as the slowest one.
    Evicted,
    /// All memory is in use by uploads that are fast enough, or by queued videos.
    NoMemory,
}

impl Ended {
    /// Message for the sender.
    pub(crate) fn message(self) -> String {
        match self {
            Self::Slow(window) => format!(
                "less than {} KiB of the body arrived in {:.1} s; send it faster, or send a shorter video",
                min_bytes_in(window) >> 10,
                window.as_secs_f64()
            ),
            Self::TooLong => format!(
                "the body took longer than {} minutes",
                MAX_TIME.as_secs() / 60
            ),
            Self::Evicted => {
                "the upload was the slowest one and made room for another; try again later"
                    .to_owned()
            }
            Self::NoMemory => format!(
                "the videos on the studio use all of their {} MiB; try again later",
                MAX_HELD_BYTES >> 20
            ),
        }
    }
}

/// All active uploads.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    active: Mutex<Vec<Arc<Progress>>>,
    used_bytes: AtomicUsize,
}

#[derive(Debug)]
struct Progress {
    started_at: Instant,
    bytes: AtomicU64,
    evicted: CancellationToken,
}

impl Progress {
    /// Rate in bytes per second; `None` until the upload is old enough.
    fn rate(&self, now: Instant) -> Option<u64> {
        let age = now.saturating_duration_since(self.started_at);
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX).max(1);
        let bytes = self.bytes.load(Ordering::Relaxed);
        (age >= SETTLED).then(|| bytes.saturating_mul(1000) / millis)
    }
}

impl Uploads {
    /// Begins an upload that must make progress in every `window`; `None` if all slots are in use by fast uploads.
    pub(crate) fn begin(self: &Arc<Self>, window: Duration) -> Option<Upload> {
        let mut active = self.lock();
        if active.len() >= MAX_UPLOADS && !evict_slowest(&mut active, None) {
            return None;
        }
        let progress = Arc::new(Progress {
            started_at: Instant::now(),
            bytes: AtomicU64::default(),
            evicted: CancellationToken::new(),
        });
        active.push(progress.clone());
        drop(active);
        Some(Upload {
            window,
            window_started_at: progress.started_at,
            window_bytes: 0,
            memory: MemoryLease {
                uploads: self.clone(),
                bytes: 0,
            },
            _entry: ActiveEntry(self.clone(), progress.clone()),
            progress,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Progress>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn min_bytes_in(window: Duration) -> u64 {
    let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    MIN_RATE.saturating_mul(millis) / 1000
}

fn evict_slowest(active: &mut Vec<Arc<Progress>>, except: Option<&Arc<Progress>>) -> bool {
    let now = Instant::now();
    let slowest = active
        .iter()
        .enumerate()
        .filter(|(_, one)| except.is_none_or(|except| !Arc::ptr_eq(one, except)))
        .filter_map(|(index, one)| Some((one.rate(now)?, index)))
        .filter(|(rate, _)| *rate < SAFE_RATE)
        .min();
    let Some((_, index)) = slowest else {
        return false;
    };
    active.remove(index).evicted.cancel();
    true
}

/// Memory of a video, released on drop.
#[derive(Debug)]
pub(crate) struct MemoryLease {
    uploads: Arc<Uploads>,
    bytes: usize,
}

impl MemoryLease {
    fn resize(&mut self, bytes: usize) -> bool {
        let used = &self.uploads.used_bytes;
        let fits = used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |all| {
                let all = all.saturating_sub(self.bytes).saturating_add(bytes);
                (bytes <= self.bytes || all <= MAX_HELD_BYTES).then_some(all)
            })
            .is_ok();
        if fits {
            self.bytes = bytes;
        }
        fits
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        self.uploads
            .used_bytes
            .fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// An active upload.
#[derive(Debug)]
pub(crate) struct Upload {
    window: Duration,
    window_started_at: Instant,
    window_bytes: u64,
    memory: MemoryLease,
    progress: Arc<Progress>,
    _entry: ActiveEntry,
}

/// An upload's entry in the list of active uploads, removed on drop.
#[derive(Debug)]
struct ActiveEntry(Arc<Uploads>, Arc<Progress>);

impl Drop for ActiveEntry {
    fn drop(&mut self) {
        self.0.lock().retain(|one| !Arc::ptr_eq(one, &self.1));
    }
}

impl Upload {
    /// Waits for the next piece while the upload is within its limits.
    pub(crate) async fn next<T>(&mut self, piece: impl Future<Output = T>) -> Result<T, Ended> {
        let window_ends_at = self.window_started_at + self.window;
        let times_out_at = self.progress.started_at + MAX_TIME;
        tokio::select! {
            biased;
            () = self.progress.evicted.cancelled() => Err(Ended::Evicted),
            piece = timeout_at(window_ends_at.min(times_out_at), piece) => piece.map_err(|_| {
                if window_ends_at < times_out_at {
                    Ended::Slow(self.window)
                } else {
                    Ended::TooLong
                }
            }),
        }
    }

    /// Records received bytes.
    pub(crate) fn record(&mut self, bytes: usize) -> Result<(), Ended> {
        let bytes = bytes as u64;
        self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.window_bytes += bytes;
        let now = Instant::now();
        if self.window_bytes >= min_bytes_in(self.window) {
            self.window_bytes = 0;
            self.window_started_at = now;
        } else if now >= self.window_started_at + self.window {
            return Err(Ended::Slow(self.window));
        }
        if now >= self.progress.started_at + MAX_TIME {
            return Err(Ended::TooLong);
        }
        Ok(())
    }

    /// Sets the memory that this upload uses. If too little is left, the slowest other upload is evicted.
    pub(crate) async fn set_memory(&mut self, bytes: usize) -> Result<(), Ended> {
        if self.memory.resize(bytes) {
            return Ok(());
        }
        let deadline = Instant::now() + EVICTION_WITHIN;
        let mut has_evicted = false;
        while Instant::now() < deadline {
            has_evicted |= evict_slowest(&mut self.memory.uploads.lock(), Some(&self.progress));
            if !has_evicted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            if self.memory.resize(bytes) {
                return Ok(());
            }
        }
        Err(Ended::NoMemory)
    }

    /// Ends a complete upload. The returned lease keeps its memory reserved.
    pub(crate) fn finish(self) -> MemoryLease {
        self.memory
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const WINDOW: Duration = Duration::from_millis(400);

    #[tokio::test]
    async fn the_slowest_upload_is_evicted_for_the_next_one() {
        let uploads = Arc::new(Uploads::default());
        let mut all: Vec<Upload> = (0..MAX_UPLOADS)
            .map(|_| uploads.begin(WINDOW).unwrap())
            .collect();
        assert!(uploads.begin(WINDOW).is_none(), "no rate is known yet");
        tokio::time::sleep(SETTLED).await;
        for (index, upload) in all.iter_mut().enumerate() {
            upload
                .record(if index == 3 { 10 } else { 1 << 30 })
                .unwrap();
        }
        let _next = uploads.begin(WINDOW).unwrap();
        for (index, upload) in all.iter_mut().enumerate() {
            let outcome = upload.next(std::future::ready(())).await;
            assert_eq!(outcome.is_err(), index == 3, "{index}");
        }
        assert!(uploads.begin(WINDOW).is_none(), "no other upload is slow");
    }

    #[tokio::test]
    async fn an_upload_below_the_minimum_rate_ends() {
        let uploads = Arc::new(Uploads::default());
        let mut drip = uploads.begin(WINDOW).unwrap();
        let mut steady = uploads.begin(WINDOW).unwrap();
        let mut ended = None;
        for tenth in 1..=9 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            steady.record(8 << 10).unwrap();
            if ended.is_none() && drip.record(1).is_err() {
                ended = Some(tenth);
            }
        }
        assert!(ended.is_some_and(|tenth| tenth >= 4), "{ended:?}");
        let waited = steady.next(std::future::pending::<()>()).await;
        assert_eq!(waited, Err(Ended::Slow(WINDOW)));
        assert!(Ended::Slow(WINDOW).message().contains("6 KiB"));
    }

    #[tokio::test]
    async fn memory_of_the_slowest_upload_goes_to_the_next_one() {
        let uploads = Arc::new(Uploads::default());
        let mut first = uploads.begin(10 * WINDOW).unwrap();
        let mut second = uploads.begin(10 * WINDOW).unwrap();
        first.set_memory(MAX_HELD_BYTES - 10).await.unwrap();
        assert_eq!(
            second.set_memory(11).await,
            Err(Ended::NoMemory),
            "not settled"
        );
        tokio::time::sleep(SETTLED).await;
        let waiting = tokio::spawn(async move { second.set_memory(11).await });
        assert_eq!(
            first.next(std::future::pending::<()>()).await,
            Err(Ended::Evicted)
        );
        drop(first);
        assert_eq!(waiting.await.unwrap(), Ok(()));
        assert_eq!(uploads.used_bytes.load(Ordering::Acquire), 0);
    }
}
