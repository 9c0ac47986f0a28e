//! Live updates over sockets: server-sent events and WebSocket, on the embedded store and on Redis.

#![allow(clippy::unwrap_used, reason = "tests")]

mod counts;
mod events;
mod faults;
mod resuming;
mod socket;
mod told;
mod who;

use std::net::SocketAddr;
use std::time::Duration;

use tagcache_test_support::{EventClient, Served, ServerEvent, ends, serve, until};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_tagcache::live::{LiveService, LiveSettings};
use tower_tagcache::{Cache, CacheBuilder, Companion, Update};

const ADDRESS: &str = "0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";

/// A cache of its own with live updates on a socket, until it is dropped.
struct House {
    cache: Cache,
    live: LiveService,
    served: Served,
    companion: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl House {
    /// On an embedded store, with its companion.
    async fn open(settings: LiveSettings) -> Self {
        let house = Self::closed(Cache::builder(), settings).await;
        house.joined().await;
        house
    }

    /// Whose companion runs, and may not have joined.
    async fn closed(builder: CacheBuilder, settings: LiveSettings) -> Self {
        let (cache, companion) = builder.build().unwrap();
        let mut house = Self::without_companion(cache, settings).await;
        house.accompany(companion);
        house
    }

    async fn without_companion(cache: Cache, settings: LiveSettings) -> Self {
        let live = cache.live(&settings).unwrap();
        Self {
            served: serve(live.clone()).await,
            cache,
            live,
            companion: None,
        }
    }

    fn accompany(&mut self, companion: Companion) {
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        self.companion = Some((stop, tokio::spawn(companion.run(shutdown))));
    }

    async fn joined(&self) {
        until("the log is joined", async || {
            self.cache.position().is_some()
        })
        .await;
    }

    fn address(&self) -> SocketAddr {
        self.served.address
    }

    async fn listen(&self, path: &str) -> EventClient {
        let mut client = EventClient::open(self.address(), path, &[]).await;
        assert_eq!(client.status, 200, "{path}");
        let opening = ends("the opening", client.next()).await.unwrap();
        assert!(opening.data.is_none() && opening.retry.is_some());
        client
    }

    async fn tell(&self, update: Update) {
        let subject = update.subject().to_owned();
        self.cache
            .purger()
            .announcing(update)
            .tag(&subject)
            .await
            .unwrap();
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.companion {
            task.abort();
        }
    }
}

fn sale(auction: &str, amount: u128) -> Update {
    let update = Update::new("sale", format!("auction:{auction}")).unwrap();
    let update = update.with_identity(format!("{auction}/{amount}")).unwrap();
    update.with_field("amount", amount.to_string()).unwrap()
}

/// What an event of [`sale`] says.
fn amount(event: &ServerEvent) -> &str {
    event.data.as_ref().unwrap()["data"]["amount"]
        .as_str()
        .unwrap()
}

fn address(number: u64) -> String {
    format!("0x{number:040x}")
}

const SOON: Duration = Duration::from_millis(50);
