//! The choice of the peer that gives its place to a newcomer when all places of viewers or robots are taken. Time is
//! passed in.
//!
//! Idle connections must not keep out a person who has to see or stop a robot. In this order a peer gives its place to a
//! newcomer: one that is silent, one that has never used its place, one that has not used it for long, one of an address
//! that has more places than the newcomer's. A protected peer, which is a viewer that gave a running instruction or a robot
//! that sends, keeps its place until it is silent.

use crate::peer_address::PeerAddress;
use std::{cmp::Reverse, collections::HashMap, time::Duration};

/// A place that was not used for this long may be given to a newcomer.
const USED_WITHIN: Duration = Duration::from_secs(60);

/// All places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this studio serves at most {limit} {what} at once; disconnect one or raise the limit")]
pub(crate) struct Full {
    /// Number of places.
    pub(super) limit: usize,
    /// The kind of peer, as plural nouns: `viewers`.
    pub(super) what: &'static str,
}

/// Facts about a peer that has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) address: PeerAddress,
    /// Length of its silence, if it is so long that the peer counts as gone.
    pub(super) absent_for: Option<Duration>,
    /// Time since it took its place.
    pub(super) here_for: Duration,
    /// Time since it last used its place; `None` if it never has.
    pub(super) unused_for: Option<Duration>,
    /// True if it keeps its place until it is silent.
    pub(super) is_protected: bool,
}

/// Kind of reason, places of the address, duration of the reason.
type Rank = (u8, Reverse<usize>, Reverse<Duration>);

impl Standing {
    /// Order in which peers give way, the smallest first; `None` for a peer that does not.
    fn rank(&self, counts: &Counts, first_use_within: Duration) -> Option<Rank> {
        let places = counts.of(self.address);
        if let Some(absent_for) = self.absent_for {
            return Some((0, Reverse(0), Reverse(absent_for)));
        }
        if self.is_protected {
            return None;
        }
        let (rank, since) = match self.unused_for {
            None if self.here_for >= first_use_within => (1, self.here_for),
            Some(unused_for) if unused_for >= USED_WITHIN => (2, unused_for),
            _ if places > counts.of(counts.newcomer) + 1 => {
                (3, self.unused_for.unwrap_or(self.here_for))
            }
            _ => return None,
        };
        Some((rank, Reverse(places), Reverse(since)))
    }
}

/// Number of places of each address.
struct Counts {
    places: HashMap<PeerAddress, usize>,
    newcomer: PeerAddress,
}

impl Counts {
    fn of(&self, address: PeerAddress) -> usize {
        self.places.get(&address).copied().unwrap_or_default()
    }
}

/// Returns the index in `here` of the peer that gives way to a newcomer. A peer that has never used its place may keep it
/// for `first_use_within`.
pub(super) fn gives_way(
    here: &[Standing],
    newcomer: PeerAddress,
    first_use_within: Duration,
) -> Option<usize> {
    let mut places = HashMap::<PeerAddress, usize>::new();
    for one in here {
        *places.entry(one.address).or_default() += 1;
    }
    let counts = Counts { places, newcomer };
    here.iter()
        .enumerate()
        .filter_map(|(index, one)| Some((one.rank(&counts, first_use_within)?, index)))
        .min()
        .map(|(_, index)| index)
}

/// Places that one address may have: half of them, so that no single address takes all. The loopback address may have all
/// of them, because behind a proxy on this machine all peers have it.
pub(super) fn places_for_one(places: usize, address: PeerAddress) -> usize {
    if address.is_loopback() {
        places
    } else {
        places.div_ceil(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn address(last: u8) -> PeerAddress {
        PeerAddress::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    fn goes_for(here: &[Standing], last: u8) -> Option<usize> {
        gives_way(here, address(last), secs(10))
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// A viewer that has been watching for a quarter of a minute.
    fn watching(last: u8) -> Standing {
        Standing {
            address: address(last),
            absent_for: None,
            here_for: secs(15),
            unused_for: Some(secs(15)),
            is_protected: false,
        }
    }

    #[test]
    fn a_silent_peer_gives_way_first_then_the_one_that_uses_its_place_least() {
        let absent = |absent_for| Standing {
            absent_for: Some(secs(absent_for)),
            is_protected: true,
            ..watching(1)
        };
        let never = |here_for| Standing {
            here_for: secs(here_for),
            unused_for: None,
            ..watching(1)
        };
        let idle = |unused_for| Standing {
            here_for: secs(9999),
            unused_for: Some(secs(unused_for)),
            ..watching(1)
        };
        let mut here = vec![
            watching(1),
            idle(61),
            idle(600),
            never(11),
            never(300),
            absent(3),
            absent(9),
        ];
        for goes in [
            absent(9),
            absent(3),
            never(300),
            never(11),
            idle(600),
            idle(61),
        ] {
            let index = goes_for(&here, 1);
            assert_eq!(index.and_then(|index| here.get(index)), Some(&goes));
            here.retain(|one| *one != goes);
        }
        assert_eq!(goes_for(&here, 1), None);
    }

    #[test]
    fn a_protected_peer_and_one_that_has_just_come_stay() {
        let operator = Standing {
            unused_for: Some(secs(9999)),
            is_protected: true,
            ..watching(1)
        };
        let new = Standing {
            here_for: secs(9),
            unused_for: None,
            ..watching(1)
        };
        assert_eq!(goes_for(&[operator, new, watching(1)], 1), None);
    }

    #[test]
    fn an_address_with_many_places_gives_one_to_an_address_with_fewer() {
        let here = [watching(1), watching(2), watching(2), watching(3)];
        assert_eq!(goes_for(&here, 4), Some(1));
        // Afterwards address 3 would have two places and address 2 one.
        assert_eq!(goes_for(&here, 3), None);
        assert_eq!(goes_for(&here, 2), None);
        let mut unused = here;
        for one in &mut unused {
            *one = Standing {
                here_for: secs(60),
                unused_for: None,
                ..*one
            };
        }
        assert_eq!(goes_for(&unused, 1), Some(1));
    }

    #[test]
    fn one_address_has_half_of_the_places_and_this_machine_all() {
        assert_eq!(places_for_one(256, address(1)), 128);
        assert_eq!(places_for_one(1, address(1)), 1);
        let local = PeerAddress::new(IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(places_for_one(256, local), 256);
    }
}
