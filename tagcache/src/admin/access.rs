//! Who may ask what (SAFETY 21): decided from the peer and the fields of a request, before anything
//! else is looked at.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{FORWARDED, HOST, HeaderName, ORIGIN, VIA};

use crate::admin::AdminSettings;
use crate::admin::token::Credentials;
use crate::proxy::usual;

/// What a call does, for who may make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Tells what may be known to everybody who can connect.
    Look,
    /// Tells how the program is set up.
    Inspect,
    /// Changes what is served.
    Purge,
    /// Tells others again what they could not be told.
    Resend,
    /// Changes what is served, for tests.
    Test,
    /// `PURGE` on the public listener.
    PublicPurge,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// The token is missing or wrong.
    Token,
    /// No token would help.
    Never(&'static str),
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    /// The other end of the connection.
    pub(super) peer: IpAddr,
    pub(super) headers: &'a HeaderMap,
}

/// Whether `asker` may make `call`.
pub(super) fn admit(settings: &AdminSettings, call: Call, asker: Asker<'_>) -> Result<(), Denial> {
    if call == Call::Look {
        return Ok(());
    }
    if let Some(token) = &settings.token {
        match Credentials::by(asker.headers) {
            Credentials::Token(given) if token.is(given) => return Ok(()),
            // A wrong one is not made up for by where it comes from.
            Credentials::Nothing if call == Call::PublicPurge => {}
            _ => return Err(Denial::Token),
        }
    }
    let enough = match call {
        Call::Look => true,
        Call::Inspect => asker.is_here(),
        Call::Purge | Call::Resend => settings.purge_from_loopback && asker.is_here(),
        Call::Test => settings.test_calls && asker.is_here(),
        Call::PublicPurge => asker.is_listed(settings),
    };
    match enough {
        true => Ok(()),
        false if settings.token.is_some() => Err(Denial::Token),
        false => Err(Denial::Never(hint(call))),
    }
}

/// Whether a request shows the admin token.
pub(super) fn shows_token(settings: &AdminSettings, headers: &HeaderMap) -> bool {
    let token = settings.token.as_ref();
    token.is_some_and(
        |token| matches!(Credentials::by(headers), Credentials::Token(given) if token.is(given)),
    )
}

const fn hint(call: Call) -> &'static str {
    match call {
        Call::Look | Call::Inspect | Call::Test => {
            "without an admin token this is answered on this machine only"
        }
        Call::Purge => {
            "without an admin token nothing is purged, unless purging from loopback is allowed and \
             the call comes from there"
        }
        Call::Resend => {
            "without an admin token no alert is sent again, unless purging from loopback is allowed and \
             the call comes from there"
        }
        Call::PublicPurge => "this address may not purge",
    }
}

/// What proxies and browsers say of those for whom they ask.
static FOR_OTHERS: [HeaderName; 6] = [
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
    VIA,
    ORIGIN,
    HeaderName::from_static("sec-fetch-site"),
];

impl Asker<'_> {
    /// Whether it is a program on this machine that asks for itself. A proxy here may ask for anybody;
    /// so may a browser, for the page that it shows (cross-site requests, DNS rebinding).
    fn is_here(self) -> bool {
        self.peer.to_canonical().is_loopback()
            && self.asks_for_itself()
            && self.names_this_machine()
    }

    /// Whether `Host` is one that no foreign name can stand for.
    fn names_this_machine(self) -> bool {
        let host = self.headers.get(HOST).map(|host| host.as_bytes());
        let Some(host) = host.and_then(|host| std::str::from_utf8(host).ok()) else {
            // HTTP/1.0; a browser always sends one.
            return self.headers.get(HOST).is_none();
        };
        let Ok(authority) = host.parse::<http::uri::Authority>() else {
            return false;
        };
        let name = authority.host().trim_matches(['[', ']']);
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse()
                .is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
    }

    fn asks_for_itself(self) -> bool {
        // Names are read as the most lenient server reads them (SAFETY 66): here it is doubt that counts.
        let says = |name| usual(name).is_some_and(|name| FOR_OTHERS.contains(&name));
        !self.headers.keys().any(says)
    }

    fn is_listed(self, settings: &AdminSettings) -> bool {
        let networks = settings
            .public_purge
            .iter()
            .flat_map(|purge| &purge.networks);
        let mut containing = networks.filter(|network| network.contains(self.peer));
        containing.next().is_some() && self.asks_for_itself()
    }
}

#[cfg(test)]
mod tests;
