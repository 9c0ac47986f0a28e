//! [`PushSettings`]: who the push services are told it is. [`VapidKey`]: what proves it (RFC 8292).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::SecretKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::json;

use crate::clock::Timestamp;
use crate::error::ConfigError;
use crate::outgoing::push::encryption::uncompressed;
use crate::outgoing::push::subscription::BASE64;
use crate::place::Setting;
use crate::secret::{Secret, read_secret};

/// Half of what is allowed (RFC 8292 §2), as clocks differ.
const TOKEN_TIME: Duration = Duration::from_secs(12 * 3_600);

/// How this sender identifies itself to push services (VAPID, RFC 8292).
///
/// ```
/// use tower_tagcache::outgoing::push::PushSettings;
///
/// let settings = PushSettings::new("mailto:ops@example.org").key_file("/etc/tagcache/vapid.pem");
/// assert!(settings.key.is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct PushSettings {
    /// Whom a push service can ask: `mailto:` with an address, or an `https://` URL.
    pub subject: String,
    /// Private key of the curve P-256: PEM, or its 32 bytes in base64url. Prefer `key_file`. Default: none, but there must
    /// be one here or there.
    #[cfg_attr(
        feature = "config",
        serde(default, serialize_with = "crate::secret::masked", skip_serializing_if = "Option::is_none"),
        schemars(extend("writeOnly" = true))
    )]
    pub key: Option<Secret>,
    /// A file with that key. Default: none.
    #[cfg_attr(
        feature = "config",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub key_file: Option<PathBuf>,
    /// The push services that browsers may name, as hosts or like `*.example.org`: whoever may subscribe could otherwise have
    /// any server asked. Default: those of Chrome, Edge, Firefox and Safari.
    #[cfg_attr(feature = "config", serde(default = "push_hosts"))]
    pub hosts: Vec<String>,
}

/// Signs for push services.
#[derive(Clone)]
pub(super) struct VapidKey {
    signing: SigningKey,
    /// As browsers are given it.
    public: String,
    subject: String,
}

impl PushSettings {
    /// Without a key yet.
    #[must_use]
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            key: None,
            key_file: None,
            hosts: push_hosts(),
        }
    }

    /// Sets the push services that browsers may name. Default: those of Chrome, Edge, Firefox and Safari.
    #[must_use]
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the key: PEM, or base64url. Default: none, but there must be one.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(Secret(key.into()));
        self
    }

    /// Sets the file with the key. Default: none.
    #[must_use]
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_file = Some(path.into());
        self
    }
}

fn push_hosts() -> Vec<String> {
    crate::defaults::PUSH_HOSTS.map(str::to_owned).to_vec()
}

impl VapidKey {
    pub(super) fn new(settings: &PushSettings) -> Result<Self, ConfigError> {
        check_subject(&settings.subject)?;
        let (setting, text) = match (&settings.key, &settings.key_file) {
            (Some(key), _) => (Setting::of("push", "key"), key.0.clone()),
            (None, Some(path)) => {
                let setting = Setting::of("push", "key_file");
                (setting, read_secret(setting, path)?)
            }
            (None, None) => {
                let why = "there is none: set it, or `key_file`";
                return Err(ConfigError::new(Setting::of("push", "key"), why, ""));
            }
        };
        let why = "is no private key of the curve P-256, in PEM or base64url";
        let key = private(&text).ok_or_else(|| ConfigError::new(setting, why, "***"))?;
        Ok(Self {
            public: URL_SAFE_NO_PAD.encode(uncompressed(&key.public_key())),
            signing: SigningKey::from(key),
            subject: settings.subject.clone(),
        })
    }

    pub(super) fn public(&self) -> &str {
        &self.public
    }

    /// The value of `Authorization` for the push service `origin` (RFC 8292 §3).
    pub(super) fn authorization(&self, origin: &str, now: Timestamp) -> String {
        let expires = now.plus(TOKEN_TIME).as_millis() / 1_000;
        let encode = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let header = encode(json!({ "alg": "ES256", "typ": "JWT" }));
        let claims = json!({ "aud": origin, "exp": expires, "sub": self.subject });
        let signed = format!("{header}.{}", encode(claims));
        let signature: Signature = self.signing.sign(signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
        format!("vapid t={signed}.{signature}, k={}", self.public)
    }
}

fn private(text: &str) -> Option<SecretKey> {
    // OpenSSL writes the curve's name before the key, as a block of its own.
    match ["-----BEGIN EC PRIVATE KEY", "-----BEGIN PRIVATE KEY"]
        .iter()
        .find_map(|begin| text.find(begin))
    {
        Some(begin) => SecretKey::from_pem(text[begin..].trim()).ok(),
        None => {
            let bytes = BASE64.decode(text.trim()).ok()?;
            // A shorter one would be filled up.
            SecretKey::from_slice(&bytes)
                .ok()
                .filter(|_| bytes.len() == 32)
        }
    }
}

fn check_subject(subject: &str) -> Result<(), ConfigError> {
    let plain = !subject.contains(|c: char| c.is_whitespace() || c.is_control());
    let known = match (
        subject.strip_prefix("mailto:"),
        subject.strip_prefix("https://"),
    ) {
        (Some(address), _) => {
            let parts = address.split_once('@');
            parts.is_some_and(|(who, host)| !who.is_empty() && !host.is_empty())
        }
        (None, Some(rest)) => !rest.is_empty(),
        (None, None) => false,
    };
    if plain && known {
        return Ok(());
    }
    let why = "neither mailto: with an address nor an https:// URL";
    Err(ConfigError::new(
        Setting::of("push", "subject"),
        why,
        subject,
    ))
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VapidKey({})", self.public)
    }
}

#[cfg(test)]
mod tests;
