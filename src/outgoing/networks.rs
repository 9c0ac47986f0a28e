//! Which addresses are public, by IANA's registries of those that are not (RFC 6890).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Some that the registry calls reachable are here too: nobody has an endpoint in a block for protocols.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 31, 196, 0, 24), "reserved for protocols"),
    (v4(192, 52, 193, 0, 24), "reserved for protocols"),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(192, 175, 48, 0, 24), "reserved for protocols"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// In the order in which they are asked: a part before the whole.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (v6([0; 8], 128), "unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "for discarding"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "a Teredo tunnel"),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), "for benchmarks"),
    (
        v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
        "reserved for protocols",
    ),
    (
        v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
        "for documentation",
    ),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "a 6to4 tunnel"),
    (
        v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48),
        "reserved for protocols",
    ),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "for documentation"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "unique local"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

/// All that is given out of IPv6 (RFC 4291 §2.4).
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
/// What a network without IPv4 reaches IPv4 by (RFC 6052 §2.1). A prefix that is used only locally (RFC 8215) is not here.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// Whom `address` reaches: that of IPv4 within one of IPv6 which is mapped or behind NAT64, otherwise itself.
pub(super) fn meant(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if NAT64.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        canonical => canonical,
    }
}

/// Why `address`, as it is [meant], is not public.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => {
            let mut blocks = SPECIAL_V4.iter();
            let block = blocks.find(|(block, _)| block.contains(&v4));
            block.map(|(_, what)| *what)
        }
        IpAddr::V6(v6) => {
            let mut blocks = SPECIAL_V6.iter();
            let block = blocks.find(|(block, _)| block.contains(&v6));
            let other = || (!GLOBAL_UNICAST.contains(&v6)).then_some("not global unicast");
            block.map(|(_, what)| *what).or_else(other)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Option<&'static str> {
        special(meant(text.parse().unwrap()))
    }

    fn check(rows: &[(&str, &[&str])]) {
        for (what, addresses) in rows {
            for address in *addresses {
                assert_eq!(class(address), Some(*what), "{address}");
            }
        }
    }

    #[test]
    fn addresses_of_ipv4_that_are_not_everybodys_are_known() {
        check(&[
            ("unspecified", &["0.0.0.0", "0.255.255.255"]),
            ("private", &["10.0.0.0", "10.255.255.255", "172.16.0.1"]),
            (
                "private",
                &["172.31.255.255", "192.168.0.1", "192.168.255.255"],
            ),
            ("shared", &["100.64.0.0", "100.127.255.255"]),
            ("loopback", &["127.0.0.1", "127.255.255.255"]),
            ("link-local", &["169.254.0.0", "169.254.169.254"]),
            ("reserved for protocols", &["192.0.0.8", "192.31.196.1"]),
            ("reserved for protocols", &["192.52.193.1", "192.175.48.1"]),
            ("for documentation", &["192.0.2.1", "198.51.100.1"]),
            ("for documentation", &["203.0.113.255"]),
            ("a 6to4 relay", &["192.88.99.1"]),
            ("for benchmarks", &["198.18.0.1", "198.19.255.255"]),
            ("multicast", &["224.0.0.1", "239.255.255.255"]),
            ("broadcast", &["255.255.255.255"]),
            ("reserved", &["240.0.0.1", "255.255.255.254"]),
        ]);
    }

    #[test]
    fn addresses_of_ipv6_that_are_not_everybodys_are_known() {
        check(&[
            ("unspecified", &["::"]),
            (
                "loopback",
                &["::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"],
            ),
            ("private", &["::ffff:192.168.0.1", "64:ff9b::10.0.0.1"]),
            ("link-local", &["fe80::1", "febf::1", "::ffff:a9fe:a9fe"]),
            ("reserved for protocols", &["2001:20::1", "2001:1ff::1"]),
            ("reserved for protocols", &["2620:4f:8000::1"]),
            (
                "for documentation",
                &["2001:db8::1", "3fff::1", "3fff:fff::1"],
            ),
            ("a 6to4 tunnel", &["2002:7f00:1::1", "2002:808:808::1"]),
            ("a Teredo tunnel", &["2001:0:7f00:1::1"]),
            ("for benchmarks", &["2001:2::1"]),
            ("multicast", &["ff02::1", "ff0e::1"]),
            ("for discarding", &["100::1"]),
            ("unique local", &["fc00::1", "fdff::1"]),
            // IPv4-compatible, NAT64 that is local, segment routing, site-local, and what nobody has.
            ("not global unicast", &["::8.8.8.8", "64:ff9b:1::808:808"]),
            ("not global unicast", &["5f00::1", "fec0::1", "4000::1"]),
            ("not global unicast", &["1fff::1", "::2"]),
        ]);
    }

    #[test]
    fn addresses_of_everybody_pass() {
        let passing = "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.1.1.1 128.0.0.1 169.253.1.1 \
                       172.15.255.255 172.32.0.0 192.0.1.1 192.167.1.1 198.17.1.1 198.20.0.0 223.255.255.255 \
                       2606:4700::1111 2a00::1 2001:200::1 2001:4860:4860::8888 2003::1 3fff:1000::1 \
                       ::ffff:8.8.8.8 64:ff9b::8.8.8.8";
        for address in passing.split(' ') {
            assert_eq!(class(address), None, "{address}");
        }
    }
}
