//! Limit on open connections, and the choice of the connection that is closed for a new one.
//!
//! Peers on one machine share an address, so the choice does not depend on addresses. A connection that waits for a request
//! costs its peer nothing to keep and little to open again: the one that has been idle for longest is closed. If all have a
//! request, the one whose peer has not read for longest is closed. WebSockets count, but they are never closed here: the
//! numbers of robots, of viewers and of connections without a hello are limited at their hello.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Time without progress of a write after which a connection may be closed for a new one.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// Open connections and their maximum number.
#[derive(Debug)]
pub(super) struct ConnectionLimit {
    max: usize,
    started: Instant,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<ConnectionState>>>,
}

/// State of one connection.
#[derive(Debug)]
struct ConnectionState {
    evicted: CancellationToken,
    /// Requests that are being answered.
    requests: AtomicUsize,
    /// Time of the end of the last request (ms).
    idle_since: AtomicU64,
    /// Time since which a write waits for the peer (ms); 0 while none waits.
    stalled_since: AtomicU64,
    is_upgraded: AtomicBool,
}

/// Permission for one open connection. It counts until this is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    number: u64,
    connection: Arc<ConnectionState>,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct ActiveRequest {
    limit: Arc<ConnectionLimit>,
    connection: Arc<ConnectionState>,
}

impl ConnectionLimit {
    /// A limit of `max` connections, at least one.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            started: Instant::now(),
            next: AtomicU64::default(),
            open: Mutex::default(),
        })
    }

    /// Admits a new connection, and closes another one for it if necessary. `None` if every connection is in use.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Arc<ConnectionPermit>> {
        let mut open = self.lock();
        if open.len() >= self.max && !self.evict(&mut open) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(ConnectionState {
            evicted: CancellationToken::new(),
            requests: AtomicUsize::default(),
            idle_since: AtomicU64::new(self.now()),
            stalled_since: AtomicU64::default(),
            is_upgraded: AtomicBool::default(),
        });
        open.insert(number, connection.clone());
        drop(open);
        Some(Arc::new(ConnectionPermit {
            limit: self.clone(),
            number,
            connection,
        }))
    }

    /// Closes one connection even below the limit, for use when file descriptors run out. `true` if one was closed.
    pub(super) fn evict_one(&self) -> bool {
        self.evict(&mut self.lock())
    }

    fn evict(&self, open: &mut HashMap<u64, Arc<ConnectionState>>) -> bool {
        let stalled_millis = u64::try_from(STALLED_AFTER.as_millis()).unwrap_or(u64::MAX);
        let latest = self.now().saturating_sub(stalled_millis);
        // Idle connections (rank 0) before stalled ones (rank 1), the oldest of each first.
        let candidate = open
            .iter()
            .filter(|(_, one)| !one.is_upgraded.load(Ordering::Acquire))
            .filter_map(|(number, one)| {
                if one.requests.load(Ordering::Acquire) == 0 {
                    return Some((0, one.idle_since.load(Ordering::Acquire), *number));
                }
                let since = one.stalled_since.load(Ordering::Acquire);
                (since > 0 && since <= latest).then_some((1, since, *number))
            })
            .min();
        let removed = candidate.and_then(|(_, _, number)| open.remove(&number));
        if let Some(removed) = &removed {
            removed.evicted.cancel();
        }
        removed.is_some()
    }

    /// Milliseconds since the start, never 0.
    fn now(&self) -> u64 {
        let passed = self.started.elapsed().as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<ConnectionState>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionPermit {
    /// Token that is cancelled when the connection must close for another one.
    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.connection.evicted
    }

    /// Begins a request.
    pub(super) fn begin_request(&self) -> ActiveRequest {
        self.connection.requests.fetch_add(1, Ordering::AcqRel);
        ActiveRequest {
            limit: self.limit.clone(),
            connection: self.connection.clone(),
        }
    }

    /// Records that a write waits for the peer, or that it does not wait any more.
    pub(super) fn set_stalled(&self, is_stalled: bool) {
        let since = &self.connection.stalled_since;
        if !is_stalled {
            since.store(0, Ordering::Release);
        } else if since.load(Ordering::Acquire) == 0 {
            since.store(self.limit.now(), Ordering::Release);
        }
    }

    /// Records that the connection has become a WebSocket.
    pub(super) fn set_upgraded(&self) {
        self.connection.is_upgraded.store(true, Ordering::Release);
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limit.lock().remove(&self.number);
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let now = self.limit.now();
        self.connection.idle_since.store(now, Ordering::Release);
        self.connection.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn pause() {
        std::thread::sleep(Duration::from_millis(5));
    }

    #[test]
    fn the_longest_idle_connection_is_closed_and_one_with_a_request_stays() {
        let limit = ConnectionLimit::new(3);
        let served = limit.admit().unwrap();
        let request = served.begin_request();
        pause();
        let idle = limit.admit().unwrap();
        pause();
        let socket = limit.admit().unwrap();
        socket.set_upgraded();
        pause();
        let fourth = limit.admit().unwrap();
        assert!(idle.evicted().is_cancelled());
        assert!(!served.evicted().is_cancelled() && !socket.evicted().is_cancelled());
        let _busy = fourth.begin_request();
        assert!(limit.admit().is_none(), "every connection has a request");
        drop(request);
        assert!(limit.admit().is_some());
        assert!(served.evicted().is_cancelled());
    }

    #[test]
    fn a_stalled_connection_is_closed_when_none_is_idle() {
        let limit = ConnectionLimit::new(1);
        let reader = limit.admit().unwrap();
        let _request = reader.begin_request();
        reader.set_stalled(true);
        assert!(limit.admit().is_none(), "it may only be slow");
        std::thread::sleep(STALLED_AFTER + Duration::from_millis(20));
        reader.set_stalled(true);
        assert!(limit.admit().is_some());
        assert!(reader.evicted().is_cancelled());
    }

    #[test]
    fn a_dropped_permit_frees_its_place() {
        let limit = ConnectionLimit::new(1);
        for _ in 0..3 {
            let permit = limit.admit().unwrap();
            let _busy = permit.begin_request();
        }
        assert!(limit.lock().is_empty());
    }
}
