//! [`Proxy`]: from settings to open listeners to the last connection.

mod seen;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_layer::Layer;

use crate::proxy::access_log::AccessLog;
use crate::proxy::client::Site;
use crate::proxy::connection::{Arrival, Protocols};
use crate::proxy::drain::{Drain, Stage};
use crate::proxy::upstream::{Upstreams, maintain};
use crate::proxy::yielding::Yielding;
use crate::proxy::{Door, ProxyError, ProxySettings, UpstreamStatuses, tls};
use crate::setting::LISTEN;
use tower_tagcache::Cache;
use tower_tagcache::feed::ActivityService;
use tower_tagcache::live::LiveService;
use tower_tagcache::outgoing::push::PushService;

/// After an accept that failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// For connections to notice that they are cut off.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// A proxy that does not listen yet. See the [module docs](crate::proxy).
pub struct Proxy {
    site: Arc<Site>,
    upstreams: Upstreams,
    tls: Vec<Option<TlsAcceptor>>,
}

impl Proxy {
    /// A proxy with `cache` between clients and upstreams.
    ///
    /// # Errors
    /// If a setting cannot be used: an upstream's URL, a certificate that cannot be read, a bound of zero, two
    /// listeners on one port, the proxy as its own upstream.
    pub fn new(settings: ProxySettings, cache: Cache) -> Result<Self, ProxyError> {
        settings.check()?;
        let acceptor = |listen: &crate::proxy::Listen| match &listen.tls {
            Some(files) => {
                let config = tls::server(files);
                let address = || listen.address.to_string();
                let config = config.map_err(|error| error.about(LISTEN, address()))?;
                Ok(Some(TlsAcceptor::from(config)))
            }
            None => Ok(None),
        };
        let tls = settings.listen.iter().map(acceptor);
        let tls = tls.collect::<Result<_, ProxyError>>()?;
        let yielding = Yielding::new(cache.clone());
        let upstreams = Upstreams::new(&settings, &yielding)?;
        let site = Site {
            yielding,
            service: cache
                .layer()
                .tell_passed()
                .doubt_paths()
                .ask_for_codings(settings.codings()?)
                .layer(upstreams.clone()),
            fallback: upstreams.first_authority(),
            access_log: None,
            door: None,
            live: None,
            feed: None,
            push: None,
            settings,
        };
        Ok(Self {
            site: Arc::new(site),
            upstreams,
            tls,
        })
    }

    /// Answers what `door` takes, before the cache is asked. Default: nothing.
    #[must_use]
    pub fn door<D: Door + 'static>(mut self, door: Option<D>) -> Self {
        if let Some(site) = Arc::get_mut(&mut self.site) {
            site.door = door.map(|door| Box::new(door) as _);
        }
        self
    }

    /// Answers what `live` [takes](LiveService::takes), before the cache is asked, and closes it when the proxy drains.
    /// Its [`trusted_proxies`](tower_tagcache::live::LiveSettings::trusted_proxies) should be the
    /// [trusted peers](ProxySettings::trusted_peers). Default: nothing.
    #[must_use]
    pub fn live(mut self, live: Option<LiveService>) -> Self {
        if let Some(site) = Arc::get_mut(&mut self.site) {
            site.live = live;
        }
        self
    }

    /// Answers what `feed` [takes](ActivityService::takes), before the cache is asked. Default: nothing.
    #[must_use]
    pub fn feed(mut self, feed: Option<ActivityService>) -> Self {
        if let Some(site) = Arc::get_mut(&mut self.site) {
            site.feed = feed;
        }
        self
    }

    /// Answers what `push` [takes](PushService::takes), before the cache is asked. Default: nothing.
    #[must_use]
    pub fn push(mut self, push: Option<PushService>) -> Self {
        if let Some(site) = Arc::get_mut(&mut self.site) {
            site.push = push;
        }
        self
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// How the upstreams are.
    pub fn upstreams(&self) -> UpstreamStatuses {
        UpstreamStatuses::of(&self.upstreams)
    }

    /// Opens the listeners.
    ///
    /// # Errors
    /// If an address is in use or is none of this machine, or the access log cannot be opened.
    pub async fn bind(self) -> Result<BoundProxy, ProxyError> {
        let mut this = self;
        if let Some(settings) = &this.site.settings.access_log {
            let log = AccessLog::open(settings)?;
            if let Some(site) = Arc::get_mut(&mut this.site) {
                site.access_log = Some(log);
            }
        }
        let mut listeners = Vec::new();
        for listen in &this.site.settings.listen {
            let address = listen.address;
            let bound = TcpListener::bind(address).await;
            let error = |error| ProxyError::because(format!("cannot listen on {address}"), error);
            listeners.push(bound.map_err(error)?);
        }
        Ok(BoundProxy {
            proxy: this,
            listeners,
        })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Proxy");
        debug.field("settings", &self.site.settings);
        debug.finish_non_exhaustive()
    }
}

