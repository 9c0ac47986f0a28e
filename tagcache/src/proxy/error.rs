//! [`ProxyError`].

use std::fmt;
use tower_tagcache::Setting;

use tower_tagcache::BoxError;

/// Why the proxy cannot start. One line; the cause, if there is one, is its source.
#[derive(Debug)]
pub struct ProxyError {
    message: String,
    source: Option<BoxError>,
    /// The setting to blame, and what it was set to.
    about: Option<(Setting, String)>,
}

impl ProxyError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
            about: None,
        }
    }

    pub(crate) fn because(message: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self {
            message: message.into(),
            source: Some(source.into()),
            about: None,
        }
    }

    /// Names the setting to blame.
    pub(crate) fn about(mut self, setting: Setting, input: impl Into<String>) -> Self {
        self.about = Some((setting, input.into()));
        self
    }

    /// The setting to blame, and what it was set to. Secrets are masked.
    pub fn setting(&self) -> Option<(Setting, &str)> {
        let (setting, input) = self.about.as_ref()?;
        Some((*setting, input))
    }

    /// What is wrong, without the setting: with its cause, since a person reads it as one line.
    pub fn message(&self) -> String {
        match &self.source {
            Some(source) => format!("{}: {source}", self.message),
            None => self.message.clone(),
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((setting, input)) = &self.about {
            let what = match setting.as_str() {
                "upstreams" => "upstream",
                word => word,
            };
            write!(f, "{what} {input:?}: ")?;
        }
        f.write_str(&self.message())
    }
}

impl std::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Refuses zero for `setting`.
pub(crate) fn nonzero(setting: Setting, is_zero: bool) -> Result<(), ProxyError> {
    match is_zero {
        false => Ok(()),
        true => Err(ProxyError::new("it has to be more than zero").about(setting, "0")),
    }
}
