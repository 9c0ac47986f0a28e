//! A proxy in front of an origin, for one test.

use std::net::SocketAddr;
use std::time::Duration;

use tagcache::proxy::{DrainReport, Listen, Proxy, ProxySettings, UpstreamStatuses};
use tagcache_test_support::ends;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_tagcache::{Cache, CacheBuilder, Rule};

use crate::raw_origin::RawOrigin;

/// A running proxy, which clients reach over its socket. It ends with the test, or when it is stopped.
///
/// It is no `Site` of `tests/support`, which is a layer in this process with a clock of its own: here connections, drains
/// and upstreams that fail are what is tested, and the cache is one part.
pub(crate) struct ProxySite {
    pub(crate) address: SocketAddr,
    pub(crate) upstreams: UpstreamStatuses,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<DrainReport>,
}

/// Every path, for a minute unless upstream says otherwise.
pub(crate) fn rules() -> CacheBuilder {
    let all = Rule::new("all", "/{*path}").ttl(Duration::from_secs(60));
    let root = Rule::new("root", "/").ttl(Duration::from_secs(60));
    Cache::builder().rule(all).rule(root)
}

/// On a free port.
pub(crate) fn settings(upstream: impl Into<String>) -> ProxySettings {
    let mut settings = ProxySettings::new(upstream);
    settings.listen = vec![Listen::new(SocketAddr::from(([127, 0, 0, 1], 0)))];
    settings
}

impl ProxySite {
    pub(crate) async fn before(origin: &RawOrigin) -> Self {
        Self::with(settings(origin.url())).await
    }

    pub(crate) async fn with(settings: ProxySettings) -> Self {
        Self::start(settings, rules()).await
    }

    pub(crate) async fn start(settings: ProxySettings, rules: CacheBuilder) -> Self {
        let (cache, companion) = rules.build().expect("good rules");
        drop(companion);
        Self::of(Proxy::new(settings, cache).expect("good settings")).await
    }

    pub(crate) async fn of(proxy: Proxy) -> Self {
        let bound = proxy.bind().await.expect("a port");
        let (shutdown, told) = oneshot::channel();
        Self {
            address: bound.local_addresses()[0],
            upstreams: bound.upstreams(),
            shutdown: Some(shutdown),
            task: tokio::spawn(bound.run(async {
                let _ = told.await;
            })),
        }
    }

    /// Tells it to drain.
    pub(crate) fn shut_down(&mut self) {
        self.shutdown.take();
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    pub(crate) async fn ended(self) -> DrainReport {
        ends("the proxy ends", self.task).await.expect("no panic")
    }
}
