//! Servers that cannot work, and those that hide what they are: told by name, or tried (SAFETY 90 and 97).

use super::fake::{Fake, bulk};
use super::{Node, kind};
use crate::error::ErrorKind;
use tagcache_test_support::{Logged, RedisServer};

const INVALID_ID: &str = "-ERR Invalid stream ID specified as stream command argument\r\n";

/// As Redis before 7.0: one section of `INFO` at a time, and no `E-*`.
fn before_7(info: &'static str) -> impl Fn(&[String]) -> Option<String> + Send + Sync {
    move |command| match &*command[0].to_ascii_uppercase() {
        "INFO" if command.len() > 2 => Some("-ERR syntax error\r\n".into()),
        "INFO" => Some(bulk(info)),
        "XADD" if command.iter().any(|part| part.ends_with("-*")) => Some(INVALID_ID.into()),
        _ => None,
    }
}

/// As a server that answers `INFO` so, and knows everything else.
fn saying(info: &'static str) -> impl Fn(&[String]) -> Option<String> + Send + Sync {
    move |command| (command[0].eq_ignore_ascii_case("INFO")).then(|| bulk(info))
}

/// What every way to the server ends in.
async fn refusals(node: &Node) -> Vec<String> {
    let record = crate::log::contract::purge("a", 1);
    let errors = [
        node.tip().await.unwrap_err(),
        node.lookup().await.unwrap_err(),
        node.log().append(&record).await.unwrap_err(),
        node.log().tail(1).await.unwrap_err(),
    ];
    for error in &errors {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    errors.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn safety_90_a_server_that_is_too_old_is_refused_by_name() {
    for (info, name) in [
        (
            "redis_version:6.2.14\r\nrole:master\r\nmaster_replid:a\r\nrun_id:b",
            "Redis 6.2.14",
        ),
        (
            "redis_version:5.0.7\r\nrole:master\r\nmaster_replid:a\r\nrun_id:b",
            "Redis 5.0.7",
        ),
        (
            "redis_version:6.3.4\r\nkeydb_version:6.3.4\r\nrole:master",
            "KeyDB 6.3.4",
        ),
    ] {
        let fake = Fake::start(before_7(info)).await;
        let node = Node::new(&fake.url());
        for message in refusals(&node).await {
            assert!(message.contains(name), "{message}");
            assert!(message.contains("Redis 7.0"), "{message}");
        }
        let troubles = node.log().troubles();
        assert!(troubles[0].message.contains(name), "{troubles:?}");
        assert_eq!(node.log().server().as_deref(), Some(name));
    }
}

/// One that hides `INFO`, or is a program of another name, is tried, and nothing is written by that.
#[tokio::test]
async fn safety_90_a_server_that_hides_what_it_is_is_tried() {
    let hides = |command: &[String]| {
        let info = command[0].eq_ignore_ascii_case("INFO");
        info.then(|| "-NOPERM this user has no permissions\r\n".to_owned())
    };
    let old = before_7("");
    let fake = Fake::start(move |command| hides(command).or_else(|| old(command))).await;
    for message in refusals(&Node::new(&fake.url())).await {
        assert!(message.contains("does not say which version"), "{message}");
    }
    let other = before_7("redis_version:7.4.0\r\ndragonfly_version:df-v1.0.0\r\nrole:master");
    let fake = Fake::start(other).await;
    for message in refusals(&Node::new(&fake.url())).await {
        assert!(message.contains("Dragonfly df-v1.0.0"), "{message}");
    }
    let server = RedisServer::start();
    server
        .run("ACL SETUSER lesser on >pw ~* &* +@all -info")
        .await;
    let node = Node::new(&format!("redis://lesser:pw@127.0.0.1:{}", server.port()));
    let opened = node.tip().await.unwrap();
    assert_eq!(node.append("a").await.ordinal, opened.ordinal + 1);
}

#[tokio::test]
async fn safety_97_a_cluster_node_or_a_sentinel_is_refused_by_name() {
    for (info, name) in [
        (
            "redis_version:7.0.15\r\nredis_mode:cluster\r\nrole:master",
            "Redis Cluster",
        ),
        (
            "redis_version:6.2.14\r\nredis_mode:cluster\r\nrole:master",
            "Redis Cluster",
        ),
        ("redis_version:7.0.15\r\nredis_mode:sentinel", "Sentinel"),
    ] {
        let fake = Fake::start(saying(info)).await;
        for message in refusals(&Node::new(&fake.url())).await {
            assert!(message.contains(name), "{message}");
        }
    }
}

/// With a real node, and one whose `INFO` does not say that it is one.
#[tokio::test]
async fn safety_97_a_cluster_node_never_misses_in_silence() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let slots: Vec<String> = (0..16_384).map(|slot: u32| slot.to_string()).collect();
    let mut add = vec!["CLUSTER", "ADDSLOTS"];
    add.extend(slots.iter().map(String::as_str));
    server.command(&add).await;
    for message in refusals(&Node::new(&server.url())).await {
        assert!(message.contains("Redis Cluster"), "{message}");
    }
    let moved = |command: &[String]| match &*command[0].to_ascii_uppercase() {
        "INFO" => Some(bulk(
            "redis_version:7.0.15\r\nrole:master\r\nmaster_replid:a",
        )),
        "XREVRANGE" | "XADD" => Some("-MOVED 1 127.0.0.1:7001\r\n".into()),
        _ => None,
    };
    let fake = Fake::start(moved).await;
    for message in refusals(&Node::new(&fake.url())).await {
        assert!(
            message.contains("MOVED") && message.contains("Redis Cluster"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn safety_97_a_replica_names_its_master() {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    replica.replica_of(&master).await;
    let error = Node::new(&replica.url()).tip().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let named = format!("127.0.0.1:{}", master.port());
    assert!(error.to_string().contains(&named), "{error}");
}

/// Two links learn at the same time that only plain `INFO` is known: neither takes it for hidden.
#[tokio::test]
async fn safety_90_info_is_not_taken_for_hidden_because_several_links_ask() {
    let plain_only = |command: &[String]| match &*command[0].to_ascii_uppercase() {
        "INFO" if command.len() > 1 => Some("-ERR syntax error\r\n".into()),
        "INFO" => Some(bulk(
            "redis_version:7.0.15\r\nrole:master\r\nmaster_replid:a\r\nrun_id:b",
        )),
        _ => None,
    };
    let fake = Fake::start(plain_only).await;
    for _ in 0..12 {
        let logged = Logged::begin();
        let node = Node::new(&fake.url());
        let record = crate::log::contract::purge("a", 1);
        let _ = tokio::join!(node.tip(), node.log().append(&record), node.log().tail(1));
        assert_eq!(logged.count("INFO does not show"), 0, "{}", logged.text());
    }
}

#[tokio::test]
async fn a_unix_socket_is_a_server_like_others() {
    let socket = std::env::temp_dir().join(format!("tagcache-{}.sock", std::process::id()));
    let path = socket.to_str().unwrap();
    let server = RedisServer::start_with(&["--unixsocket", path]);
    let node = Node::new(&format!("unix://{path}"));
    let opened = node.tip().await.unwrap();
    assert_eq!(node.append("a").await.ordinal, opened.ordinal + 1);
    assert_eq!(kind(node.lookup().await), None);
    drop(server);
}