/// A proxy that listens. Connections wait until it [runs](BoundProxy::run).
#[derive(Debug)]
pub struct BoundProxy {
    proxy: Proxy,
    listeners: Vec<TcpListener>,
}

impl BoundProxy {
    /// The addresses that clients can connect to, in the order of the settings.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.listeners.iter().map(TcpListener::local_addr);
        addresses.filter_map(Result::ok).collect()
    }

    /// How the upstreams are.
    pub fn upstreams(&self) -> UpstreamStatuses {
        self.proxy.upstreams()
    }

    /// Serves until `shutdown` resolves; then accepts no more, finishes what is under way, and cuts
    /// off what is not finished after [`Timeouts::drain`](crate::proxy::Timeouts::drain).
    ///
    /// # Cancel safety
    /// Dropping the future cuts off everything at once.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> DrainReport {
        let Self { proxy, listeners } = self;
        let settings = &proxy.site.settings;
        let drain = Drain::new();
        let places = settings.limits.connections.max(1);
        let entrance = Entrance {
            site: Arc::clone(&proxy.site),
            protocols: Arc::new(Protocols::new(settings)),
            places: Arc::new(Semaphore::new(places)),
        };
        let open = listeners.into_iter().zip(&proxy.tls);
        let open = join_all(open.map(|(listener, tls)| {
            let stage = drain.stage();
            entrance.stand_open(listener, tls.as_ref(), stage)
        }));
        let mut open = pin!(open);
        let mut upkeep = pin!(maintain(proxy.upstreams.clone()));
        tokio::select! {
            () = shutdown => {}
            _ = open.as_mut() => {}
            () = upkeep.as_mut() => {}
        }
        if let Some(live) = &proxy.site.live {
            // Its streams end by themselves only.
            live.close();
        }
        drain.begin();
        open.await;
        if timeout(settings.timeouts.drain, drain.empty())
            .await
            .is_ok()
        {
            return DrainReport { cut_off: 0 };
        }
        let cut_off = places - entrance.places.available_permits();
        drain.cut_off();
        // Those that do not go now hang in a destructor; they are not worth waiting for.
        let _ = timeout(LAST_MOMENT, drain.empty()).await;
        DrainReport { cut_off }
    }
}

/// Where connections come in.
struct Entrance {
    site: Arc<Site>,
    protocols: Arc<Protocols>,
    /// One for each connection that there may be.
    places: Arc<Semaphore>,
}

impl Entrance {
    /// Accepts connections until the proxy drains. One that finds no place waits, unaccepted.
    async fn stand_open(&self, listener: TcpListener, tls: Option<&TlsAcceptor>, stage: Stage) {
        let mut until = stage.clone();
        let mut draining = pin!(until.draining());
        loop {
            let accept = async {
                let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
                Some((place, listener.accept().await))
            };
            let accepted = tokio::select! {
                accepted = accept => accepted,
                () = draining.as_mut() => return,
            };
            let Some((permit, accepted)) = accepted else {
                return;
            };
            match accepted {
                Ok((tcp, address)) => {
                    let accepted = Arrival {
                        site: Arc::clone(&self.site),
                        protocols: Arc::clone(&self.protocols),
                        tls: tls.cloned(),
                        stage: stage.clone(),
                        tcp,
                        address,
                        permit,
                    };
                    tokio::spawn(accepted.serve());
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// How a proxy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections and tunnels that were cut off because they were not finished in time.
    pub cut_off: usize,
}
