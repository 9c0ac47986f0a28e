//! TLS on both sides: what rustls needs, from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};

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
    let words = |error: rustls::Error| sentence_of(&error).unwrap_or_else(|| error.to_string());
    let mut config = config.map_err(|error| unreadable("the private key", path, words(error)))?;
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

/// Why a handshake failed, as a person would say it, and what to do.
pub(super) fn sentence(error: &std::io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let Some(error) = cause else {
        return error.to_string();
    };
    sentence_of(error).unwrap_or_else(|| error.to_string())
}

fn sentence_of(error: &rustls::Error) -> Option<String> {
    let told = match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => {
                "its certificate is vouched for by nobody who is trusted here: name the file of its authority \
                 with `authorities`"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name: write the name that is in it into the upstream's URL"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired: renew it there, and look at this machine's clock"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: look at this machine's clock"
            }
            CertificateError::Revoked => "its certificate was revoked: it needs a new one",
            // The library knows this by its own error only.
            _ if format!("{why:?}").contains("CaUsedAsEndEntity") => {
                "its certificate is an authority's own (CA:TRUE), which no server may present: give the server \
                 a certificate that this authority has signed, and name the authority with `authorities`"
            }
            _ => return Some(format!("its certificate cannot be used: {why}")),
        },
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS on this port: is it http:// instead of https://?"
        }
        rustls::Error::AlertReceived(alert) => {
            return Some(format!(
                "it ended the handshake with the alert {alert:?}: its log says why"
            ));
        }
        rustls::Error::PeerIncompatible(_) => {
            "it and this proxy have no version of TLS in common, or no cipher: TLS 1.2 and 1.3 are spoken here"
        }
        rustls::Error::InconsistentKeys(_) => "the private key is not the one of the certificate",
        _ => return None,
    };
    Some(told.to_owned())
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

fn unreadable(what: &str, path: &Path, error: impl Into<tower_tagcache::BoxError>) -> ProxyError {
    ProxyError::because(format!("cannot use {what} in {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct CaUsedAsEndEntity;

    impl std::fmt::Display for CaUsedAsEndEntity {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("CaUsedAsEndEntity")
        }
    }

    impl std::error::Error for CaUsedAsEndEntity {}

    #[test]
    fn safety_117_a_handshake_that_failed_is_told_in_a_sentence() {
        let certificate = rustls::Error::InvalidCertificate;
        let other = CertificateError::Other(rustls::OtherError(Arc::new(CaUsedAsEndEntity)));
        for (error, expected) in [
            (
                certificate(CertificateError::UnknownIssuer),
                "name the file of its authority",
            ),
            (
                certificate(CertificateError::NotValidForName),
                "is for another name",
            ),
            (certificate(CertificateError::Expired), "has expired"),
            (certificate(other), "an authority's own (CA:TRUE)"),
            (
                rustls::InvalidMessage::InvalidContentType.into(),
                "is it http:// instead",
            ),
        ] {
            let told = sentence(&std::io::Error::other(error));
            assert!(told.contains(expected), "{told}");
            assert!(!told.contains("CaUsed"), "{told}");
        }
        assert_eq!(sentence(&std::io::Error::other("reset")), "reset");
    }
}
