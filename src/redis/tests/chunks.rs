//! Large entries, which Redis holds in chunks.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use tagcache_test_support::{Forwarder, RedisServer};

use super::Node;
use crate::entry::Entry;
use crate::key::CacheKey;
use crate::store::contract::{LONG, get_one, get_whole, key, response};

/// A response under `key` that is cut into `chunks`, of bytes that differ all over.
fn large(key: &CacheKey, chunks: usize) -> Entry {
    let length = chunks * 64 * 1024 - 1_000;
    let body: String = (0..length)
        .map(|n| char::from(b'a' + u8::try_from((n * 7 + n / 1_000) % 26).unwrap()))
        .collect();
    response(key, &body)
}

async fn names(server: &RedisServer, pattern: &str) -> Vec<String> {
    let Value::Array(found) = server.command(&["KEYS", pattern]).await else {
        panic!("no keys");
    };
    let mut names: Vec<String> = found
        .into_iter()
        .map(|name| ::redis::from_redis_value(name).unwrap())
        .collect();
    names.sort_unstable();
    names
}

async fn number(server: &RedisServer, command: &[&str]) -> i64 {
    let Value::Int(number) = server.command(command).await else {
        panic!("no number");
    };
    number
}

#[tokio::test]
async fn a_large_entry_is_found_whole_by_every_node_and_stands_in_parts() {
    let server = RedisServer::start();
    let (one, other) = (Node::new(&server.url()), Node::new(&server.url()));
    let key = key("/large");
    // One chunk, as many as one write has, and more.
    for (chunks, cut) in [(1, false), (2, true), (4, true), (9, true)] {
        let entry = large(&key, chunks);
        one.store().put(&key, entry.clone(), LONG).await.unwrap();
        for node in [&one, &other] {
            assert_eq!(get_one(node.store(), &key).await, Some(entry.clone()));
        }
        let stored = names(&server, "test:b:*").await;
        assert_eq!(stored.len(), if cut { chunks } else { 0 }, "{chunks}");
        let under = one.places.keys.entry(key.digest());
        let short = number(&server, &["STRLEN", &under]).await < 200;
        assert_eq!(short, cut, "{chunks}");
        let entry_left = number(&server, &["PTTL", &under]).await;
        for chunk in stored {
            let part_left = number(&server, &["PTTL", &chunk]).await;
            assert!(part_left > entry_left, "{part_left} {entry_left}");
            server.command(&["DEL", &chunk]).await;
        }
    }
}

#[tokio::test]
async fn safety_63_an_entry_with_a_lost_or_damaged_part_is_nothing_and_is_reported() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    let (a, b) = (key("/a"), key("/b"));
    let good = response(&b, "v1");
    node.store().put(&b, good.clone(), LONG).await.unwrap();
    let spoilt: [(&[&str], &str); 5] = [
        (&["DEL", "CHUNK"], "a chunk is missing"),
        (&["SETRANGE", "CHUNK", "9", "X"], "damaged"),
        (&["SET", "CHUNK", "short"], "not an entry"),
        (&["APPEND", "CHUNK", "more"], "damaged"),
        (&["LPUSH", "CHUNK", "x"], "a foreign type"),
    ];
    for (turn, (command, reason)) in spoilt.into_iter().enumerate() {
        let entry = large(&a, 3);
        node.store().put(&a, entry.clone(), LONG).await.unwrap();
        let chunks = names(&server, "test:b:*").await;
        assert_eq!(chunks.len(), 3, "{command:?}");
        if command[0] == "LPUSH" {
            server.command(&["DEL", &chunks[1]]).await;
        }
        let command: Vec<&str> = command
            .iter()
            .map(|word| if *word == "CHUNK" { &*chunks[1] } else { word })
            .collect();
        server.command(&command).await;
        let found = get_whole(node.store(), &[a.clone(), b.clone()]).await;
        assert_eq!(found[0], None, "{command:?}");
        assert_eq!(found[1], Some(good.clone()), "{command:?}");
        assert_eq!(node.told("EntryRejected"), turn + 1, "{command:?}");
        assert!(node.told(reason) > 0, "{command:?}");
        // The next store makes it good.
        node.store().put(&a, entry.clone(), LONG).await.unwrap();
        assert_eq!(get_one(node.store(), &a).await, Some(entry));
        for chunk in names(&server, "test:b:*").await {
            server.command(&["DEL", &chunk]).await;
        }
    }
    assert_eq!(node.told("Breaker"), 0);
}

/// What answers a small lookup comes over a connection that no chunk of anything large takes.
#[tokio::test]
async fn a_small_lookup_is_one_round_trip_and_a_large_one_a_few_more_elsewhere() {
    let server = RedisServer::start();
    let forwarder = Forwarder::start(server.addr()).await;
    let node = Node::new(&forwarder.url());
    let (small, large_key) = (key("/small"), key("/large"));
    let stored = [
        (&small, response(&small, "v1")),
        (&large_key, large(&large_key, 9)),
    ];
    for (key, entry) in stored {
        node.store().put(key, entry, LONG).await.unwrap();
    }
    for (key, trips) in [(&small, 1), (&large_key, 1 + 3)] {
        get_one(node.store(), key).await;
        let before = forwarder.round_trips();
        assert!(get_one(node.store(), key).await.is_some());
        assert_eq!(forwarder.round_trips() - before, trips, "{key:?}");
    }
    // Both at once, over and over: each finds its own.
    let node = Arc::new(node);
    let both = (0..8).map(|_| async {
        for _ in 0..10 {
            let (one, other) = tokio::join!(
                get_one(node.store(), &small),
                get_one(node.store(), &large_key)
            );
            assert_eq!(one, Some(response(&small, "v1")));
            assert!(other.is_some());
        }
    });
    futures_util::future::join_all(both).await;
}

#[tokio::test]
async fn what_is_stored_for_no_time_leaves_no_part() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    let key = key("/large");
    let entry = large(&key, 3);
    node.store().put(&key, entry, Duration::ZERO).await.unwrap();
    assert_eq!(names(&server, "test:*").await, Vec::<String>::new());
}
