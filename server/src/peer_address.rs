//! The address of a peer, as it counts where peers share something.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Bits of an IPv6 address that are one network: its owner has all addresses beneath.
const NETWORK_BITS: u32 = 64;

/// An IPv4 address or an IPv6 network of 64 bits. Peers behind one proxy or one router have one in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PeerAddress(IpAddr);

impl PeerAddress {
    /// That of peers whose address is not known.
    pub(crate) const UNKNOWN: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    pub(crate) fn new(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(ip) if !ip.is_loopback() => {
                let network = u128::from(ip) & (u128::MAX << (u128::BITS - NETWORK_BITS));
                IpAddr::V6(Ipv6Addr::from(network))
            }
            ip => ip,
        })
    }

    /// This machine: programs on it and, behind a proxy on it, everybody.
    pub(crate) fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(ip) if !ip.is_loopback() => write!(f, "{ip}/{NETWORK_BITS}"),
            ip => write!(f, "{ip}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_ipv6_network_is_one_peer_and_a_mapped_address_is_that_of_ipv4() {
        let words = |ip: &str| PeerAddress::new(ip.parse().unwrap()).to_string();
        assert_eq!(words("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(words("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
        assert_eq!(words("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(words("::1"), "::1");
        let local = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "192.0.2.7"];
        let local = local.map(|ip| PeerAddress::new(ip.parse().unwrap()).is_loopback());
        assert_eq!(local, [true, true, true, false]);
    }
}
