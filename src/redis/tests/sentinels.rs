//! Real Sentinels over a master and its replica.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use tagcache_test_support::{RedisSentinels, RedisServer, SentinelServer};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::chance::unique_word;
use crate::clock::SystemClock;
use crate::observe::SharedObserver;
use crate::redis::{CredentialSource, RedisLogin, RedisPlaces, Server};

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

/// Sentinels and master have users and passwords of their own, which both change; RESP3 and the database stay.
#[tokio::test]
async fn sentinels_have_credentials_of_their_own() {
    let master = RedisServer::start();
    master.run("ACL SETUSER cache on >masters ~* +@all").await;
    let users = "user default on nopass ~* &* +@all\n\
                 user finder on >sentinels allchannels -@all +auth +hello +subscribe +sentinel|get-master-addr-by-name\n";
    let sentinel = SentinelServer::start_with(master.port(), users);
    let file = std::env::temp_dir().join(format!("tagcache-sentinel-password-{}", unique_word()));
    let place = format!("127.0.0.1:{}/house/3?protocol=resp3", sentinel.port());
    let url = format!("redis+sentinel://{place}");
    let server = |login: &RedisLogin| {
        let source = RedisLogin::new().username("cache").password("masters");
        let server = Server::new(&url, PATIENT).unwrap();
        let source = CredentialSource::Login(source);
        server.with_credentials(source, login).unwrap()
    };
    std::fs::write(&file, "wrong").unwrap();
    let login = RedisLogin::new().username("finder").password_file(&file);
    let server = server(&login);
    until(async || sentinel.say(&["PING"]).await.ok()).await;
    let error = server.connect().await.unwrap_err().to_string();
    assert!(
        error.contains("does not let us in") && error.contains("[redis.sentinel]"),
        "{error}"
    );
    assert!(
        !error.contains("masters") && !error.contains("wrong\""),
        "{error}"
    );
    // The file is read for each connection.
    std::fs::write(&file, "sentinels").unwrap();
    let mut connection = server.connect().await.unwrap();
    let mut ask = ::redis::cmd("CLIENT");
    let info: String = ask
        .arg("INFO")
        .query_async(&mut connection.to)
        .await
        .unwrap();
    for field in ["user=cache", "db=3", "resp=3"] {
        assert!(info.contains(field), "{field}: {info}");
    }
    // Nobody else is let in, and that is said.
    let off = sentinel.say(&["ACL", "SETUSER", "default", "off"]);
    off.await.unwrap();
    let nobody = Server::new(&url, PATIENT).unwrap();
    let error = nobody.connect().await.unwrap_err().to_string();
    assert!(error.contains("[redis.sentinel]"), "{error}");
    server.connect().await.unwrap();
    let _ = std::fs::remove_file(file);
}

/// Events are read from the new master while the old one hangs.
#[tokio::test]
async fn safety_143_events_go_on_at_the_new_master() {
    let house = RedisSentinels::start().await;
    let on = crate::On::event("paid").purge("order:{id}");
    let format = crate::Format::json(crate::Payload::field("data")).event_name("type");
    let (cache, companion) = crate::Cache::builder()
        .redis(house.url())
        .stream(crate::Stream::new("orders", format).on(on))
        .build()
        .unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let companion = tokio::spawn(companion.run(async move { stopped.cancelled().await }));
    let taken = async |server: &RedisServer| {
        let event = "{\"type\":\"paid\",\"id\":7}";
        server
            .try_command(&["XADD", "orders", "*", "data", event])
            .await
            .ok()?;
        let pending = server
            .try_command(&["XINFO", "GROUPS", "orders"])
            .await
            .ok()?;
        let groups: Vec<std::collections::HashMap<String, Value>> =
            ::redis::from_redis_value(pending).ok()?;
        let read = groups.first()?.get("entries-read")?.clone();
        let read: i64 = ::redis::from_redis_value(read).ok()?;
        (read > 1).then_some(())
    };
    until(async || taken(&house.master).await).await;
    // It hangs, with all connections open.
    house.master.suspend();
    until(async || {
        let role = house.replica.try_command(&["ROLE"]).await.ok()?;
        let role = role.as_sequence()?.first()?.clone();
        let role: String = ::redis::from_redis_value(role).ok()?;
        (role == "master").then_some(())
    })
    .await;
    let promoted = Instant::now();
    let before = house.replica.calls("xreadgroup").await;
    until(async || taken(&house.replica).await).await;
    until(async || (house.replica.calls("xreadgroup").await > before).then_some(())).await;
    println!("events after {:?}", promoted.elapsed());
    drop(cache);
    house.master.resume();
    stop.cancel();
    companion.await.unwrap();
}
