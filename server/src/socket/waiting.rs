//! Connections that have not said hello: as many as there is room for, and the newest of them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// The room. Whoever enters a full one sends the longest waiting away: a peer that means it says hello at once.
#[derive(Debug)]
pub(crate) struct WaitingRoom {
    places: usize,
    guests: Mutex<Guests>,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    waiting: VecDeque<(u64, CancellationToken)>,
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
            places,
            guests: Mutex::default(),
        })
    }

    pub(super) fn enter(self: &Arc<Self>) -> Guest {
        let mut guests = self.lock();
        while guests.waiting.len() >= self.places.max(1) {
            let Some((_, oldest)) = guests.waiting.pop_front() else {
                break;
            };
            oldest.cancel();
        }
        let number = guests.next;
        guests.next += 1;
        let sent_away = CancellationToken::new();
        guests.waiting.push_back((number, sent_away.clone()));
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
            .retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_waiting_goes_when_the_room_is_full() {
        let room = WaitingRoom::new(2);
        let first = room.enter();
        let second = room.enter();
        assert!(!first.sent_away().is_cancelled());
        let third = room.enter();
        assert!(first.sent_away().is_cancelled());
        drop(second);
        let fourth = room.enter();
        assert!(!third.sent_away().is_cancelled());
        drop(first);
        assert_eq!(room.lock().waiting.len(), 2);
        drop((third, fourth));
        assert!(room.lock().waiting.is_empty());
    }
}
