//! Against real servers: the suites of both traits, then the protocol's rules and faults.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tagcache_test_support::RedisServer;

use super::{RedisPlaces, Server};
use crate::clock::ManualClock;
use crate::error::{Error, ErrorKind};
use crate::log::Log;
use crate::observe::{Notice, SharedObserver};
use crate::position::Position;
use crate::store::{Budgets, Store};

mod accounts;
#[cfg(feature = "activity")]
mod activity;
mod busy;
mod chunks;
mod clusters;
mod fake;
mod faults;
mod kinds;
mod replication;
mod rules;
#[cfg(feature = "tls")]
mod secured;
mod sentinels;
mod store;

/// Budgets that a loaded machine keeps as well; tests of the budgets have their own.
const PATIENT: Budgets = Budgets {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(5),
    write: Duration::from_secs(5),
    purge: Duration::from_secs(5),
};

/// One node: its own connections, trust and breaker.
struct Node {
    places: RedisPlaces,
    clock: ManualClock,
    notices: Arc<Mutex<Vec<String>>>,
}

impl Node {
    fn new(url: &str) -> Self {
        Self::with(url, PATIENT)
    }

    fn with(url: &str, budgets: Budgets) -> Self {
        let clock = ManualClock::default();
        let notices: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = Arc::clone(&notices);
        let observer = SharedObserver::new(move |notice: &Notice<'_>| {
            told.lock().push(format!("{notice:?}"));
        });
        let server = Server::new(url, budgets).unwrap();
        let places = RedisPlaces::open(server, "test", Arc::new(clock.clone()), observer, false);
        let places = places.unwrap();
        Self {
            places,
            clock,
            notices,
        }
    }

    fn log(&self) -> &dyn Log {
        &*self.places.log
    }

    fn store(&self) -> &dyn Store {
        &*self.places.store
    }

    async fn append(&self, tag: &str) -> Position {
        crate::log::contract::append(self.log(), tag).await
    }

    /// The tip that a heartbeat reads.
    async fn tip(&self) -> Result<Position, Error> {
        self.log().tip().await.map(|tip| tip.position)
    }

    /// The tip that a lookup reads.
    async fn lookup(&self) -> Result<Position, Error> {
        self.store().get(&[]).await.map(|found| found.tip.position)
    }

    fn told(&self, what: &str) -> usize {
        let notices = self.notices.lock();
        notices
            .iter()
            .filter(|notice| notice.contains(what))
            .count()
    }
}

fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// Tries until it succeeds; what never does is a test that hangs until it is killed.
async fn eventually<T, F>(attempt: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        if let Ok(value) = attempt().await {
            return value;
        }
        tokio::task::yield_now().await;
    }
}

struct Fixture(RedisServer);

fn fixture() -> Fixture {
    Fixture(RedisServer::start())
}

impl crate::log::contract::Fixture for Fixture {
    fn node(&self) -> Arc<dyn Log> {
        Node::new(&self.0.url()).places.log
    }

    async fn lose(&self) {
        self.0.run("FLUSHALL").await;
    }
}

impl crate::store::contract::Fixture for Fixture {
    fn node(&self) -> (Arc<dyn Store>, Arc<dyn Log>) {
        let places = Node::new(&self.0.url()).places;
        (places.store, places.log)
    }

    /// Redis expires by its own clock: waits for it to say so.
    async fn outlive(&self, keep: Duration) {
        let key = "test:outlived";
        let keep = keep.as_millis().to_string();
        self.0.command(&["SET", key, "1", "PX", &keep]).await;
        while self.0.command(&["EXISTS", key]).await == ::redis::Value::Int(1) {}
    }

    async fn lose_log(&self) {
        self.0.run("DEL test:purges").await;
    }
}

crate::log::contract::log_contract!(fixture());
crate::store::contract::store_contract!(fixture());

#[tokio::test]
async fn no_more_connections_are_open_than_allowed() {
    let server = RedisServer::start();
    let budgets = Budgets {
        connect: Duration::from_millis(200),
        ..PATIENT
    };
    let limited = Server::limited(&server.url(), budgets, Some(2)).unwrap();
    let first = limited.connect().await.unwrap();
    let _second = limited.connect().await.unwrap();
    let clone = first.clone();
    let error = limited.connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(
        error
            .to_string()
            .contains("all connections allowed are in use")
    );
    // The place is free when the last clone is gone.
    drop(first);
    assert!(limited.connect().await.is_err());
    drop(clone);
    limited.connect().await.unwrap();
}
