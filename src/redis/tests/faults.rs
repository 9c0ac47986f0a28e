//! Redis away, slow, hung, or not letting us in.

use std::time::Duration;

use tagcache_test_support::{Forwarder, Logged, RedisServer};

use super::{Budgets, Node, PATIENT, eventually, kind};
use crate::error::ErrorKind;
use crate::position::Position;
use crate::store::contract::{LONG, key, response};

/// Budgets short enough to be waited for.
pub(super) const SHORT: Budgets = Budgets {
    connect: Duration::from_millis(200),
    read: Duration::from_millis(25),
    write: Duration::from_millis(25),
    purge: Duration::from_millis(50),
};

#[tokio::test]
async fn p3_nothing_connects_until_it_is_used() {
    let server = RedisServer::start();
    let forwarder = Forwarder::start(server.addr()).await;
    let node = Node::new(&forwarder.url());
    assert_eq!(forwarder.accepted(), 0);
    node.tip().await.unwrap();
    assert_eq!(forwarder.accepted(), 1);
}

#[tokio::test]
async fn p3_a_server_that_is_absent_at_the_start_is_picked_up_when_it_comes() {
    let mut server = RedisServer::start();
    server.stop();
    let node = Node::new(&server.url());
    assert_eq!(kind(node.lookup().await), Some(ErrorKind::Unavailable));
    assert_eq!(kind(node.tip().await), Some(ErrorKind::Unavailable));
    let refused = node
        .log()
        .append(&crate::log::contract::purge("a", 1))
        .await;
    assert_eq!(kind(refused), Some(ErrorKind::Unavailable));
    server.restart();
    // Not before the pause is over, and then at the first try.
    assert_eq!(kind(node.lookup().await), Some(ErrorKind::Unavailable));
    node.clock.advance(Duration::from_secs(5));
    let tip = node.lookup().await.unwrap();
    assert_eq!(tip.ordinal, 0);
    assert_eq!(node.append("a").await, Position { ordinal: 1, ..tip });
}

#[tokio::test]
async fn safety_57_a_hung_server_costs_the_budget_until_the_breaker_opens_and_nothing_after() {
    let server = RedisServer::start();
    let node = Node::with(&server.url(), SHORT);
    let before = eventually(|| node.lookup()).await;
    server.suspend();
    for _ in 0..5 {
        assert_eq!(kind(node.lookup().await), Some(ErrorKind::Timeout));
    }
    assert_eq!(node.told("BreakerOpened"), 1);
    for _ in 0..1_000 {
        // At once: a future that needs no I/O is ready when first polled.
        let refused = futures_util::FutureExt::now_or_never(node.lookup());
        assert_eq!(refused.and_then(kind), Some(ErrorKind::BreakerOpen));
    }
    let refused = node
        .store()
        .put(&key("/a"), response(&key("/a"), "v1"), LONG)
        .await;
    // Without heartbeats, the link of the stores finds out by itself.
    assert_eq!(kind(refused), Some(ErrorKind::Timeout));

    server.resume();
    let after = eventually(|| {
        node.clock.advance(Duration::from_secs(5));
        node.lookup()
    })
    .await;
    assert_eq!(after, before);
    assert_eq!(node.told("BreakerClosed"), 1);
}

/// A heartbeat that fails speaks for all links, and one that is answered for lookups; the link of the stores is asked
/// itself.
#[tokio::test]
async fn safety_88_heartbeats_open_and_close_the_breakers_and_no_request_probes() {
    let server = RedisServer::start();
    let node = Node::with(&server.url(), SHORT);
    let before = eventually(|| node.tip()).await;
    let put = async || {
        let key = key("/a");
        node.store().put(&key, response(&key, "v1"), LONG).await
    };
    eventually(|| node.lookup()).await;
    eventually(&put).await;
    let pulse = node.log().pulse();
    let _kept = pulse.keep();
    server.suspend();
    // Until one counts: a time-out that this process noticed late does not.
    while !pulse.is_silent() {
        assert!(node.tip().await.is_err());
    }
    assert_eq!(node.told("BreakerOpened"), 1);
    for hour in 0..100 {
        // However long it lasts, and at once: a future that needs no I/O is ready when first polled.
        node.clock.advance(Duration::from_secs(3_600 * hour));
        let refused = futures_util::FutureExt::now_or_never(node.lookup());
        assert_eq!(refused.and_then(kind), Some(ErrorKind::BreakerOpen));
        assert_eq!(kind(put().await), Some(ErrorKind::BreakerOpen));
    }
    let why = node.log().troubles();
    assert_eq!((why.len(), why[0].part), (1, "heartbeat"), "{why:?}");

    server.resume();
    // No clock is moved: that heartbeats are answered is enough.
    let after = eventually(async || {
        let _ = node.tip().await;
        node.lookup().await
    });
    assert_eq!(after.await, before);
    assert_eq!(node.told("BreakerClosed"), 1);
    assert!(!pulse.is_silent());
    eventually(async || {
        let _ = node.tip().await;
        put().await
    })
    .await;
    assert_eq!(node.log().troubles(), []);
}

