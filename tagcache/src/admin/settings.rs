//! [`AdminSettings`]: what an operator can say about the admin listener, with the defaults. It is `[admin]` of the
//! file, whose schema describes each key with the words that are here.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::admin::AdminToken;
use crate::proxy::{Network, ProxyError, ProxySettings, clash, nonzero};
use crate::setting::admin;
use crate::written::{self, As};
use tower_tagcache::config::{Address, Bytes, Period, Secret};

/// The admin listener: purges, health, metrics, activity. Without this section there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AdminSettings {
    /// Where it listens. Default: "127.0.0.1:9180". Port 0 is a free one.
    #[serde(deserialize_with = "written::address")]
    #[schemars(with = "Address")]
    pub listen: SocketAddr,
    /// Who knows it may purge, from wherever. Default: none.
    #[serde(skip)]
    pub token: Option<AdminToken>,
    /// Who knows this may purge, from wherever. Better: `token_file`, or TAGCACHE_ADMIN_TOKEN in the environment.
    #[serde(
        rename = "token",
        serialize_with = "masked",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("writeOnly" = true))]
    pub(crate) token_text: Option<Secret>,
    /// A file with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    /// Without a token: whether who is on this machine may purge. Default: false.
    pub purge_from_loopback: bool,
    /// `POST /test/invalidate-cache` is answered; without a token, from this machine. For mock and dev
    /// mode. Default: no.
    #[serde(skip)]
    pub test_calls: bool,
    /// Who may send `PURGE` to the listener that clients use, besides who knows the token: `["10.0.0.0/8"]`.
    /// Default: the method goes to the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_purge: Option<PublicPurge>,
    /// In mode dev and mock: answers `POST /test/invalidate-cache` and `GET /metrics` where clients connect, too,
    /// to whom they would be answered here. Default: false.
    pub public_test_calls: bool,
    /// Connections. One more waits to be accepted. Default: 64.
    pub connections: usize,
    /// The longest body of a request. More is answered 413. Default: "64 KiB".
    #[serde(with = "As::<Bytes>")]
    pub body_bytes: usize,
    /// For a request to be read, and for it to be answered. Default: "20s", since a purge may have to wait for a node that has stopped.
    #[serde(with = "As::<Period>")]
    pub timeout: Duration,
    /// After which a connection ends with its next answer, which says so (`Connection: close`), so that no
    /// request is cut off. Default: "1m".
    #[serde(with = "As::<Period>")]
    pub connection_lifetime: Duration,
    /// Whether /readyz is 200 while all upstreams are down. What is stored is still served then, also stale, and
    /// all instances mostly see the same upstreams: who takes them all out of a load balancer ends that too.
    /// `false`, 503, for a load balancer whose other instances have upstreams of their own. Default: true.
    pub ready_without_upstream: bool,
}

/// What is shown of a token.
fn masked<S: Serializer>(_: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str("***")
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9180)),
            token: None,
            token_text: None,
            token_file: None,
            purge_from_loopback: false,
            test_calls: false,
            public_purge: None,
            public_test_calls: false,
            connections: 64,
            body_bytes: 64 * 1024,
            timeout: Duration::from_secs(20),
            connection_lifetime: Duration::from_secs(60),
            ready_without_upstream: true,
        }
    }
}

/// Who may send `PURGE` to the listener that clients use: who knows the admin token, and who connects
/// from `networks`.
///
/// A request that says it was forwarded (`Forwarded`, `X-Forwarded-For`, `X-Real-IP`, `Via`) has to have
/// the token: its peer is somebody's proxy, and not who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PublicPurge {
    /// Default: none.
    pub networks: Vec<Network>,
}

impl AdminSettings {
    /// Whether the bounds leave room to work in, and the listener is apart from those that clients use.
    ///
    /// # Errors
    /// The setting that cannot be used.
    pub fn check(&self, proxy: Option<&ProxySettings>) -> Result<(), ProxyError> {
        nonzero(
            admin("connections").called("admin connections"),
            self.connections == 0,
        )?;
        nonzero(
            admin("timeout").called("admin timeout"),
            self.timeout.is_zero(),
        )?;
        nonzero(
            admin("connection_lifetime").called("admin connection_lifetime"),
            self.connection_lifetime.is_zero(),
        )?;
        let mut listen = proxy.into_iter().flat_map(|proxy| &proxy.listen);
        if listen.any(|listen| clash(listen.address, self.listen)) {
            let message = "clients connect to this port: the admin listener needs one of its own";
            return Err(ProxyError::new(message).about(
                admin("listen").called("admin listen"),
                self.listen.to_string(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_113_an_admin_listener_where_clients_connect_is_refused() {
        let mut admin = AdminSettings::default();
        let proxy = ProxySettings::new("http://127.0.0.1:9000");
        admin.check(Some(&proxy)).unwrap();
        admin.listen = proxy.listen[0].address;
        assert!(admin.check(None).is_ok() && admin.check(Some(&proxy)).is_err());
    }
}
