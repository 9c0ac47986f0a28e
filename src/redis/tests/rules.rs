//! PROTOCOL 1, 6, 7, 8, 9, 14 and 23 on one server.

use std::time::Duration;

use ::redis::Value;
use tagcache_test_support::{Forwarder, RedisServer};

use super::{Node, eventually, kind};
use crate::error::ErrorKind;
use crate::log::PurgeKind;
use crate::position::Position;
use crate::tag::Target;

const LOG: &str = "test:purges";

/// The ids that stand in the log, as text.
async fn ids(server: &RedisServer) -> Vec<String> {
    let Value::Array(entries) = server.command(&["XRANGE", LOG, "-", "+"]).await else {
        panic!("not a stream");
    };
    let id = |entry: Value| match entry.into_sequence().unwrap().swap_remove(0) {
        Value::BulkString(id) => String::from_utf8(id).unwrap(),
        other => panic!("{other:?}"),
    };
    entries.into_iter().map(id).collect()
}

#[tokio::test]
async fn rule_01_ids_are_epoch_and_ordinal_from_zero_without_a_hole() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    let epoch = node.append("a").await.epoch.get();
    node.append("b").await;
    let expected = [0, 1, 2].map(|ordinal| format!("{epoch}-{ordinal}"));
    assert_eq!(ids(&server).await, expected);
}

#[tokio::test]
async fn rule_02_a_record_names_the_server_that_it_was_written_on() {
    let server = RedisServer::start();
    Node::new(&server.url()).append("a").await;
    let entries = format!("{:?}", server.command(&["XRANGE", LOG, "-", "+"]).await);
    for (section, name) in [("replication", "master_replid"), ("server", "run_id")] {
        let info = server.info(section).await;
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}:")));
        let value = line.unwrap();
        assert_eq!(
            entries.matches(value).count(),
            2,
            "{name} {value} in {entries}"
        );
    }
}

/// Each way to lose the log, on live connections: every kind of read must see another epoch.
#[tokio::test]
async fn rule_07_and_14_a_lost_log_is_another_epoch_for_every_kind_of_access() {
    for loss in [
        &["FLUSHALL"][..],
        &["DEL", LOG],
        &["SET", LOG, "a string"],
        &["XTRIM", LOG, "MAXLEN", "0"],
    ] {
        for access in ["lookup", "heartbeat", "append", "tail"] {
            if loss[0] == "XTRIM" && access == "append" {
                // An emptied stream keeps its last id: the epoch goes on without a contradiction,
                // and who had not read all that was dropped sees a hole.
                continue;
            }
            let server = RedisServer::start();
            let node = Node::new(&server.url());
            let before = node.append("a").await;
            assert_eq!(node.lookup().await.unwrap(), before);
            assert_eq!(node.log().tail(9).await.unwrap().tip.position, before);
            server.command(loss).await;
            let after = match access {
                "lookup" => node.lookup().await.unwrap(),
                "heartbeat" => node.tip().await.unwrap(),
                "append" => node.append("b").await,
                _ => node.log().tail(9).await.unwrap().tip.position,
            };
            assert_ne!(before.epoch, after.epoch, "{loss:?} {access}");
            assert_eq!(node.lookup().await.unwrap(), after, "{loss:?} {access}");
        }
    }
}

#[tokio::test]
async fn rule_07_other_nodes_take_over_the_epoch_that_one_opened() {
    let server = RedisServer::start();
    let (a, b) = (Node::new(&server.url()), Node::new(&server.url()));
    let old = a.append("a").await;
    assert_eq!(b.tip().await.unwrap(), old);
    server.run("FLUSHALL").await;
    let new = a.tip().await.unwrap();
    assert_eq!(b.lookup().await.unwrap(), new);
    assert_eq!(b.append("b").await, Position { ordinal: 1, ..new });
    assert_eq!(a.append("c").await, Position { ordinal: 2, ..new });
}

#[tokio::test]
async fn rule_07_an_empty_stream_with_an_id_ahead_of_our_clock_does_not_stop_us() {
    let server = RedisServer::start();
    let far = (u64::MAX - 3).to_string();
    server
        .command(&["XADD", LOG, &format!("{far}-5"), "a", "b"])
        .await;
    server.command(&["XTRIM", LOG, "MAXLEN", "0"]).await;
    let node = Node::new(&server.url());
    assert_eq!(node.append("a").await.ordinal, 1);
}

#[tokio::test]
async fn rule_07_a_log_in_the_last_possible_epoch_is_begun_anew() {
    let server = RedisServer::start();
    let last = format!("{}-1", u64::MAX);
    server.command(&["XADD", LOG, &last, "a", "b"]).await;
    let node = Node::new(&server.url());
    assert_eq!(node.append("a").await.ordinal, 1);
}

