//! Connections that have not said hello: so many at once, shared among the addresses that they come from.
//!
//! A peer that means it says hello at once, a slow one within the time for it. Whoever enters a full room therefore always
//! gets a place, and one of those that wait at the address with the most gives it: an address that floods the room takes
//! places from itself. Of that address the younger half makes room, its oldest first. The older half keeps its places until
//! the time for a hello is over, so that a slow peer is not pushed out by those that came after it, and a flood cannot keep
//! a quick one out.

use crate::peer_address::PeerAddress;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// The room.
#[derive(Debug)]
pub(crate) struct WaitingRoom {
    places: usize,
    guests: Mutex<Guests>,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    /// In the order in which they came.
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    address: PeerAddress,
    sent_away: CancellationToken,
}

/// One who waits, until this is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    room: Arc<WaitingRoom>,
    number: u64,
    sent_away: CancellationToken,
}

impl WaitingRoom {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            places: places.max(1),
            guests: Mutex::default(),
        })
    }

    pub(super) fn enter(self: &Arc<Self>, address: PeerAddress) -> Guest {
        let mut guests = self.lock();
        while guests.waiting.len() >= self.places {
            let Some(place) = guests.goes_for(address) else {
                break;
            };
            guests.waiting.remove(place).sent_away.cancel();
        }
        let number = guests.next;
        guests.next += 1;
        let sent_away = CancellationToken::new();
        guests.waiting.push(Waiting {
            number,
            address,
            sent_away: sent_away.clone(),
        });
        drop(guests);
        Guest {
            room: self.clone(),
            number,
            sent_away,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guests {
    /// The place of the one that goes for a newcomer.
    fn goes_for(&self, newcomer: PeerAddress) -> Option<usize> {
        let mut counts = HashMap::from([(newcomer, 1_usize)]);
        for guest in &self.waiting {
            *counts.entry(guest.address).or_default() += 1;
        }
        let most = counts.values().max().copied()?;
        // Of several addresses with as many, the one that has waited longest. The newcomer may be alone with its address,
        // where all are; then nobody waits there.
        let has_most = |guest: &&Waiting| counts.get(&guest.address) == Some(&most);
        let address = self.waiting.iter().find(has_most)?.address;
        let waiting = || {
            self.waiting
                .iter()
                .enumerate()
                .filter(move |(_, guest)| guest.address == address)
        };
        let older_half = waiting().count() / 2;
        waiting().nth(older_half).map(|(place, _)| place)
    }
}

impl Guest {
    /// Cancelled when others need the place.
    pub(super) fn sent_away(&self) -> &CancellationToken {
        &self.sent_away
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.room
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

    fn is_there(guest: &Guest) -> bool {
        !guest.sent_away().is_cancelled()
    }

    #[test]
    fn a_flood_from_one_address_takes_places_from_itself() {
        let room = WaitingRoom::new(8);
        let slow: Vec<_> = (1..=3).map(|last| room.enter(address(last))).collect();
        let flood: Vec<_> = (0..1000).map(|_| room.enter(address(9))).collect();
        assert!(slow.iter().all(is_there));
        assert_eq!(flood.iter().filter(|guest| is_there(guest)).count(), 5);
        let late = room.enter(address(4));
        assert!(is_there(&late) && slow.iter().all(is_there));
    }

    #[test]
    fn at_one_address_the_older_half_keeps_its_places_and_the_newest_gets_one() {
        let room = WaitingRoom::new(8);
        let slow = room.enter(address(1));
        let mut flood = Vec::new();
        for _ in 0..1000 {
            flood.push(room.enter(address(1)));
            assert!(is_there(&slow) && flood.last().is_some_and(is_there));
        }
        // It is there for a while: so many newer ones it outlives.
        let quick = room.enter(address(1));
        flood.extend((0..3).map(|_| room.enter(address(1))));
        assert!(is_there(&quick));
        flood.push(room.enter(address(1)));
        assert!(!is_there(&quick));
    }

    #[test]
    fn where_all_are_from_elsewhere_the_longest_waiting_goes() {
        let room = WaitingRoom::new(2);
        let first = room.enter(address(1));
        let second = room.enter(address(2));
        let third = room.enter(address(3));
        assert!(!is_there(&first) && is_there(&second) && is_there(&third));
    }

    #[test]
    fn a_place_is_given_back() {
        let room = WaitingRoom::new(2);
        let [first, second] = [1, 1].map(|last| room.enter(address(last)));
        drop(first);
        let third = room.enter(address(1));
        assert!(is_there(&second) && is_there(&third));
        drop((second, third));
        assert!(room.lock().waiting.is_empty());
    }
}
