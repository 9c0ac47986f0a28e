//! Which certificates are believed.

use std::borrow::Cow;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::certificates::{believe, roots_of_system};
use crate::error::ConfigError;
use crate::outgoing::settings::OutgoingSettings;
use crate::place::Setting;

/// Believes what the operating system and the settings say.
pub(super) fn connector(settings: &OutgoingSettings) -> Result<TlsConnector, ConfigError> {
    // If there are none, it is said below.
    let mut roots = roots_of_system();
    add_own(&mut roots, settings)?;
    if roots.is_empty() && !settings.allow_plain {
        let setting = Setting::of("outgoing", "root_certificates_file");
        let why =
            "this machine has no root certificates (package ca-certificates), and none are set";
        return Err(ConfigError::new(setting, why, ""));
    }
    // Not the process's: there might be none, or another crate's.
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn add_own(roots: &mut RootCertStore, settings: &OutgoingSettings) -> Result<(), ConfigError> {
    let file = settings.root_certificates_file.as_ref();
    let text = settings.root_certificates.as_ref();
    let read = |path: &std::path::PathBuf| {
        let setting = Setting::of("outgoing", "root_certificates_file");
        let input = path.display().to_string();
        match std::fs::read(path) {
            Ok(pem) => Ok((setting, input, Cow::Owned(pem))),
            Err(error) => {
                let why = format!("cannot be read: {error}");
                Err(ConfigError::new(setting, why, input))
            }
        }
    };
    let said = text.map(|pem| {
        let setting = Setting::of("outgoing", "root_certificates");
        Ok((setting, String::new(), Cow::Borrowed(pem.as_bytes())))
    });
    for source in said.into_iter().chain(file.map(read)) {
        let (setting, input, pem) = source?;
        believe(roots, &pem).map_err(|why| ConfigError::new(setting, why, &*input))?;
    }
    Ok(())
}
