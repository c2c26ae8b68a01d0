//! All viewers of the studio.

use super::places::{Full, Standing, gives_way, places_for_one};
use crate::{
    connection_io::PeerActivity, limits::Limits, peer_address::PeerAddress, queues::outbox::Outbox,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// The place of one viewer.
#[derive(Debug)]
pub(crate) struct ViewerPlace {
    outbox: Arc<Outbox>,
    /// Number of the viewer, also as an operator.
    key: u64,
    address: PeerAddress,
    heard: Arc<PeerActivity>,
    taken_at: Instant,
    used_at: Mutex<Option<Instant>>,
    cut: CancellationToken,
}

impl ViewerPlace {
    pub(crate) fn new(
        outbox: Arc<Outbox>,
        key: u64,
        address: PeerAddress,
        heard: Arc<PeerActivity>,
    ) -> Arc<Self> {
        Arc::new(Self {
            outbox,
            key,
            address,
            heard,
            taken_at: Instant::now(),
            used_at: Mutex::default(),
            cut: CancellationToken::new(),
        })
    }

    /// Records that the viewer uses its place: it watched, commanded, stopped or asked.
    pub(crate) fn used(&self) {
        *self.used_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Queue of messages to the viewer.
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Cancelled when another viewer takes the place.
    pub(crate) fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    fn standing(&self, now: Instant, limits: &Limits, operators: &[u64]) -> Standing {
        let used_at = *self.used_at.lock().unwrap_or_else(PoisonError::into_inner);
        let silent_for = self.heard.silent_for();
        Standing {
            address: self.address,
            absent_for: Some(silent_for).filter(|silent| *silent >= limits.operator_gone_after),
            here_for: now.saturating_duration_since(self.taken_at),
            unused_for: used_at.map(|at| now.saturating_duration_since(at)),
            is_protected: operators.contains(&self.key),
        }
    }
}

/// The viewers, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Viewers(Vec<Arc<ViewerPlace>>);

impl Viewers {
    /// Adds a viewer. If there is no place, another viewer gives way, and the number of viewers stays the same. `operators`
    /// returns the viewers that gave a running instruction.
    ///
    /// # Errors
    /// [`Full`] when no viewer gives way.
    pub(super) fn add(
        &mut self,
        viewer: &Arc<ViewerPlace>,
        limits: &Limits,
        operators: impl FnOnce() -> Vec<u64>,
    ) -> Result<(), Full> {
        let address = viewer.address;
        let address_limit = places_for_one(limits.max_viewers, address);
        let here = self.0.iter().filter(|one| one.address == address).count();
        let has_its_share = here >= address_limit;
        if has_its_share || self.0.len() >= limits.max_viewers {
            let (operators, now) = (operators(), Instant::now());
            let candidates: Vec<_> = self
                .0
                .iter()
                .filter(|one| !has_its_share || one.address == address)
                .cloned()
                .collect();
            let standings: Vec<_> = candidates
                .iter()
                .map(|one| one.standing(now, limits, &operators))
                .collect();
            let index = gives_way(&standings, address, limits.hello_within);
            let Some(removed) = index.and_then(|index| candidates.get(index)) else {
                let (limit, what) = if self.0.len() >= limits.max_viewers {
                    (limits.max_viewers, "viewers")
                } else {
                    (address_limit, "viewers from one address")
                };
                return Err(Full { limit, what });
            };
            removed.cut.cancel();
            self.remove(&removed.outbox);
        }
        self.0.push(viewer.clone());
        Ok(())
    }

    /// Removes a viewer if it is still there.
    pub(super) fn remove(&mut self, outbox: &Arc<Outbox>) {
        self.0.retain(|other| !Arc::ptr_eq(&other.outbox, outbox));
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn outboxes(&self) -> impl Iterator<Item = &Arc<Outbox>> {
        self.0.iter().map(|viewer| &viewer.outbox)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use std::{
        net::{IpAddr, Ipv4Addr},
        time::Duration,
    };

    /// A viewer that took its place a minute ago.
    fn viewer(key: u64, ip: Ipv4Addr) -> Arc<ViewerPlace> {
        Arc::new(ViewerPlace {
            outbox: Arc::new(Outbox::new(1)),
            key,
            address: PeerAddress::new(IpAddr::V4(ip)),
            heard: Arc::default(),
            taken_at: Instant::now().checked_sub(Duration::from_secs(60)).unwrap(),
            used_at: Mutex::default(),
            cut: CancellationToken::new(),
        })
    }

    fn limits() -> Limits {
        Limits {
            max_viewers: 4,
            ..Limits::default()
        }
    }

    #[test]
    fn silent_viewers_give_way_and_operators_and_watchers_stay() {
        let limits = limits();
        let mut viewers = Viewers::default();
        let here: Vec<_> = (0..4).map(|key| viewer(key, Ipv4Addr::LOCALHOST)).collect();
        for one in &here {
            viewers.add(one, &limits, Vec::new).unwrap();
        }
        here[1].used();
        for key in 10..12 {
            let page = viewer(key, Ipv4Addr::LOCALHOST);
            page.used();
            viewers.add(&page, &limits, || vec![0]).unwrap();
            assert_eq!(viewers.count(), 4);
        }
        let cut: Vec<_> = here.iter().map(|one| one.cut().is_cancelled()).collect();
        assert_eq!(cut, [false, false, true, true]);
        let further = viewer(12, Ipv4Addr::LOCALHOST);
        let full = viewers.add(&further, &limits, || vec![0]).unwrap_err();
        assert_eq!((full.limit, full.what), (4, "viewers"));
        assert!(
            viewers
                .outboxes()
                .any(|one| Arc::ptr_eq(one, &here[0].outbox))
        );
    }

    #[test]
    fn one_address_does_not_get_all_places() {
        let limits = limits();
        let greedy = Ipv4Addr::new(192, 0, 2, 1);
        let mut viewers = Viewers::default();
        let mut refused = None;
        for key in 0..4 {
            let viewer = viewer(key, greedy);
            viewer.used();
            refused = viewers.add(&viewer, &limits, Vec::new).err();
        }
        assert_eq!(viewers.count(), 2);
        let refused = refused.unwrap();
        assert_eq!(
            (refused.limit, refused.what),
            (2, "viewers from one address")
        );
        let page = viewer(9, Ipv4Addr::new(192, 0, 2, 2));
        viewers.add(&page, &limits, Vec::new).unwrap();
        assert_eq!(viewers.count(), 3);
    }
}
