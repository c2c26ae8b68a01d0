//! Address of a peer, as it is counted for limits that peers share.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Length of an IPv6 network prefix: one host can use all addresses of such a network.
const NETWORK_BITS: u32 = 64;

/// IPv4 address, or IPv6 network of 64 bits. Peers behind one proxy or one router share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PeerAddress(IpAddr);

impl PeerAddress {
    /// Address of peers whose address is unknown.
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

    /// True for this machine: its programs, and all peers behind a proxy on it.
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
        let text = |ip: &str| PeerAddress::new(ip.parse().unwrap()).to_string();
        assert_eq!(text("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(text("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
        assert_eq!(text("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(text("::1"), "::1");
        let local = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "192.0.2.7"];
        let local = local.map(|ip| PeerAddress::new(ip.parse().unwrap()).is_loopback());
        assert_eq!(local, [true, true, true, false]);
    }
}
