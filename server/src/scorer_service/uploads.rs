//! Videos that are arriving: how many, how slowly, and how much memory they hold together.
//!
//! A place among the jobs is taken when a video is whole, so nobody closes the scorer by sending slowly. Where there
//! is no room for the next upload, or no memory, the slowest goes: who means it sends as fast as the line allows.

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

/// Uploads at once.
const MAX_UPLOADS: usize = 16;
/// Memory of all videos together, those that wait to be scored among them.
const MAX_HELD_BYTES: usize = 1 << 30;
/// Slower than this an upload does not go on [bytes per second].
const MIN_RATE: u64 = 16 << 10;
/// Faster than this it never goes for another one.
const SAFE_RATE: u64 = 256 << 10;
/// An upload has a rate after this.
const SETTLED: Duration = Duration::from_millis(250);
/// No upload takes longer.
const MAX_TIME: Duration = Duration::from_secs(30 * 60);
/// How long memory that somebody must give up is waited for.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(1);

/// Why an upload ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Too little came in this time.
    Slow(Duration),
    /// It took longer than any may.
    TooLong,
    /// Others came, and this was the slowest.
    SentAway,
    /// All memory is taken by others that are quick enough.
    NoMemory,
}

impl Ended {
    /// In words for whoever sends.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Slow(window) => format!(
                "less than {} KiB of the body came in {:.1} s; send it faster, or a shorter video",
                enough_in(window) >> 10,
                window.as_secs_f64()
            ),
            Self::TooLong => format!(
                "the body took longer than {} minutes",
                MAX_TIME.as_secs() / 60
            ),
            Self::SentAway => {
                "others want to send a video too, and this one came slowest; try again later"
                    .to_owned()
            }
            Self::NoMemory => format!(
                "the videos that are here take all of the {} MiB for them; try again later",
                MAX_HELD_BYTES >> 20
            ),
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    here: Mutex<Vec<Arc<Progress>>>,
    held: AtomicUsize,
}

#[derive(Debug)]
struct Progress {
    began: Instant,
    bytes: AtomicU64,
    sent_away: CancellationToken,
}

impl Progress {
    /// Bytes per second, once that can be said.
    fn rate(&self, now: Instant) -> Option<u64> {
        let age = now.saturating_duration_since(self.began);
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX).max(1);
        let bytes = self.bytes.load(Ordering::Relaxed);
        (age >= SETTLED).then(|| bytes.saturating_mul(1000) / millis)
    }
}

