//! The store on Redis: what is counted, what is foreign, what is refused.

use ::redis::Value;
use tagcache_test_support::{Forwarder, RedisServer};

use super::{Node, kind};
use crate::entry::codec;
use crate::error::ErrorKind;
use crate::store::contract::{LONG, get_one, get_whole, key, response};

/// The key in Redis of the entry under `key`.
fn redis_key(node: &Node, key: &crate::key::CacheKey) -> String {
    node.places.keys.entry(key.digest())
}

#[tokio::test]
async fn a_lookup_is_one_round_trip_and_one_command_per_key_and_one_for_the_tip() {
    let server = RedisServer::start();
    let forwarder = Forwarder::start(server.addr()).await;
    let node = Node::new(&forwarder.url());
    let (a, b) = (key("/a"), key("/b"));
    node.store()
        .put(&a, response(&a, "v1"), LONG)
        .await
        .unwrap();
    get_whole(node.store(), &[a.clone(), b.clone()]).await;
    let trips = forwarder.round_trips();
    let (gets, tips) = (server.calls("get").await, server.calls("xrevrange").await);
    for n in 1..=10 {
        get_whole(node.store(), &[a.clone(), b.clone()]).await;
        assert_eq!(forwarder.round_trips(), trips + n);
    }
    assert_eq!(server.calls("get").await, gets + 20);
    assert_eq!(server.calls("xrevrange").await, tips + 10);
}

#[tokio::test]
async fn safety_63_what_is_not_our_entry_is_nothing_and_is_reported() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    let (a, b) = (key("/a"), key("/b"));
    let good = response(&b, "v1");
    node.store().put(&b, good.clone(), LONG).await.unwrap();
    let at_a = redis_key(&node, &a);
    let (at_b, moved) = (redis_key(&node, &b), "COPY");
    let corruptions: [(&[&str], &str); 5] = [
        (&["LPUSH", &at_a, "x"], "a foreign type"),
        (&["SET", &at_a, ""], ""),
        (&["SET", &at_a, "not an entry"], ""),
        (&[moved, &at_b, &at_a], "another key's entry"),
        (&["BITFIELD", &at_a, "SET", "u8", "#40", "255"], ""),
    ];
    for (turn, (spoil, reason)) in corruptions.iter().enumerate() {
        server.command(&["DEL", &at_a]).await;
        if spoil[0] == "BITFIELD" {
            let entry = response(&a, "v1");
            node.store().put(&a, entry, LONG).await.unwrap();
        }
        server.command(spoil).await;
        let found = get_whole(node.store(), &[a.clone(), b.clone()]).await;
        assert_eq!(found[0], None, "{spoil:?}");
        assert_eq!(found[1], Some(good.clone()), "{spoil:?}");
        assert_eq!(node.told("EntryRejected"), turn + 1, "{spoil:?}");
        assert!(node.told(reason) > 0, "{spoil:?}");
    }
    assert_eq!(node.told("Breaker"), 0);
}

#[tokio::test]
async fn a_spoilt_entry_is_replaced_by_the_next_put() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    let key = key("/a");
    server
        .command(&["LPUSH", &redis_key(&node, &key), "x"])
        .await;
    let entry = response(&key, "v2");
    node.store().put(&key, entry.clone(), LONG).await.unwrap();
    assert_eq!(get_one(node.store(), &key).await, Some(entry));
}

#[tokio::test]
async fn an_entry_is_stored_as_encoded_and_expires_by_itself() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    let key = key("/a");
    let entry = response(&key, "v1");
    node.store().put(&key, entry.clone(), LONG).await.unwrap();
    let name = redis_key(&node, &key);
    let stored = server.command(&["GET", &name]).await;
    assert_eq!(stored, Value::BulkString(codec::encode(&entry).to_vec()));
    let Value::Int(left) = server.command(&["PTTL", &name]).await else {
        panic!("no lifetime");
    };
    assert!((1..=3_600_000).contains(&left), "{left}");
}

/// A lifetime that Redis would refuse as invalid must not turn into one that never ends.
#[tokio::test]
async fn an_endless_lifetime_is_cut_to_what_redis_takes() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    let key = key("/a");
    let entry = response(&key, "v1");
    node.store()
        .put(&key, entry, std::time::Duration::MAX)
        .await
        .unwrap();
    let left = server.command(&["PTTL", &redis_key(&node, &key)]).await;
    assert!(matches!(left, Value::Int(1..)), "{left:?}");
}

#[tokio::test]
async fn safety_59_a_server_without_memory_refuses_entries_and_still_answers_lookups() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    let key = key("/a");
    node.append("a").await;
    node.store()
        .put(&key, response(&key, "v1"), LONG)
        .await
        .unwrap();
    server.run("CONFIG SET maxmemory-policy noeviction").await;
    server.run("CONFIG SET maxmemory 1").await;
    for _ in 0..30 {
        let refused = node.store().put(&key, response(&key, "v2"), LONG).await;
        assert_eq!(kind(refused), Some(ErrorKind::Denied));
        assert_eq!(
            get_one(node.store(), &key).await,
            Some(response(&key, "v1"))
        );
    }
    assert_eq!(node.told("BreakerOpened"), 0);
}

/// The log may be evicted like any key; then it is lost, not believed to be empty.
#[tokio::test]
async fn safety_42_an_evicted_log_is_another_epoch() {
    let server = RedisServer::start();
    let node = Node::new(&server.url());
    let before = node.append("a").await;
    server
        .run("CONFIG SET maxmemory-policy allkeys-random")
        .await;
    server.run("CONFIG SET maxmemory 1").await;
    // Any write now evicts every key that there is.
    let _ = server.try_command(&["SET", "other", "1"]).await;
    server.run("CONFIG SET maxmemory 0").await;
    assert_eq!(
        server.command(&["EXISTS", "test:purges"]).await,
        Value::Int(0)
    );
    assert_ne!(node.lookup().await.unwrap().epoch, before.epoch);
}
