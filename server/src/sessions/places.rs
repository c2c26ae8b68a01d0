//! The places of viewers and of robots: who gives way when all are taken. Time is handed in.
//!
//! Somebody who wants to see or stop a robot is not kept out by connections that merely sit there. In this order one gives
//! its place to a newcomer: one that is not heard any more, one that has never used its place, one that has not used it for
//! long, one of an address that has more places than the newcomer's. One that matters, a viewer that gave a running
//! instruction or a robot that works, does not give way while it is heard.

use crate::peer_address::PeerAddress;
use std::{cmp::Reverse, collections::HashMap, time::Duration};

/// A place that was not used for this long is one to give.
const USED_WITHIN: Duration = Duration::from_secs(60);

/// All places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this studio serves at most {limit} {what} at once; disconnect one or raise the limit")]
pub(crate) struct Full {
    /// Places that there are.
    pub(super) limit: usize,
    /// Peers that take them.
    pub(super) what: &'static str,
}

/// What is known of a peer that has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) address: PeerAddress,
    /// Nothing was heard for so long that it counts as gone; for how long.
    pub(super) absent_for: Option<Duration>,
    /// Since it took its place.
    pub(super) here_for: Duration,
    /// Since it used its place; `None` where it never has.
    pub(super) unused_for: Option<Duration>,
    /// It keeps its place while it is heard.
    pub(super) matters: bool,
}

/// The kind of reason, the places of the address, the time of the reason.
type Rank = (u8, Reverse<usize>, Reverse<Duration>);

impl Standing {
    /// The smaller, the sooner it gives way to a newcomer; `None` where it does not.
    fn rank(&self, counts: &Counts, first_use_within: Duration) -> Option<Rank> {
        let places = counts.of(self.address);
        if let Some(absent_for) = self.absent_for {
            return Some((0, Reverse(0), Reverse(absent_for)));
        }
        if self.matters {
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

/// The places of each address.
struct Counts {
    places: HashMap<PeerAddress, usize>,
    newcomer: PeerAddress,
}

impl Counts {
    fn of(&self, address: PeerAddress) -> usize {
        self.places.get(&address).copied().unwrap_or_default()
    }
}

/// The peer that gives way to a newcomer, by its place in `here`. One that has never used its place may have it for
/// `first_use_within`.
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
        .filter_map(|(place, one)| Some((one.rank(&counts, first_use_within)?, place)))
        .min()
        .map(|(_, place)| place)
}

/// Places that one address may have: half of them, or a single peer has all. Programs on this machine may have all, because
/// behind a proxy on it everybody comes from there.
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
            matters: false,
        }
    }

    #[test]
    fn one_that_is_not_heard_gives_way_first_then_the_one_of_least_use() {
        let absent = |absent_for| Standing {
            absent_for: Some(secs(absent_for)),
            matters: true,
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
            let place = goes_for(&here, 1);
            assert_eq!(place.and_then(|place| here.get(place)), Some(&goes));
            here.retain(|one| *one != goes);
        }
        assert_eq!(goes_for(&here, 1), None);
    }

    #[test]
    fn one_that_matters_and_one_that_has_just_come_stay() {
        let operator = Standing {
            unused_for: Some(secs(9999)),
            matters: true,
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
        // It would then have as many as the other has left.
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