/// What this version does not know is read as a purge of everything; written by somebody who does
/// not name the server, it also ends the epoch.
#[tokio::test]
async fn unknown_records_purge_everything_and_end_the_epoch() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    let before = node.append("a").await;
    let next = format!("{}-*", before.epoch.get());
    server
        .command(&["XADD", LOG, &next, "v", "2", "kind", "gentle"])
        .await;
    let read = node.log().read_after(before, Duration::ZERO).await.unwrap();
    assert_eq!(read[0].record.targets, [Target::All]);
    assert_eq!(read[0].record.kind, PurgeKind::Hard);
    assert_ne!(node.lookup().await.unwrap().epoch, before.epoch);
}

/// The history of rule 9: the log goes back under the same server identity, on live connections.
#[tokio::test]
async fn rule_09_a_log_rolled_back_under_a_live_connection_is_another_epoch() {
    for access in ["lookup", "heartbeat", "append"] {
        let server = RedisServer::start_with(&["--enable-debug-command", "yes"]);
        let node = Node::new(&server.url());
        node.append("a").await;
        server.run("SAVE").await;
        let purged = node.append("b").await;
        server.run("DEBUG RELOAD NOSAVE").await;
        assert_eq!(ids(&server).await.len(), 2, "not rolled back");
        let after = match access {
            "lookup" => node.lookup().await.unwrap(),
            "heartbeat" => node.tip().await.unwrap(),
            _ => node.append("c").await,
        };
        assert_ne!(after.epoch, purged.epoch, "{access}");
    }
}

#[tokio::test]
async fn rule_09_a_log_rolled_back_into_an_epoch_that_ended_is_another_epoch() {
    let server = RedisServer::start_with(&["--enable-debug-command", "yes"]);
    let node = Node::new(&server.url());
    let first = node.append("a").await;
    server.run("SAVE").await;
    server.command(&["DEL", LOG]).await;
    let second = node.append("b").await;
    server.run("DEBUG RELOAD NOSAVE").await;
    let third = node.lookup().await.unwrap();
    assert!(![first.epoch, second.epoch].contains(&third.epoch));
}

/// A tip that others have moved, or that is overtaken by our own append, is normal.
#[tokio::test]
async fn rule_09_normal_traffic_never_ends_the_epoch() {
    let server = RedisServer::start();
    let (a, b) = (Node::new(&server.url()), Node::new(&server.url()));
    let opened = a.tip().await.unwrap();
    b.tip().await.unwrap();
    let traffic = |node: Node| async move {
        for _ in 0..100 {
            let (appended, looked, beaten) =
                tokio::join!(node.append("a"), node.lookup(), node.tip());
            assert_eq!(looked.unwrap().epoch, appended.epoch);
            assert_eq!(beaten.unwrap().epoch, appended.epoch);
        }
        node.lookup().await.unwrap()
    };
    let (last_a, last_b) = tokio::join!(traffic(a), traffic(b));
    let last = if last_a.reaches(last_b) {
        last_a
    } else {
        last_b
    };
    assert_eq!(
        last,
        Position {
            ordinal: 200,
            ..opened
        }
    );
}

#[tokio::test]
async fn rule_06_a_restarted_server_is_another_epoch() {
    let mut server = RedisServer::start();
    let node = Node::new(&server.url());
    let before = node.append("a").await;
    server.run("SAVE").await;
    server.restart();
    assert_eq!(ids(&server).await.len(), 2, "the log did not survive");
    let after = eventually(|| node.tip()).await;
    assert_ne!(before.epoch, after.epoch);
    assert_eq!(
        node.append("b").await,
        Position {
            ordinal: 1,
            ..after
        }
    );
}

/// The client never reconnects by itself: after a cut, the server is asked who it is before any
/// other command.
#[tokio::test]
async fn rule_06_a_new_socket_is_verified_before_its_first_use() {
    let server = RedisServer::start();
    let forwarder = Forwarder::start(server.addr()).await;
    let node = Node::new(&forwarder.url());
    let before = node.append("a").await;
    assert_eq!(node.lookup().await.unwrap(), before);
    let (asked, connected) = (server.calls("info").await, forwarder.accepted());
    forwarder.cut();
    let after = eventually(|| node.lookup()).await;
    assert_eq!(after, before);
    assert_eq!(forwarder.accepted(), connected + 1);
    // One for the new connection, one for reading the count.
    assert_eq!(server.calls("info").await, asked + 2);
}

