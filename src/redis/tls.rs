//! [`RedisTls`]: how Redis is spoken to by TLS.

use std::io::Error as IoError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};

use crate::certificates::{believe, roots_of_system};

/// How Redis is spoken to by TLS, where its URL says `rediss://`: whose certificates are believed, and which is shown.
/// The server's certificate is always verified.
///
/// The files are read when the cache is built, so that a wrong one is told then, and again for each connection, so that
/// certificates can be renewed while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields)
)]
#[must_use]
pub struct RedisTls {
    /// The certificates that are believed, and no others (PEM). Default: those of the operating system.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    ca_file: Option<PathBuf>,
    /// The certificate that is shown to the server, with those between it and its root (PEM). Default: none.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    certificate_file: Option<PathBuf>,
    /// Its private key (PEM).
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    key_file: Option<PathBuf>,
    /// The name that the server's certificate has to be for. Default: the host of the URL.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    server_name: Option<String>,
}

impl RedisTls {
    /// Believes what the operating system believes, and shows no certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Believes certificates that are signed by those in this PEM file, and no others. Default: the operating system's.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Shows the certificate in the first PEM file, with the certificates between it and its root, whose private key is in the
    /// second (mutual TLS). Default: none.
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.certificate_file = Some(certificate.into());
        self.key_file = Some(key.into());
        self
    }

    /// The name that the server's certificate has to be for, if it is another than the URL's host. Default: that host.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// What makes connections by TLS; or which setting is wrong, why, and what it says.
    pub(super) fn connector(&self) -> Result<TlsConnector, Wrong> {
        // Not the process's provider: there might be none, or another crate's.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the ciphers of TLS 1.2 and 1.3")
            .with_root_certificates(self.roots()?);
        let config = match (&self.certificate_file, &self.key_file) {
            (None, None) => config.with_no_client_auth(),
            (Some(certificate), None) => {
                let why = "needs its private key, as `key_file`";
                return Err(Wrong::of("certificate_file", why, certificate));
            }
            (None, Some(key)) => {
                let why = "needs its certificate, as `certificate_file`";
                return Err(Wrong::of("key_file", why, key));
            }
            (Some(certificate), Some(key)) => {
                let (chain, private) = identity(certificate, key)?;
                let config = config.with_client_auth_cert(chain, private);
                config.map_err(|error| Wrong {
                    setting: "key_file",
                    why: format!("does not fit the certificate: {error}"),
                    input: key.display().to_string(),
                })?
            }
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// The name that the certificate of `host` has to be for.
    pub(super) fn name_of(&self, host: &str) -> Result<ServerName<'static>, Wrong> {
        let name = self.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|_| Wrong {
            setting: "server_name",
            why: "is no name that a certificate can be for".to_owned(),
            input: name.to_owned(),
        })
    }

    fn roots(&self) -> Result<RootCertStore, Wrong> {
        let Some(path) = &self.ca_file else {
            let roots = roots_of_system();
            if roots.is_empty() {
                let why = "is not set, and this machine has no root certificates (package ca-certificates)";
                return Err(Wrong::of("ca_file", why, Path::new("")));
            }
            return Ok(roots);
        };
        let mut roots = RootCertStore::empty();
        believe(&mut roots, &read("ca_file", path)?)
            .map_err(|why| Wrong::of("ca_file", why, path))?;
        Ok(roots)
    }
}

/// `error` of a handshake, in words that say what to do.
pub(super) fn explained(error: &IoError) -> IoError {
    let known = error.get_ref().and_then(|inner| inner.downcast_ref());
    let why = match known {
        Some(TlsError::InvalidCertificate(flaw)) => match flaw {
            CertificateError::UnknownIssuer => {
                "its certificate is signed by nobody whom this cache believes: name its CA as `ca_file` under [redis.tls]"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name: write that into the URL, or as `server_name` under [redis.tls]"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired: renew it there"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: see the clocks of both"
            }
            _ => "its certificate cannot be believed",
        },
        Some(TlsError::InvalidMessage(_)) => {
            "that port does not speak TLS: name the one that does, or write redis://"
        }
        Some(TlsError::AlertReceived(_)) => {
            "it refuses: it may want a client certificate (`certificate_file` and `key_file` under [redis.tls]), or another one"
        }
        Some(_) => "no connection by TLS",
        None => "it hung up during the handshake: see whether that port speaks TLS",
    };
    IoError::new(error.kind(), format!("TLS: {why} ({error})"))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(certificate: &Path, key: &Path) -> Result<Identity, Wrong> {
    let pem = read("certificate_file", certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let none = || Wrong::of("certificate_file", "has no certificate (PEM)", certificate);
    let private = PrivateKeyDer::from_pem_slice(&read("key_file", key)?);
    let unreadable = |_| Wrong::of("key_file", "has no private key (PEM)", key);
    Ok((chain.ok_or_else(none)?, private.map_err(unreadable)?))
}

/// A setting of [`RedisTls`] that cannot be used.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) setting: &'static str,
    pub(super) why: String,
    pub(super) input: String,
}

impl Wrong {
    fn of(setting: &'static str, why: &str, path: &Path) -> Self {
        Self {
            setting,
            why: why.to_owned(),
            input: path.display().to_string(),
        }
    }
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, Wrong> {
    std::fs::read(path)
        .map_err(|error| Wrong::of(setting, &format!("cannot be read: {error}"), path))
}
