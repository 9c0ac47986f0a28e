//! Why upstream gave no answer, and what the client is told instead.

use std::fmt;

use http::StatusCode;

use tower_tagcache::BoxError;

/// What went wrong between this proxy and an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum FailureKind {
    /// No address for its name.
    Name,
    /// No connection: refused, unreachable.
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
            Self::Name
            | Self::Connect
            | Self::Handshake
            | Self::Closed
            | Self::Malformed
            | Self::Switched => StatusCode::BAD_GATEWAY,
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
            Self::Name => "upstream-name",
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
            Self::Name => {
                "the upstream server cannot be reached: its name was not found; the proxy's log says more\n"
            }
            Self::Connect => {
                "the upstream server cannot be reached: it takes no connection; the proxy's log says more\n"
            }
            Self::Handshake => {
                "the upstream server cannot be reached: the TLS or HTTP/2 handshake failed; the proxy's log says more\n"
            }
            Self::ConnectTimeout => {
                "the upstream server did not take a connection in time; the proxy's log says more\n"
            }
            Self::HeadTimeout => {
                "the upstream server did not answer in time; the proxy's log says more\n"
            }
            Self::Closed | Self::Malformed | Self::Switched => {
                "the upstream server gave no usable answer; the proxy's log says more\n"
            }
            Self::Busy => "the upstream server has too many requests in hand; try again later\n",
            Self::Upload => "the request body is incomplete\n",
            Self::UploadTimeout => "the request body came too slowly\n",
            Self::UploadFields => "the request has too many trailers\n",
            Self::Loop => "the request has passed through this proxy too often\n",
        }
    }

    /// What happened, for the log.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Name => "its name was not found",
            Self::Connect => "no connection",
            Self::ConnectTimeout => "no connection in time",
            Self::Handshake => "the TLS or HTTP/2 handshake failed",
            Self::Closed => "the connection ended before an answer",
            Self::Malformed => "its answer is not HTTP that can be used",
            Self::HeadTimeout => "no answer in time",
            Self::Busy => "it has as many requests in hand as it may",
            Self::Switched => "it switched protocols although nobody asked for that",
            Self::Upload | Self::UploadTimeout | Self::UploadFields => {
                "the client's body is at fault"
            }
            Self::Loop => "the request has passed through this proxy too often",
        }
    }

    /// What to do about it, for the log.
    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::Name => {
                "check the name in `upstreams`, and that this machine's resolver knows it"
            }
            Self::Connect => "is it running, and does it listen where `upstreams` says?",
            Self::ConnectTimeout => {
                "is a firewall in between, or its machine overloaded? `connect` and `handshake` in \
                 [proxy.timeouts] say how long is waited"
            }
            Self::Handshake => "does it speak TLS and HTTP there as `upstreams` says?",
            Self::Closed => "its own log says why it closes connections without an answer",
            Self::Malformed => {
                "does it speak HTTP there, with heads within `head_bytes` and `head_fields` of [proxy.limits]?"
            }
            Self::HeadTimeout => {
                "see why it is slow; `response_head` in [proxy.timeouts] says how long is waited"
            }
            Self::Busy => "see why it is slow, or raise `upstream_requests` in [proxy.limits]",
            Self::Switched => "its own log may say why",
            Self::Upload | Self::UploadTimeout | Self::UploadFields => "it is the client's affair",
            Self::Loop => "is it its own upstream? Look at `upstreams`",
        }
    }

    #[cfg(test)]
    const ALL: [Self; 13] = [
        Self::Name,
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
        Self::UploadFields,
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
        let document = include_str!("../../../../docs/CACHE-STATUS.md");
        for kind in FailureKind::ALL {
            let row = format!("| `{}` | {} | ", kind.as_str(), kind.status().as_u16());
            assert!(document.contains(&row), "{row}");
        }
    }
}
