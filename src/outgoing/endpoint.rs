//! [`EndpointRules`]: where requests may go. [`Endpoint`]: where one goes, which they let through.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::error::ConfigError;
use crate::outgoing::networks::{meant, special};
use crate::outgoing::settings::OutgoingSettings;
use crate::place::Setting;
use crate::spelling::shown;

/// Longer than any push service's.
const LONGEST_URL: usize = 2_048;

/// Where requests may go.
#[derive(Debug)]
pub(super) struct EndpointRules {
    plain: bool,
    /// Empty: all.
    hosts: Vec<AllowedHost>,
    networks: Vec<IpNet>,
}

#[derive(Debug)]
enum AllowedHost {
    Exactly(Host),
    /// What comes after the star, with its dot.
    Below(String),
}

/// The URL of a request that the rules let through. Only its origin is ever shown: the rest may be a secret.
#[derive(Clone)]
pub(super) struct Endpoint {
    url: Url,
    host: Host,
}

impl EndpointRules {
    pub(super) fn new(settings: &OutgoingSettings) -> Result<Self, ConfigError> {
        let hosts = settings.hosts.iter().map(|text| {
            AllowedHost::of(text).ok_or_else(|| {
                let setting = Setting::of("outgoing", "hosts");
                let why = "neither a host such as hooks.example.org nor one such as *.example.org";
                ConfigError::new(setting, why, &**text)
            })
        });
        let networks = settings.networks.iter().map(|text| {
            let network = text.parse::<IpNet>();
            let network = network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| {
                let setting = Setting::of("outgoing", "networks");
                ConfigError::new(setting, "no network such as 10.0.0.0/8", &**text)
            })
        });
        Ok(Self {
            plain: settings.allow_plain,
            hosts: hosts.collect::<Result<_, _>>()?,
            networks: networks.collect::<Result<_, _>>()?,
        })
    }

    /// Where `text` says a request goes, or why it may not. Of a name, its addresses are yet to be [checked](Self::address).
    pub(super) fn endpoint(&self, text: &str) -> Result<Endpoint, String> {
        let url = parse(text)?;
        match url.scheme() {
            "https" => {}
            "http" if self.plain => {}
            "http" => return Err("is not encrypted: use https".to_owned()),
            _ => return Err("is no URL of the scheme https".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user or a password in it".to_owned());
        }
        if url.fragment().is_some() {
            return Err("has a fragment (#), which no server is sent".to_owned());
        }
        let host = url.host().ok_or("has no host")?.to_owned();
        self.host(&host)?;
        Ok(Endpoint { url, host })
    }

    fn host(&self, host: &Host) -> Result<(), String> {
        match host {
            Host::Domain(name) if name.ends_with('.') => {
                return Err("has a host that ends with a dot".to_owned());
            }
            Host::Domain(name) if is_localhost(name) => {
                let own: [IpAddr; 2] = [[127, 0, 0, 1].into(), [0, 0, 0, 0, 0, 0, 0, 1].into()];
                if !own.iter().any(|own| self.is_allowed(*own)) {
                    return Err(format!("goes to {}, which is this machine", shown(name)));
                }
            }
            Host::Domain(_) => {}
            Host::Ipv4(address) => self.address((*address).into())?,
            Host::Ipv6(address) => self.address((*address).into())?,
        }
        if self.hosts.is_empty() || self.hosts.iter().any(|allowed| allowed.is(host)) {
            return Ok(());
        }
        let host = shown(&host.to_string());
        Err(format!(
            "goes to {host}, which is not among the allowed hosts"
        ))
    }

    /// Why no request may go to `address`, if none may.
    pub(super) fn address(&self, address: IpAddr) -> Result<(), String> {
        let meant = meant(address);
        match special(meant) {
            Some(what) if !self.is_allowed(address) && !self.is_allowed(meant) => {
                Err(format!("goes to {address}, an address that is {what}"))
            }
            _ => Ok(()),
        }
    }

    fn is_allowed(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// `text` as the WHATWG's rules read it, but nothing that these rules would mend.
fn parse(text: &str) -> Result<Url, String> {
    if text.len() > LONGEST_URL {
        return Err(format!("is longer than {LONGEST_URL} bytes"));
    }
    let mended = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if text.contains(mended) {
        return Err("has a space, a control character or a backslash in it".to_owned());
    }
    Url::parse(text).map_err(|error| format!("is no URL: {error}"))
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

impl AllowedHost {
    fn of(text: &str) -> Option<Self> {
        let host = |text| Host::parse(text).ok();
        match text.strip_prefix("*.") {
            Some(above) => match host(above)? {
                Host::Domain(name) if !name.ends_with('.') && !name.contains('*') => {
                    Some(Self::Below(format!(".{name}")))
                }
                _ => None,
            },
            None => match host(text)? {
                Host::Domain(name) if name.ends_with('.') || name.contains('*') => None,
                host => Some(Self::Exactly(host)),
            },
        }
    }

    fn is(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exactly(own), host) => own == host,
            (Self::Below(above), Host::Domain(name)) => name.ends_with(&**above),
            (Self::Below(_), _) => false,
        }
    }
}

impl Endpoint {
    /// Its scheme, host and port: what may be shown of it, and to whom a VAPID token is (RFC 8292 §2).
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) const fn host(&self) -> &Host {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(443)
    }

    /// The value of `Host`: with its port, if its scheme has another one.
    pub(super) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// The target of a request (RFC 9112 §3.2.1).
    pub(super) fn target(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}/…)", self.origin())
    }
}

#[cfg(test)]
mod tests;