/// PROTOCOL 8: what one connection learns ends the trust in all of them.
#[tokio::test]
async fn rule_08_a_closed_socket_makes_every_connection_unverified() {
    let server = RedisServer::start();
    let forwarder = Forwarder::start(server.addr()).await;
    let node = Node::new(&forwarder.url());
    let before = node.append("a").await;
    node.lookup().await.unwrap();
    let connected = forwarder.accepted();
    // The server closes the follower's connection alone.
    let reading = node.log().read_after(before, Duration::from_secs(60));
    let kill = async {
        let blocked = |list: &str| list.lines().any(|line| line.contains("cmd=xread"));
        loop {
            let list = server.run("CLIENT LIST").await;
            let Value::BulkString(list) = list else {
                panic!("{list:?}")
            };
            let list = String::from_utf8(list).unwrap();
            if blocked(&list) {
                let line = list
                    .lines()
                    .find(|line| line.contains("cmd=xread"))
                    .unwrap();
                let id = line.split([' ', '=']).nth(1).unwrap();
                return server.command(&["CLIENT", "KILL", "ID", id]).await;
            }
        }
    };
    let (read, _) = tokio::join!(reading, kill);
    assert_eq!(kind(read), Some(ErrorKind::Unavailable));
    let present = forwarder.accepted();
    assert_eq!(node.lookup().await.unwrap(), before);
    node.append("b").await;
    // Lookups and appends each made a new connection, although theirs were sound.
    assert_eq!(forwarder.accepted(), present + 2, "of {connected} before");
}

#[tokio::test]
async fn rule_23_a_purge_is_acknowledged_only_when_it_is_in_the_log() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    node.append("a").await;
    // A log that refuses the epoch, because another node has opened a later one.
    let later = Node::new(&server.url());
    later.clock.advance(Duration::from_secs(1));
    server.command(&["DEL", LOG]).await;
    // An epoch is later only if it is opened in a later millisecond (else it is merely another).
    tokio::time::sleep(Duration::from_millis(2)).await;
    let opened = later.tip().await.unwrap();
    let position = node.append("b").await;
    assert_eq!(
        position,
        Position {
            ordinal: 1,
            ..opened
        }
    );
    assert_eq!(
        ids(&server).await,
        [opened.to_string(), position.to_string()]
    );
}

/// Only opening an epoch creates the log: a purge that finds none must not be its first record.
#[tokio::test]
async fn rule_07_an_append_never_creates_the_log() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    node.append("a").await;
    server.command(&["DEL", LOG]).await;
    let position = node.append("b").await;
    let opened = Position {
        ordinal: 0,
        ..position
    };
    assert_eq!(
        ids(&server).await,
        [opened, position].map(|id| id.to_string())
    );
}

/// A node that never knew the old epoch, and whose clock is behind, opens a lower one: an append in
/// the old epoch then lands where a record opens an epoch, is noticed, and repeated in a third.
#[tokio::test]
async fn rule_01_an_append_above_a_lower_epoch_is_not_acknowledged_there() {
    let server = RedisServer::start();
    let (node, behind) = (Node::new(&server.url()), Node::new(&server.url()));
    node.clock.advance(Duration::from_secs(1));
    let old = node.append("a").await;
    server.command(&["DEL", LOG]).await;
    let lower = behind.tip().await.unwrap();
    assert!(lower.epoch.get() < old.epoch.get());
    let position = node.append("b").await;
    assert_eq!(position.ordinal, 1);
    assert!(![old.epoch, lower.epoch].contains(&position.epoch));
    assert_eq!(behind.lookup().await.unwrap(), position);
}

/// SAFETY 150: rights that are taken away for a while. A node that may not ask who the server is writes records that name
/// none; it must not go on with that once it may, or nodes that do know open an epoch after each of its purges.
#[tokio::test]
async fn safety_150_a_node_that_may_ask_again_who_the_server_is_does() {
    let server = RedisServer::start();
    let user = "ACL SETUSER lesser on >pw ~* &* +@all";
    server.run(&format!("{user} -info -role")).await;
    let lesser = Node::new(&format!("redis://lesser:pw@127.0.0.1:{}", server.port()));
    lesser.append("a").await;
    let full = Node::new(&server.url());
    full.tip().await.unwrap();
    server.run(&format!("{user} +info +role")).await;
    // Its connections live, and its heartbeats go on.
    lesser.clock.advance(Duration::from_secs(5));
    lesser.tip().await.unwrap();
    for tag in ["b", "c", "d"] {
        let written = lesser.append(tag).await;
        assert_eq!(full.tip().await.unwrap(), written, "{tag}");
        assert_eq!(full.lookup().await.unwrap(), written, "{tag}");
    }
}
