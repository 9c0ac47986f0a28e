//! P3: what Redis refuses or loses is told: once in the log for each change, in `health`, and to the observer
//! (SAFETY 92, 94 to 97).

use std::sync::Arc;

use tagcache_test_support::{Fleet, Logged, Node, RedisServer, until};
use tower_tagcache::{Error, ErrorKind};

fn trouble(node: &Node, part: &str) -> Option<String> {
    let troubles = node.cache.health().troubles;
    let trouble = troubles.into_iter().find(|trouble| trouble.part == part);
    trouble.map(|trouble| trouble.message)
}

/// Asks for other URLs until that part is in trouble, or is not any more.
async fn until_told(node: &Node, part: &str, expected: bool) -> Option<String> {
    let mut number = 0;
    until("the state is told", async || {
        number += 1;
        node.get(&format!("/item/{part}-{expected}-{number}")).await;
        trouble(node, part).is_some() == expected
    })
    .await;
    trouble(node, part)
}

#[tokio::test]
async fn safety_94_refused_stores_are_told_once_with_what_to_do() {
    for (refuse, allow, code, advice) in [
        (
            &["CONFIG", "SET", "maxmemory", "1"][..],
            &["CONFIG", "SET", "maxmemory", "0"][..],
            "OOM",
            "raise maxmemory",
        ),
        (
            &["ACL", "SETUSER", "default", "-set"],
            &["ACL", "SETUSER", "default", "+set"],
            "NOPERM",
            "let the ACL user",
        ),
    ] {
        let logged = Logged::begin();
        let fleet = Fleet::private();
        let node = fleet.companied();
        node.warm("/item/7").await;
        fleet.server.command(refuse).await;
        let message = until_told(&node, "stores", true).await.expect("told");
        assert!(
            message.contains(code) && message.contains(advice),
            "{message}"
        );
        for number in 0..50 {
            node.get(&format!("/item/more-{number}")).await;
        }
        let line = "redis does not store responses";
        assert_eq!(logged.count(line), 1, "{}", logged.text());
        // What is stored is served, and nothing else is said to fail.
        assert!(node.get("/item/7").await.is_hit());
        let troubles = node.cache.health().troubles;
        assert_eq!(troubles.len(), 1, "{troubles:?}");
        fleet.server.command(allow).await;
        until_told(&node, "stores", false).await;
        assert_eq!(
            logged.count("stores responses again"),
            1,
            "{}",
            logged.text()
        );
        assert_eq!(logged.count(line), 1, "{}", logged.text());
    }
}

#[tokio::test]
async fn safety_96_a_lost_replica_and_a_master_that_is_cut_off_are_told() {
    let logged = Logged::begin();
    let fleet = Fleet::private();
    let mut replica = RedisServer::start();
    replica.replica_of(&fleet.server).await;
    let node = fleet.companied();
    until("the log is followed", async || node.cache.health().followed).await;
    assert_eq!(trouble(&node, "replicas"), None);
    assert_eq!(
        logged.count("min-replicas-to-write is not set"),
        1,
        "{}",
        logged.text()
    );
    replica.stop();
    until("the loss is told", async || {
        trouble(&node, "replicas").is_some()
    })
    .await;
    let message = trouble(&node, "replicas").expect("told");
    assert!(message.contains("0 of 1 replicas"), "{message}");
    until("the log says so", async || {
        logged.count("0 of 1 replicas") == 1
    })
    .await;

    fleet.server.run("CONFIG SET min-replicas-to-write 1").await;
    until("heartbeats are refused", async || {
        trouble(&node, "heartbeat").is_some_and(|why| why.contains("NOREPLICAS"))
    })
    .await;
    let message = trouble(&node, "heartbeat").expect("told");
    assert!(message.contains("bring them back"), "{message}");
    assert!(!node.cache.health().followed);
    assert!(!node.get("/item/7").await.is_hit());
}

/// Why a purge is pending, in one line and as its source.
async fn pending(node: &Node) -> Error {
    let error = node
        .purger()
        .tag("item:7")
        .await
        .expect_err("not in the log");
    assert_eq!(error.kind(), ErrorKind::Pending);
    let cause = std::error::Error::source(&error).expect("it has a cause");
    assert!(error.to_string().contains(&cause.to_string()), "{error}");
    error
}

#[tokio::test]
async fn safety_95_a_purge_that_is_pending_says_why() {
    let closed = RedisServer::start_with(&["--requirepass", "right-secret"]);
    let fleet = Fleet::on(Arc::new(closed));
    let port = fleet.server.port();
    for (url, why) in [
        (
            format!("redis://:wrong-secret@127.0.0.1:{port}"),
            "see whether user and password",
        ),
        (
            format!("redis://127.0.0.1:{port}"),
            "put the password into the URL",
        ),
        ("redis://127.0.0.1:1".to_owned(), "is a Redis running there"),
        (
            "redis://no-such-host.invalid:6379".to_owned(),
            "host's name",
        ),
    ] {
        let error = pending(&fleet.node_by(fleet.builder_at(url)))
            .await
            .to_string();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let full = Fleet::private();
    let node = full.node();
    node.warm("/item/7").await;
    full.server.run("CONFIG SET maxmemory 1").await;
    let error = pending(&node).await.to_string();
    assert!(
        error.contains("OOM") && error.contains("raise maxmemory"),
        "{error}"
    );
}

/// SAFETY 92: with nothing but one link failing, that alone is told.
#[tokio::test]
async fn safety_92_a_purge_that_is_refused_does_not_stop_lookups() {
    let logged = Logged::begin();
    let fleet = Fleet::private();
    let node = fleet.companied();
    node.warm("/item/7").await;
    fleet
        .server
        .command(&["ACL", "SETUSER", "default", "-xadd"])
        .await;
    for _ in 0..30 {
        pending(&node).await;
    }
    until("it is told", async || trouble(&node, "purges").is_some()).await;
    node.warm("/item/8").await;
    assert_eq!(node.cache.health().troubles.len(), 1);
    assert_eq!(
        logged.count("redis does not take purges"),
        1,
        "{}",
        logged.text()
    );
    assert_eq!(logged.count("redis cannot be used"), 0, "{}", logged.text());
    fleet
        .server
        .command(&["ACL", "SETUSER", "default", "+xadd"])
        .await;
    until("it is told", async || trouble(&node, "purges").is_none()).await;
}

#[tokio::test]
async fn safety_97_a_program_can_ask_at_its_start_who_the_server_is() {
    let fleet = Fleet::new();
    let node = fleet.node();
    assert_eq!(node.cache.health().server, None);
    let position = node.cache.connect().await.expect("it is there");
    assert_eq!(position.ordinal, 0);
    let server = node.cache.health().server.expect("it was reached");
    assert!(
        server.starts_with("Redis ") || server.starts_with("Valkey "),
        "{server}"
    );
    let away = fleet.node_by(fleet.builder_at("redis://127.0.0.1:1"));
    let error = away.cache.connect().await.expect_err("nobody is there");
    assert!(
        error.to_string().contains("is a Redis running there"),
        "{error}"
    );
}
