//! Which listeners are in each other's way.

use std::net::{IpAddr, SocketAddr};

/// Whether one of the two cannot be bound. (Both families on one port depend on the system.)
pub(crate) fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let any = a.ip().is_unspecified() || b.ip().is_unspecified();
    let same = a.ip() == b.ip() || any && a.is_ipv4() == b.is_ipv4();
    a.port() != 0 && a.port() == b.port() && same
}

/// Whether who connects to `to` on this machine arrives at a listener on `at`.
pub(super) fn takes(at: SocketAddr, to: SocketAddr) -> bool {
    let own = match at.ip() {
        ip if ip == to.ip() => true,
        IpAddr::V4(ip) => ip.is_unspecified() && to.ip().is_loopback() && to.is_ipv4(),
        IpAddr::V6(ip) => ip.is_unspecified() && to.ip().is_loopback(),
    };
    own && at.port() != 0 && at.port() == to.port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_113_listeners_that_cannot_both_be_are_told_apart_from_those_that_can() {
        for (a, b, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("[::1]:80", "127.0.0.1:80", false),
            ("[::]:80", "[::1]:80", true),
        ] {
            let (first, second) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(clash(first, second), expected, "{a} {b}");
            assert_eq!(clash(second, first), expected, "{b} {a}");
        }
    }
}
