//! [`ClientSlots`]: how many may listen at once, in all and of one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::request::Parts;
use ipnet::IpNet;
use parking_lot::Mutex;

use crate::error::ConfigError;
use crate::live::LiveSettings;
use crate::live::problem;
use crate::place::Setting;
use crate::web::Problem;

/// The address of the other end of a request's connection. A server puts it into the request's extensions; that of axum
/// does so itself (`into_make_service_with_connect_info`). Without it there is only the limit in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// How many may listen at once.
#[derive(Debug)]
pub(super) struct ClientSlots {
    most: usize,
    most_of_one: usize,
    /// Whose `X-Forwarded-For` is believed.
    trusted: Vec<IpNet>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The slot of one client, until it is dropped.
#[derive(Debug)]
pub(super) struct ClientSlot {
    slots: Arc<ClientSlots>,
    address: Option<IpAddr>,
}

impl ClientSlots {
    pub(super) fn new(settings: &LiveSettings) -> Result<Self, ConfigError> {
        let network = |text: &String| {
            let network = text.parse::<IpNet>();
            let network = network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| {
                let setting = Setting::of("live", "trusted_proxies");
                ConfigError::new(setting, "no network such as 10.0.0.0/8", &**text)
            })
        };
        for (key, most) in [
            ("connections", settings.connections),
            ("connections_per_address", settings.connections_per_address),
        ] {
            if most == 0 {
                return Err(ConfigError::new(
                    Setting::of("live", key),
                    "not above zero",
                    "0",
                ));
            }
        }
        Ok(Self {
            most: settings.connections,
            most_of_one: settings.connections_per_address,
            trusted: settings
                .trusted_proxies
                .iter()
                .map(network)
                .collect::<Result<_, _>>()?,
            taken: Mutex::default(),
        })
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.lock().all
    }

    /// A slot for who asks by `request`.
    pub(super) fn take(self: &Arc<Self>, request: &Parts) -> Result<ClientSlot, Problem> {
        let address = self.address(request).map(network_of);
        let mut taken = self.taken.lock();
        if taken.all >= self.most {
            return Err(problem::too_many());
        }
        if let Some(address) = address {
            let of_one = taken.by_address.entry(address).or_default();
            if *of_one >= self.most_of_one {
                return Err(problem::too_many_of_one());
            }
            *of_one += 1;
        }
        taken.all += 1;
        Ok(ClientSlot {
            slots: Arc::clone(self),
            address,
        })
    }

    /// Who asks: the last one of `X-Forwarded-For` that is no trusted proxy, if one of those has connected.
    fn address(&self, request: &Parts) -> Option<IpAddr> {
        let mut address = peer_of(request)?.to_canonical();
        let is_trusted = |address: &IpAddr| self.trusted.iter().any(|net| net.contains(address));
        let lines = request.headers.get_all("x-forwarded-for").iter();
        // What cannot be read ends the list: what stands before it may be anybody's.
        let lines: Vec<_> = lines
            .map(|line| line.to_str().unwrap_or_default())
            .collect();
        let mut told = lines.iter().rev().flat_map(|line| line.rsplit(','));
        while is_trusted(&address)
            && let Some(before) = told.next().and_then(|text| parse(text.trim()))
        {
            address = before;
        }
        Some(address)
    }
}

#[cfg(feature = "axum")]
fn peer_of(request: &Parts) -> Option<IpAddr> {
    type Connected = axum::extract::ConnectInfo<std::net::SocketAddr>;
    let own = request.extensions.get::<ClientAddress>();
    let of_axum = || Some(request.extensions.get::<Connected>()?.0.ip());
    own.map(|own| own.0).or_else(of_axum)
}

#[cfg(not(feature = "axum"))]
fn peer_of(request: &Parts) -> Option<IpAddr> {
    let own = request.extensions.get::<ClientAddress>();
    own.map(|own| own.0)
}

/// An address, perhaps with a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>().ok();
    let with_port = || Some(text.parse::<std::net::SocketAddr>().ok()?.ip());
    Some(address.or_else(with_port)?.to_canonical())
}

/// What counts as one address: of IPv6 a network of 64 bits, which is what one customer has at least.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            Ipv6Addr::from(network).into()
        }
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(of_one) = taken.by_address.get_mut(&address)
        {
            *of_one -= 1;
            if *of_one == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(most: usize, of_one: usize) -> Arc<ClientSlots> {
        let settings = LiveSettings::open().connections(most, of_one);
        let settings = settings.trusted_proxies(["10.0.0.0/8", "::1"]);
        Arc::new(ClientSlots::new(&settings).unwrap())
    }

    fn request(peer: Option<&str>, forwarded: &[&str]) -> Parts {
        let mut request = http::Request::new(());
        for line in forwarded {
            let line = line.parse().unwrap();
            request.headers_mut().append("x-forwarded-for", line);
        }
        if let Some(peer) = peer {
            let address = ClientAddress(peer.parse().unwrap());
            request.extensions_mut().insert(address);
        }
        request.into_parts().0
    }

    #[test]
    fn a_client_is_the_last_one_that_no_trusted_proxy_is() {
        let slots = slots(1, 1);
        for (peer, forwarded, expected) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.1"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            (
                "10.0.0.1",
                &["203.0.113.9, 198.51.100.1, 10.0.0.2"],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                &["203.0.113.9", "198.51.100.1:443"],
                "198.51.100.1",
            ),
            ("10.0.0.1", &["[2001:db8::1]:9"], "2001:db8::1"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
        ] {
            let found = slots.address(&request(Some(peer), forwarded)).unwrap();
            assert_eq!(found.to_string(), expected, "{peer} {forwarded:?}");
        }
        assert_eq!(slots.address(&request(None, &["198.51.100.1"])), None);
    }

    #[test]
    fn a_place_is_free_again_when_its_client_has_gone() {
        let slots = slots(3, 2);
        let take = |peer: &str| slots.take(&request(Some(peer), &[]));
        let (first, second) = (take("192.0.2.1").unwrap(), take("192.0.2.1").unwrap());
        assert!(take("192.0.2.1").is_err());
        let third = take("2001:db8::1").unwrap();
        assert!(take("198.51.100.1").is_err(), "in all");
        drop(first);
        let fourth = take("2001:db8::2:1").unwrap();
        drop(second);
        assert!(take("2001:db8::3").is_err(), "one network");
        drop((third, fourth));
        assert_eq!(slots.taken(), 0);
        assert!(slots.taken.lock().by_address.is_empty());
    }
}
