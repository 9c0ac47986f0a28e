//! Real Sentinels over a master and its replica.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use tagcache_test_support::RedisSentinels;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::observe::SharedObserver;
use crate::redis::{RedisPlaces, Server};

use super::PATIENT;

/// What must happen does within this time, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(60);

async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "it does not happen");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The port of the server that is connected to.
async fn port_of(server: &Server) -> Option<u16> {
    let mut connection = server.connect().await.ok()?;
    let mut get = ::redis::cmd("CONFIG");
    get.arg("GET").arg("port");
    let (_, port): (String, String) = get.query_async(&mut connection.to).await.ok()?;
    port.parse().ok()
}

#[tokio::test]
async fn the_master_is_where_the_sentinels_say_that_it_is() {
    let mut house = RedisSentinels::start().await;
    let server = Server::new(&house.url(), PATIENT).unwrap();
    assert_eq!(port_of(&server).await, Some(house.master.port()));
    house.master.stop();
    let replica = Some(house.replica.port());
    until(async || (port_of(&server).await == replica).then_some(())).await;
    // One Sentinel that answers is enough to find it.
    house.sentinels.truncate(1);
    assert_eq!(port_of(&server).await, replica);
}

/// An old master that still answers is not believed any more.
#[tokio::test]
async fn trust_ends_when_the_sentinels_name_another_master() {
    let house = RedisSentinels::start().await;
    let server = Server::new(&house.url(), PATIENT).unwrap();
    let observer = SharedObserver::new(());
    let places = RedisPlaces::open(
        server,
        "test",
        Arc::new(SystemClock::new()),
        observer,
        false,
    )
    .unwrap();
    let stop = CancellationToken::new();
    let trust = Arc::clone(&places.log.verifier.trust);
    let watch = places.switches();
    let watching = tokio::spawn({
        let stop = stop.clone();
        async move { watch.run(&stop).await }
    });
    // It listens before there is another.
    for sentinel in &house.sentinels {
        until(async || {
            let clients: String = ::redis::from_redis_value(
                sentinel
                    .say(&["CLIENT", "LIST", "TYPE", "PUBSUB"])
                    .await
                    .ok()?,
            )
            .ok()?;
            clients.contains("sub=1").then_some(())
        })
        .await;
    }
    let before = trust.generation();
    house.fail_over().await;
    until(async || (trust.generation() != before).then_some(())).await;
    let replica = Some(house.replica.port());
    until(async || (port_of(&places.server).await == replica).then_some(())).await;
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_sentinels_is_said() {
    let house = RedisSentinels::start().await;
    let redis = house.master.port();
    for (url, said) in [
        (
            house.url().replace("/house", "/home"),
            "watches no master called \"home\"",
        ),
        (
            format!("redis+sentinel://127.0.0.1:{redis}/house"),
            "is no Sentinel",
        ),
        (
            "redis+sentinel://127.0.0.1:1/house".to_owned(),
            "Connection refused",
        ),
    ] {
        let server = Server::new(&url, PATIENT).unwrap();
        let error = server.connect().await.unwrap_err().to_string();
        assert!(
            error.contains("no master is known") && error.contains(said),
            "{error}"
        );
    }
}

/// The old master is cut off by nobody here: it is alive, and a replica of the new one.
#[tokio::test]
async fn purges_are_in_the_log_of_the_new_master() {
    let house = RedisSentinels::start().await;
    let (cache, companion) = crate::Cache::builder().redis(house.url()).build().unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let companion = tokio::spawn(companion.run(async move { stopped.cancelled().await }));
    let purge = async || cache.purger().tag("auctions").await.ok();
    let first = until(purge).await;
    house.fail_over().await;
    let replica = Server::new(&house.replica.url(), PATIENT).unwrap();
    // A new server is a new epoch: nothing that was stored before is believed.
    let after = until(async || {
        let purged = purge().await?;
        (purged.position.epoch != first.position.epoch).then_some(purged)
    })
    .await;
    let mut connection = replica.connect().await.unwrap();
    let mut last = ::redis::cmd("XREVRANGE");
    last.arg("tagcache:purges")
        .arg("+")
        .arg("-")
        .arg("COUNT")
        .arg(20);
    let log: Vec<(String, Value)> = last.query_async(&mut connection.to).await.unwrap();
    let position = after.position.to_string();
    assert!(
        log.iter().any(|(id, _)| *id == position),
        "{position} in {log:?}"
    );
    stop.cancel();
    companion.await.unwrap();
}
