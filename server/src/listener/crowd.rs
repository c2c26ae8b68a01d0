//! Everybody who is connected, and who goes when there is no room for the next.
//!
//! Peers on one machine share an address, so nobody is judged by where they come from. A connection that waits for a
//! request costs its peer nothing to keep and little to open again: the one that has waited longest goes. Where all
//! are being served, the one whose peer has taken nothing for longest goes. WebSockets are counted and never go: how
//! many robots, viewers and callers without a hello there can be is limited where they say hello.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// A peer that has taken nothing for this long may be sent away.
const STUCK: Duration = Duration::from_secs(1);

/// The connections.
#[derive(Debug)]
pub(super) struct Crowd {
    places: usize,
    started: Instant,
    next: AtomicU64,
    here: Mutex<HashMap<u64, Arc<Connection>>>,
}

/// What is known of one connection.
#[derive(Debug)]
struct Connection {
    cut: CancellationToken,
    /// Requests that are being answered.
    requests: AtomicUsize,
    /// Since when there are none (ms).
    idle_since: AtomicU64,
    /// Since when a write waits for the peer (ms); 0 while none does.
    stuck_since: AtomicU64,
    is_upgraded: AtomicBool,
}

/// A connection's place in the crowd, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    number: u64,
    connection: Arc<Connection>,
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub(super) struct Serving {
    crowd: Arc<Crowd>,
    connection: Arc<Connection>,
}

impl Crowd {
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            places: places.max(1),
            started: Instant::now(),
            next: AtomicU64::default(),
            here: Mutex::default(),
        })
    }

    /// A place for a new connection; another one goes for it if need be. `None` where everybody is being served well.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Arc<Place>> {
        let mut here = self.lock();
        if here.len() >= self.places && !self.send_one_away(&mut here) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            cut: CancellationToken::new(),
            requests: AtomicUsize::default(),
            idle_since: AtomicU64::new(self.now()),
            stuck_since: AtomicU64::default(),
            is_upgraded: AtomicBool::default(),
        });
        here.insert(number, connection.clone());
        drop(here);
        Some(Arc::new(Place {
            crowd: self.clone(),
            number,
            connection,
        }))
    }

    /// Makes room although there are places left, for want of descriptors. Whether somebody went.
    pub(super) fn make_room(&self) -> bool {
        self.send_one_away(&mut self.lock())
    }

    fn send_one_away(&self, here: &mut HashMap<u64, Arc<Connection>>) -> bool {
        let stuck = u64::try_from(STUCK.as_millis()).unwrap_or(u64::MAX);
        let latest = self.now().saturating_sub(stuck);
        let goes = here
            .iter()
            .filter(|(_, one)| !one.is_upgraded.load(Ordering::Acquire))
            .filter_map(|(number, one)| {
                if one.requests.load(Ordering::Acquire) == 0 {
                    return Some((0, one.idle_since.load(Ordering::Acquire), *number));
                }
                let since = one.stuck_since.load(Ordering::Acquire);
                (since > 0 && since <= latest).then_some((1, since, *number))
            })
            .min();
        let gone = goes.and_then(|(_, _, number)| here.remove(&number));
        if let Some(gone) = &gone {
            gone.cut.cancel();
        }
        gone.is_some()
    }

    /// Milliseconds since the start, never 0.
    fn now(&self) -> u64 {
        let passed = self.started.elapsed().as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Cancelled when others need the place.
    pub(super) fn cut(&self) -> &CancellationToken {
        &self.connection.cut
    }

    /// A request has come.
    pub(super) fn serve(&self) -> Serving {
        self.connection.requests.fetch_add(1, Ordering::AcqRel);
        Serving {
            crowd: self.crowd.clone(),
            connection: self.connection.clone(),
        }
    }

    /// Whether a write waits for the peer.
    pub(super) fn stuck(&self, is_stuck: bool) {
        let since = &self.connection.stuck_since;
        if !is_stuck {
            since.store(0, Ordering::Release);
        } else if since.load(Ordering::Acquire) == 0 {
            since.store(self.crowd.now(), Ordering::Release);
        }
    }

    /// It speaks WebSocket from now on.
    pub(super) fn upgraded(&self) {
        self.connection.is_upgraded.store(true, Ordering::Release);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.lock().remove(&self.number);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let now = self.crowd.now();
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
    fn whoever_has_waited_longest_goes_and_who_is_served_stays() {
        let crowd = Crowd::new(3);
        let served = crowd.admit().unwrap();
        let request = served.serve();
        pause();
        let idle = crowd.admit().unwrap();
        pause();
        let socket = crowd.admit().unwrap();
        socket.upgraded();
        pause();
        let fourth = crowd.admit().unwrap();
        assert!(idle.cut().is_cancelled());
        assert!(!served.cut().is_cancelled() && !socket.cut().is_cancelled());
        let _busy = fourth.serve();
        assert!(crowd.admit().is_none(), "everybody is served");
        drop(request);
        assert!(crowd.admit().is_some());
        assert!(served.cut().is_cancelled());
    }

    #[test]
    fn a_peer_that_takes_nothing_goes_when_nobody_is_idle() {
        let crowd = Crowd::new(1);
        let reader = crowd.admit().unwrap();
        let _request = reader.serve();
        reader.stuck(true);
        assert!(crowd.admit().is_none(), "it may just be slow");
        std::thread::sleep(STUCK + Duration::from_millis(20));
        reader.stuck(true);
        assert!(crowd.admit().is_some());
        assert!(reader.cut().is_cancelled());
    }

    #[test]
    fn a_place_is_given_back() {
        let crowd = Crowd::new(1);
        for _ in 0..3 {
            let place = crowd.admit().unwrap();
            let _busy = place.serve();
        }
        assert!(crowd.lock().is_empty());
    }
}