impl Uploads {
    /// A place for one more; `None` where all others are quick. In each `window` some of it must come.
    pub(crate) fn begin(self: &Arc<Self>, window: Duration) -> Option<Upload> {
        let mut here = self.lock();
        if here.len() >= MAX_UPLOADS && !send_slowest_away(&mut here, None) {
            return None;
        }
        let progress = Arc::new(Progress {
            began: Instant::now(),
            bytes: AtomicU64::default(),
            sent_away: CancellationToken::new(),
        });
        here.push(progress.clone());
        drop(here);
        Some(Upload {
            window,
            window_began: progress.began,
            window_bytes: 0,
            held: Held {
                uploads: self.clone(),
                bytes: 0,
            },
            _listed: Listed(self.clone(), progress.clone()),
            progress,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Progress>>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn enough_in(window: Duration) -> u64 {
    let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    MIN_RATE.saturating_mul(millis) / 1000
}

fn send_slowest_away(here: &mut Vec<Arc<Progress>>, but: Option<&Arc<Progress>>) -> bool {
    let now = Instant::now();
    let slowest = here
        .iter()
        .enumerate()
        .filter(|(_, one)| but.is_none_or(|but| !Arc::ptr_eq(one, but)))
        .filter_map(|(place, one)| Some((one.rate(now)?, place)))
        .filter(|(rate, _)| *rate < SAFE_RATE)
        .min();
    let Some((_, place)) = slowest else {
        return false;
    };
    here.remove(place).sent_away.cancel();
    true
}

/// Memory that a video takes, until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    uploads: Arc<Uploads>,
    bytes: usize,
}

impl Held {
    fn resize(&mut self, bytes: usize) -> bool {
        let held = &self.uploads.held;
        let fits = held
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

impl Drop for Held {
    fn drop(&mut self) {
        self.uploads.held.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// One that is arriving.
#[derive(Debug)]
pub(crate) struct Upload {
    window: Duration,
    window_began: Instant,
    window_bytes: u64,
    held: Held,
    progress: Arc<Progress>,
    _listed: Listed,
}

/// An upload's entry among those that are arriving, until this is dropped.
#[derive(Debug)]
struct Listed(Arc<Uploads>, Arc<Progress>);

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.lock().retain(|one| !Arc::ptr_eq(one, &self.1));
    }
}

impl Upload {
    /// Waits for the next piece, as long as the upload may go on.
    pub(crate) async fn next<T>(&mut self, piece: impl Future<Output = T>) -> Result<T, Ended> {
        let slow = self.window_began + self.window;
        let too_long = self.progress.began + MAX_TIME;
        tokio::select! {
            biased;
            () = self.progress.sent_away.cancelled() => Err(Ended::SentAway),
            piece = timeout_at(slow.min(too_long), piece) => piece.map_err(|_| {
                if slow < too_long {
                    Ended::Slow(self.window)
                } else {
                    Ended::TooLong
                }
            }),
        }
    }

    /// Bytes have come.
    pub(crate) fn came(&mut self, bytes: usize) -> Result<(), Ended> {
        let bytes = bytes as u64;
        self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.window_bytes += bytes;
        let now = Instant::now();
        if self.window_bytes >= enough_in(self.window) {
            self.window_bytes = 0;
            self.window_began = now;
        } else if now >= self.window_began + self.window {
            return Err(Ended::Slow(self.window));
        }
        if now >= self.progress.began + MAX_TIME {
            return Err(Ended::TooLong);
        }
        Ok(())
    }

    /// So much memory is held from now on. More than there is left costs the slowest of the others its place.
    pub(crate) async fn hold(&mut self, bytes: usize) -> Result<(), Ended> {
        if self.held.resize(bytes) {
            return Ok(());
        }
        let until = Instant::now() + GIVEN_UP_WITHIN;
        let mut waits = false;
        while Instant::now() < until {
            waits |= send_slowest_away(&mut self.held.uploads.lock(), Some(&self.progress));
            if !waits {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            if self.held.resize(bytes) {
                return Ok(());
            }
        }
        Err(Ended::NoMemory)
    }

    /// It is whole; what it holds goes on being held.
    pub(crate) fn end(self) -> Held {
        self.held
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const WINDOW: Duration = Duration::from_millis(400);

    #[tokio::test]
    async fn the_slowest_goes_for_the_next_and_the_quick_stay() {
        let uploads = Arc::new(Uploads::default());
        let mut all: Vec<Upload> = (0..MAX_UPLOADS)
            .map(|_| uploads.begin(WINDOW).unwrap())
            .collect();
        assert!(uploads.begin(WINDOW).is_none(), "all have just begun");
        tokio::time::sleep(SETTLED).await;
        for (place, upload) in all.iter_mut().enumerate() {
            upload.came(if place == 3 { 10 } else { 1 << 30 }).unwrap();
        }
        let _next = uploads.begin(WINDOW).unwrap();
        for (place, upload) in all.iter_mut().enumerate() {
            let told = upload.next(std::future::ready(())).await;
            assert_eq!(told.is_err(), place == 3, "{place}");
        }
        assert!(uploads.begin(WINDOW).is_none(), "nobody else is slow");
    }

    #[tokio::test]
    async fn drips_end_and_a_steady_line_does_not() {
        let uploads = Arc::new(Uploads::default());
        let mut drip = uploads.begin(WINDOW).unwrap();
        let mut steady = uploads.begin(WINDOW).unwrap();
        let mut ended = None;
        for tenth in 1..=9 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            steady.came(8 << 10).unwrap();
            if ended.is_none() && drip.came(1).is_err() {
                ended = Some(tenth);
            }
        }
        assert!(ended.is_some_and(|tenth| tenth >= 4), "{ended:?}");
        let waited = steady.next(std::future::pending::<()>()).await;
        assert_eq!(waited, Err(Ended::Slow(WINDOW)));
        assert!(Ended::Slow(WINDOW).words().contains("6 KiB"));
    }

    #[tokio::test]
    async fn memory_is_taken_from_the_slowest_and_given_back() {
        let uploads = Arc::new(Uploads::default());
        let mut first = uploads.begin(10 * WINDOW).unwrap();
        let mut second = uploads.begin(10 * WINDOW).unwrap();
        first.hold(MAX_HELD_BYTES - 10).await.unwrap();
        assert_eq!(second.hold(11).await, Err(Ended::NoMemory), "not settled");
        tokio::time::sleep(SETTLED).await;
        let asked = tokio::spawn(async move { second.hold(11).await });
        assert_eq!(
            first.next(std::future::pending::<()>()).await,
            Err(Ended::SentAway)
        );
        drop(first);
        assert_eq!(asked.await.unwrap(), Ok(()));
        assert_eq!(uploads.held.load(Ordering::Acquire), 0);
    }
}
