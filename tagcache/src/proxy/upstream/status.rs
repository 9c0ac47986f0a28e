//! What is known of the upstreams, for who wants to show it.

use std::sync::Arc;

use crate::proxy::upstream::service::{Upstream, UpstreamSet, Upstreams};

/// A handle to see how the upstreams are. A cheap clone.
#[derive(Debug, Clone)]
pub struct UpstreamStatuses(Arc<UpstreamSet>);

/// How one upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamStatus {
    /// The URL of the settings.
    pub url: String,
    /// Whether requests are sent to it. (Where all are down they are sent all the same.)
    pub up: bool,
    /// Why it failed last, if it has not answered since.
    pub trouble: Option<String>,
}

impl UpstreamStatuses {
    pub(in crate::proxy) fn of(upstreams: &Upstreams) -> Self {
        Self(Arc::clone(&upstreams.0))
    }

    /// All upstreams, in the order of the settings.
    pub fn all(&self) -> Vec<UpstreamStatus> {
        let status = |upstream: &Upstream| UpstreamStatus {
            url: upstream.url.clone(),
            up: upstream.health.is_up(),
            trouble: upstream.news.cause(),
        };
        self.0.upstreams.iter().map(status).collect()
    }

    /// Whether there is one that requests are sent to.
    pub fn any_up(&self) -> bool {
        self.0
            .upstreams
            .iter()
            .any(|upstream| upstream.health.is_up())
    }
}
