//! TLS on both sides: what rustls needs, from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::proxy::{ProxyError, TlsFiles, UpstreamProtocol};

/// Where systems keep the certificate authorities that they trust.
const SYSTEM_AUTHORITIES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// What a listener presents.
pub(super) fn server(files: &TlsFiles) -> Result<Arc<ServerConfig>, ProxyError> {
    let certificates = certificates(&files.certificates)?;
    let path = &files.key;
    let key = PrivateKeyDer::from_pem_file(path)
        .map_err(|error| unreadable("the private key", path, error))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            config
                .with_no_client_auth()
                .with_single_cert(certificates, key)
        });
    let mut config = config.map_err(|error| unreadable("the certificate", path, error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Whom an upstream has to be vouched by, and what is spoken to it.
pub(super) fn client(
    authorities: Option<&Path>,
    protocol: UpstreamProtocol,
) -> Result<Arc<ClientConfig>, ProxyError> {
    let roots = match authorities {
        Some(path) => roots(path)?,
        None => roots(&system_authorities()?)?,
    };
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| ProxyError::because("TLS cannot be set up", error))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = match protocol {
        UpstreamProtocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        UpstreamProtocol::Http1 => vec![b"http/1.1".to_vec()],
        UpstreamProtocol::Http2 => vec![b"h2".to_vec()],
    };
    Ok(Arc::new(config))
}

fn system_authorities() -> Result<PathBuf, ProxyError> {
    let mut usual = SYSTEM_AUTHORITIES.iter().map(PathBuf::from);
    usual.find(|path| path.is_file()).ok_or_else(|| {
        ProxyError::new("this system has no certificate authorities: name a file for the upstream")
    })
}

fn roots(path: &Path) -> Result<RootCertStore, ProxyError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(path)?);
    match added {
        0 => Err(unreadable(
            "the certificate authorities",
            path,
            "none can be used",
        )),
        _ => Ok(roots),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ProxyError> {
    let error = |error| unreadable("the certificate", path, error);
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(error)?
        .collect::<Result<_, _>>()
        .map_err(error)?;
    match certificates.is_empty() {
        true => Err(unreadable("the certificate", path, "the file has none")),
        false => Ok(certificates),
    }
}

fn unreadable(what: &str, path: &Path, error: impl Into<crate::BoxError>) -> ProxyError {
    ProxyError::because(format!("cannot use {what} in {}", path.display()), error)
}
