//! Limit on connections that have not sent a hello, shared among the addresses that they come from.
//!
//! A normal peer sends its hello at once, a slow one within the time limit. A new connection is therefore always admitted, and
//! one of the waiting connections of the address that has most of them is closed: an address that floods the limit displaces
//! its own connections. Of that address, the oldest of the younger half is closed. The older half stays until its time for a
//! hello is over, so that later connections do not displace a slow peer and a flood does not lock out a quick one.

use crate::peer_address::PeerAddress;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// Connections without a hello and their maximum number.
#[derive(Debug)]
pub(crate) struct UngreetedLimit {
    max: usize,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    next: u64,
    /// In order of arrival.
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    address: PeerAddress,
    evicted: CancellationToken,
}

/// Permission for one connection without a hello. It counts until this is dropped.
#[derive(Debug)]
pub(super) struct UngreetedPermit {
    limit: Arc<UngreetedLimit>,
    number: u64,
    evicted: CancellationToken,
}

impl UngreetedLimit {
    /// A limit of `max` connections, at least one.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            connections: Mutex::default(),
        })
    }

    /// Admits a new connection, and closes others for it if necessary.
    pub(super) fn admit(self: &Arc<Self>, address: PeerAddress) -> UngreetedPermit {
        let mut connections = self.lock();
        while connections.waiting.len() >= self.max {
            let Some(index) = connections.to_evict_for(address) else {
                break;
            };
            connections.waiting.remove(index).evicted.cancel();
        }
        let number = connections.next;
        connections.next += 1;
        let evicted = CancellationToken::new();
        connections.waiting.push(Waiting {
            number,
            address,
            evicted: evicted.clone(),
        });
        drop(connections);
        UngreetedPermit {
            limit: self.clone(),
            number,
            evicted,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// Index of the connection to close for a new one from `newcomer`.
    fn to_evict_for(&self, newcomer: PeerAddress) -> Option<usize> {
        let mut counts = HashMap::from([(newcomer, 1_usize)]);
        for one in &self.waiting {
            *counts.entry(one.address).or_default() += 1;
        }
        let most = counts.values().max().copied()?;
        // Among several addresses with this number, the one whose connection has waited longest. If each connection has an
        // address of its own, the newcomer's address has that number too, but no waiting connection.
        let has_most = |one: &&Waiting| counts.get(&one.address) == Some(&most);
        let address = self.waiting.iter().find(has_most)?.address;
        let of_address = || {
            self.waiting
                .iter()
                .enumerate()
                .filter(move |(_, one)| one.address == address)
        };
        let older_half = of_address().count() / 2;
        of_address().nth(older_half).map(|(index, _)| index)
    }
}

impl UngreetedPermit {
    /// Token that is cancelled when the connection must close for another one.
    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.evicted
    }
}

impl Drop for UngreetedPermit {
    fn drop(&mut self) {
        self.limit
            .lock()
            .waiting
            .retain(|waiting| waiting.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn address(last: u8) -> PeerAddress {
        PeerAddress::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    fn is_open(permit: &UngreetedPermit) -> bool {
        !permit.evicted().is_cancelled()
    }

    #[test]
    fn a_flood_from_one_address_displaces_its_own_connections() {
        let limit = UngreetedLimit::new(8);
        let slow: Vec<_> = (1..=3).map(|last| limit.admit(address(last))).collect();
        let flood: Vec<_> = (0..1000).map(|_| limit.admit(address(9))).collect();
        assert!(slow.iter().all(is_open));
        assert_eq!(flood.iter().filter(|permit| is_open(permit)).count(), 5);
        let late = limit.admit(address(4));
        assert!(is_open(&late) && slow.iter().all(is_open));
    }

    #[test]
    fn at_one_address_the_older_half_stays_and_the_newest_is_admitted() {
        let limit = UngreetedLimit::new(8);
        let slow = limit.admit(address(1));
        let mut flood = Vec::new();
        for _ in 0..1000 {
            flood.push(limit.admit(address(1)));
            assert!(is_open(&slow) && flood.last().is_some_and(is_open));
        }
        // It stays open for as many newer connections as the younger half has places.
        let quick = limit.admit(address(1));
        flood.extend((0..3).map(|_| limit.admit(address(1))));
        assert!(is_open(&quick));
        flood.push(limit.admit(address(1)));
        assert!(!is_open(&quick));
    }

    #[test]
    fn if_every_connection_has_its_own_address_the_longest_waiting_is_closed() {
        let limit = UngreetedLimit::new(2);
        let first = limit.admit(address(1));
        let second = limit.admit(address(2));
        let third = limit.admit(address(3));
        assert!(!is_open(&first) && is_open(&second) && is_open(&third));
    }

    #[test]
    fn a_dropped_permit_frees_its_place() {
        let limit = UngreetedLimit::new(2);
        let [first, second] = [1, 1].map(|last| limit.admit(address(last)));
        drop(first);
        let third = limit.admit(address(1));
        assert!(is_open(&second) && is_open(&third));
        drop((second, third));
        assert!(limit.lock().waiting.is_empty());
    }
}
