//! [`UpstreamSettings`], which the file writes as a URL, or as a table.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::written::text_or_table;
use tower_tagcache::config::Written;

/// An upstream in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UpstreamSettings {
    /// `"http://host:port"` or `"https://host:port"`, without a path.
    pub url: String,
    /// Which HTTP is spoken. Default: "auto".
    #[serde(default)]
    pub protocol: UpstreamProtocol,
    /// A PEM file with the certificate authorities that may vouch for an `https` upstream.
    /// Default: the system's, from the usual files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
}

impl UpstreamSettings {
    /// The upstream at `url`, by defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            protocol: UpstreamProtocol::default(),
            authorities: None,
        }
    }
}

/// Which HTTP is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamProtocol {
    /// With TLS what ALPN says, without TLS HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS by prior knowledge (RFC 9113 §3.3). Upgrades are not possible.
    Http2,
}

/// An upstream: its URL, or a table.
pub(super) struct UpstreamForm(UpstreamSettings);

impl Written for UpstreamForm {
    type Table = UpstreamSettings;
    const EXPECTED: &'static str = "a URL such as \"http://127.0.0.1:9000\" or { url = \"...\" }";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self(UpstreamSettings::new(text)))
    }

    fn from_table(table: UpstreamSettings) -> Option<Self> {
        Some(Self(table))
    }
}

impl Serialize for UpstreamForm {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let url = &self.0.url;
        match self.0 == UpstreamSettings::new(url) {
            true => url.serialize(to),
            false => self.0.serialize(to),
        }
    }
}

text_or_table!(UpstreamForm, UpstreamSettings);

impl UpstreamForm {
    /// Writes all upstreams.
    pub(super) fn serialize_all<S: Serializer>(
        all: &[UpstreamSettings],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().cloned().map(Self))
    }

    /// Reads all upstreams.
    pub(super) fn deserialize_all<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<UpstreamSettings>, D::Error> {
        let all = Vec::<Self>::deserialize(from)?;
        Ok(all.into_iter().map(|Self(settings)| settings).collect())
    }
}
