//! [`Listen`]: an address, which the file writes as text, or as a table with a certificate.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::written::text_or_table;
use tower_tagcache::config::{Address, Written};

/// One address that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listen {
    /// Default: `127.0.0.1:8080`. Port 0 is a free one.
    pub address: SocketAddr,
    /// With TLS if set; HTTP/2 is then negotiated by ALPN. Default: none. HTTP/2 without TLS is
    /// understood from clients that begin with it (RFC 9113 §3.3).
    pub tls: Option<TlsFiles>,
}

impl Listen {
    /// Listens on `address` without TLS.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// Listens there with TLS.
    #[must_use]
    pub fn tls(mut self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some(TlsFiles {
            certificates: certificates.into(),
            key: key.into(),
        });
        self
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))
    }
}

/// A certificate chain and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those that lead to its authority.
    pub certificates: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// An address with TLS, as the file writes it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsListen {
    /// The address and port.
    address: Address,
    /// A PEM file: the certificate, then those that lead to its authority.
    certificates: PathBuf,
    /// A PEM file with the private key.
    key: PathBuf,
}

impl Written for Listen {
    type Table = TlsListen;
    const EXPECTED: &'static str =
        "an address such as \"127.0.0.1:8080\" or { address, certificates, key }";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map(|Address(address)| Self::new(address))
    }

    fn from_table(table: TlsListen) -> Option<Self> {
        Some(Self::new(table.address.0).tls(table.certificates, table.key))
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let address = Address(self.address);
        match self.tls.clone() {
            None => address.serialize(to),
            Some(files) => TlsListen {
                address,
                certificates: files.certificates,
                key: files.key,
            }
            .serialize(to),
        }
    }
}

text_or_table!(Listen, TlsListen);