#[tokio::test]
async fn safety_57_a_half_open_socket_is_given_up_and_replaced() {
    let server = RedisServer::start();
    let forwarder = Forwarder::start(server.addr()).await;
    let node = Node::with(&forwarder.url(), SHORT);
    let before = eventually(|| node.tip()).await;
    let connected = forwarder.accepted();
    forwarder.stall();
    for _ in 0..3 {
        assert_eq!(kind(node.tip().await), Some(ErrorKind::Timeout));
    }
    forwarder.resume();
    let after = eventually(|| {
        node.clock.advance(Duration::from_secs(5));
        node.tip()
    })
    .await;
    assert_eq!(after, before);
    assert!(forwarder.accepted() > connected, "still on the dead socket");
}

#[tokio::test]
async fn safety_57_a_follower_on_a_half_open_socket_notices() {
    let server = RedisServer::start();
    let forwarder = Forwarder::start(server.addr()).await;
    let node = Node::new(&forwarder.url());
    let tip = node.tip().await.unwrap();
    let wait = Duration::from_millis(10);
    assert!(node.log().read_after(tip, wait).await.unwrap().is_empty());
    forwarder.stall();
    let hung = node.log().read_after(tip, wait).await;
    assert_eq!(kind(hung), Some(ErrorKind::Timeout));
    forwarder.resume();
    assert!(node.log().read_after(tip, wait).await.unwrap().is_empty());
}

/// `BLOCK` longer than every budget: the follower's connection has no other time limit.
#[tokio::test]
async fn safety_65_a_blocked_read_outlasts_every_budget_and_disturbs_nobody() {
    let server = RedisServer::start();
    let node = Node::with(&server.url(), SHORT);
    let tip = eventually(|| node.tip()).await;
    let wait = SHORT.connect * 2;
    let reading = node.log().read_after(tip, wait);
    let meanwhile = async {
        eventually(|| node.lookup()).await;
    };
    let (read, ()) = tokio::join!(reading, meanwhile);
    assert_eq!(read.unwrap(), []);
}

#[tokio::test]
async fn safety_65_a_dropped_read_leaves_nothing_blocked() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    let tip = node.tip().await.unwrap();
    let hour = Duration::from_secs(3_600);
    let reading = node.log().read_after(tip, hour);
    let blocked = |count: &'static str| {
        let server = &server;
        async move {
            let line = format!("blocked_clients:{count}");
            while !server.info("clients").await.contains(&line) {}
        }
    };
    tokio::select! {
        _ = reading => panic!("returned without a record"),
        () = blocked("1") => {}
    }
    blocked("0").await;
    node.append("a").await;
    assert_eq!(node.log().read_after(tip, hour).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_the_right_one_is_picked_up() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let url = |password| format!("redis://:{password}@127.0.0.1:{}", server.port());
    let node = Node::new(&url("wrong-secret"));
    let error = node.lookup().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(!format!("{error} {error:?}").contains("wrong-secret"));
    assert_eq!(
        kind(Node::new(&server.url()).lookup().await),
        Some(ErrorKind::Denied)
    );

    // The operator corrects it on the server.
    server
        .admin("right", "CONFIG SET requirepass wrong-secret")
        .await;
    node.clock.advance(Duration::from_secs(5));
    assert_eq!(node.lookup().await.unwrap().ordinal, 0);
}

