//! Why upstream gave no answer, and what the client is told instead.

use std::fmt;

use http::StatusCode;

use crate::BoxError;

/// What went wrong between this proxy and an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum FailureKind {
    /// No connection: refused, unreachable, no such name.
    Connect,
    /// No connection in time.
    ConnectTimeout,
    /// The TLS or HTTP/2 handshake failed.
    Handshake,
    /// The connection was closed before the head of a response.
    Closed,
    /// What came is not HTTP, or more than is read of a head.
    Malformed,
    /// No head of a response in time.
    HeadTimeout,
    /// Upstream has as many requests in hand as it may.
    Busy,
    /// It switched protocols although nobody asked for that.
    Switched,
    /// The client's body ended early.
    Upload,
    /// The client's body came too slowly.
    UploadTimeout,
    /// The client's trailers are more than are read.
    UploadFields,
    /// The request has passed through this proxy too often.
    Loop,
}

impl FailureKind {
    pub(in crate::proxy) const fn status(self) -> StatusCode {
        match self {
            Self::Connect | Self::Handshake | Self::Closed | Self::Malformed | Self::Switched => {
                StatusCode::BAD_GATEWAY
            }
            Self::ConnectTimeout | Self::HeadTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upload => StatusCode::BAD_REQUEST,
            Self::UploadTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UploadFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Loop => StatusCode::LOOP_DETECTED,
        }
    }

    /// The word in `Cache-Status` and logs.
    pub(in crate::proxy) const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "upstream-connect",
            Self::ConnectTimeout => "upstream-connect-timeout",
            Self::Handshake => "upstream-handshake",
            Self::Closed => "upstream-closed",
            Self::Malformed => "upstream-malformed",
            Self::HeadTimeout => "upstream-timeout",
            Self::Busy => "upstream-busy",
            Self::Switched => "upstream-switched",
            Self::Upload => "request-body",
            Self::UploadTimeout => "request-body-timeout",
            Self::UploadFields => "request-trailers",
            Self::Loop => "loop",
        }
    }

    /// A line for the client, which learns nothing about what is behind the proxy.
    pub(in crate::proxy) const fn text(self) -> &'static str {
        match self {
            Self::Connect | Self::Handshake => "the upstream server cannot be reached\n",
            Self::ConnectTimeout | Self::HeadTimeout => {
                "the upstream server did not answer in time\n"
            }
            Self::Closed | Self::Malformed | Self::Switched => {
                "the upstream server gave no usable answer\n"
            }
            Self::Busy => "the upstream server has too many requests in hand\n",
            Self::Upload => "the request body is incomplete\n",
            Self::UploadTimeout => "the request body came too slowly\n",
            Self::UploadFields => "the request has too many trailers\n",
            Self::Loop => "the request has passed through this proxy too often\n",
        }
    }

    #[cfg(test)]
    const ALL: [Self; 11] = [
        Self::Connect,
        Self::ConnectTimeout,
        Self::Handshake,
        Self::Closed,
        Self::Malformed,
        Self::HeadTimeout,
        Self::Busy,
        Self::Switched,
        Self::Upload,
        Self::UploadTimeout,
        Self::Loop,
    ];

    /// Whether it counts against the upstream's health.
    pub(super) const fn blames_upstream(self) -> bool {
        !matches!(
            self,
            Self::Upload | Self::UploadTimeout | Self::UploadFields | Self::Loop | Self::Busy
        )
    }
}

/// The error of the service behind the cache.
#[derive(Debug)]
pub(in crate::proxy) struct UpstreamFailure {
    pub(in crate::proxy) kind: FailureKind,
    source: Option<BoxError>,
}

impl UpstreamFailure {
    pub(super) fn because(kind: FailureKind, source: impl Into<BoxError>) -> Self {
        Self {
            kind,
            source: Some(source.into()),
        }
    }
}

impl From<FailureKind> for UpstreamFailure {
    fn from(kind: FailureKind) -> Self {
        Self { kind, source: None }
    }
}

impl fmt::Display for UpstreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())
    }
}

impl std::error::Error for UpstreamFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_117_the_documents_have_a_row_for_each_failure() {
        let document = include_str!("../../../docs/CACHE-STATUS.md");
        for kind in FailureKind::ALL {
            let row = format!("| `{}` | {} | ", kind.as_str(), kind.status().as_u16());
            assert!(document.contains(&row), "{row}");
        }
    }
}