#[tokio::test]
async fn a_change_of_state_is_logged_once_and_without_the_secret() {
    let server = RedisServer::start_with(&["--requirepass", "right-secret"]);
    let logged = Logged::begin();
    let url = format!("redis://:wrong-secret@127.0.0.1:{}", server.port());
    let node = Node::new(&url);
    for _ in 0..3 {
        assert!(node.tip().await.is_err());
        node.clock.advance(Duration::from_secs(5));
    }
    server
        .admin("right-secret", "CONFIG SET requirepass wrong-secret")
        .await;
    for _ in 0..3 {
        node.tip().await.unwrap();
    }
    assert_eq!(logged.count("ERROR"), 1, "{}", logged.text());
    assert_eq!(logged.count("redis refuses us"), 1, "{}", logged.text());
    assert_eq!(logged.count("redis is in use"), 1, "{}", logged.text());
    assert_eq!(logged.count("secret"), 0, "{}", logged.text());
}

#[tokio::test]
async fn p3_a_server_that_does_not_let_us_in_opens_the_breaker() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let node = Node::new(&server.url());
    for _ in 0..5 {
        assert_eq!(kind(node.lookup().await), Some(ErrorKind::Denied));
    }
    assert_eq!(kind(node.lookup().await), Some(ErrorKind::BreakerOpen));
}

/// Redis 6, and managed servers: one section of `INFO` at a time, none, or no `ROLE`.
#[tokio::test]
async fn a_lesser_server_loses_a_guarantee_and_nothing_else() {
    for denied in ["-info", "-role", "-info -role -wait"] {
        let server = RedisServer::start();
        let user = format!("ACL SETUSER lesser on >pw ~* &* +@all {denied}");
        server.run(&user).await;
        let node = Node::new(&format!("redis://lesser:pw@127.0.0.1:{}", server.port()));
        let opened = node.tip().await.unwrap();
        let position = node.append("a").await;
        assert_eq!(
            position,
            Position {
                ordinal: 1,
                ..opened
            },
            "{denied}"
        );
        assert_eq!(node.lookup().await.unwrap(), position, "{denied}");
        let read = node.log().read_after(opened, Duration::ZERO).await.unwrap();
        assert_eq!(read.len(), 1, "{denied}");
        server.command(&["DEL", "test:purges"]).await;
        assert_ne!(node.lookup().await.unwrap().epoch, opened.epoch, "{denied}");
    }
}

#[tokio::test]
async fn both_protocol_versions_work() {
    for protocol in ["resp2", "resp3"] {
        let server = RedisServer::start();
        let node = Node::new(&format!("{}?protocol={protocol}", server.url()));
        let opened = node.tip().await.unwrap();
        let position = node.append("a").await;
        assert_eq!(node.lookup().await.unwrap(), position, "{protocol}");
        let read = node.log().read_after(opened, Duration::ZERO).await.unwrap();
        assert_eq!(read[0].position, position, "{protocol}");
        assert!(
            node.log()
                .read_after(position, Duration::from_millis(1))
                .await
                .unwrap()
                .is_empty()
        );
    }
}

/// SAFETY 58: many requests that need a connection make one.
#[tokio::test]
async fn safety_58_a_crowd_makes_one_connection() {
    let server = RedisServer::start();
    let forwarder = Forwarder::start(server.addr()).await;
    let node = Node::with(&forwarder.url(), PATIENT);
    let crowd = (0..200).map(|_| node.lookup());
    let looked = futures_util::future::join_all(crowd).await;
    assert!(looked.iter().all(Result::is_ok));
    assert_eq!(forwarder.accepted(), 1);
}

/// SAFETY 58: a server that takes connections and drops them is not hammered.
#[tokio::test]
async fn safety_58_connections_that_do_not_last_are_paced() {
    let server = RedisServer::start();
    let forwarder = Forwarder::start(server.addr()).await;
    let node = Node::new(&forwarder.url());
    forwarder.refuse();
    for _ in 0..200 {
        assert!(node.tip().await.is_err());
    }
    assert!(
        forwarder.accepted() <= 2,
        "{} connections",
        forwarder.accepted()
    );
}
