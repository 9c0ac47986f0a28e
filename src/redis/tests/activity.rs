//! Activity on a real server.

use std::sync::Arc;

use super::{Fixture, fixture};
use tagcache_test_support::RedisServer;

use crate::activity::contract::{
    ActivityFixture, KEEPER, Teller, activity_contract, alert, at, blocks, bounds, raising,
};
use crate::activity::{
    ActivityBounds, ActivityChange, ActivityStore, Applied, Keeping, ReorgNotice, Settlement,
};
use crate::chance::unique_word;
use crate::clock::SystemClock;
use crate::observe::SharedObserver;
use crate::redis::{RedisPlaces, Server};
use crate::store::Budgets;

impl ActivityFixture for Fixture {
    /// One of its own.
    fn store(&self, bounds: ActivityBounds) -> Arc<dyn ActivityStore> {
        opened(&self.0.url(), &unique_word(), bounds)
    }
}

activity_contract!(fixture());

fn opened(url: &str, namespace: &str, bounds: ActivityBounds) -> Arc<dyn ActivityStore> {
    let places = RedisPlaces::open(
        Server::new(url, Budgets::default()).unwrap(),
        namespace,
        Arc::new(SystemClock::new()),
        SharedObserver::new(()),
        false,
    );
    Arc::new(places.unwrap().activity(bounds))
}

/// As a user with these rights.
async fn as_user(server: &RedisServer, rights: &str) -> Arc<dyn ActivityStore> {
    server
        .run(&format!(
            "ACL SETUSER app reset on >pw ~* &* +@all {rights}"
        ))
        .await;
    let url = server.url().replace("redis://", "redis://app:pw@");
    opened(&url, "test", bounds())
}

#[tokio::test]
async fn keys_of_another_type_count_as_lost() {
    let server = RedisServer::start();
    let store = opened(&server.url(), "test", bounds());
    let mut teller = Teller::new(&store);
    teller.tell(everything_at(1)).await;
    let ::redis::Value::Array(keys) = server.run("KEYS {test:purges}:activity*").await else {
        panic!("a list");
    };
    assert!(keys.len() > 12, "{keys:?}");
    for key in keys {
        let key: String = ::redis::from_redis_value(key).unwrap();
        // The first one says up to where the store was told.
        if key.ends_with(":activity") {
            continue;
        }
        server.command(&["DEL", &key]).await;
        server.command(&["SET", &key, "something else"]).await;
    }
    teller.tell(everything_at(2)).await;
    assert_eq!(blocks(&store).await, [2]);
}

#[tokio::test]
async fn who_may_not_use_the_channel_keeps_all_the_same() {
    let server = RedisServer::start();
    let store = as_user(&server, "resetchannels").await;
    let mut teller = Teller::new(&store);
    assert_eq!(teller.tell(everything_at(1)).await, 1);
    assert_eq!(blocks(&store).await, [1]);
}

#[tokio::test]
async fn who_lacks_a_right_becomes_no_keeper_and_leaves_nothing_half() {
    let server = RedisServer::start();
    for denied in [
        "-eval", "-zadd", "-hincrby", "-lpush", "-zpopmin", "-expire", "-time",
    ] {
        let store = as_user(&server, denied).await;
        let kept = store.keep(KEEPER).await;
        assert!(kept.is_err(), "{denied}");
        let keys = server.run("KEYS {test:purges}:activity:entries").await;
        assert_eq!(keys, ::redis::Value::Array(Vec::new()), "{denied}");
    }
    let store = as_user(&server, "").await;
    assert_eq!(store.keep(KEEPER).await.unwrap(), Keeping::Own(None));
}

/// A sale of `block`, an alert, and a reorg of what is above.
fn everything_at(block: u64) -> Vec<ActivityChange> {
    let reorg = ActivityChange::Reorg(ReorgNotice {
        stream: "all".into(),
        place: Some((block, 0)),
        at: at(40_000),
        network: None,
        fork_block: block + 1,
        content: 1,
    });
    let limit = Some((1, std::time::Duration::from_secs(60)));
    vec![
        raising(
            block,
            40_000,
            vec![alert(block.into(), &["big/live"], limit)],
        ),
        reorg,
    ]
}

#[tokio::test]
async fn another_becomes_the_keeper_when_the_first_is_not_heard_any_more() {
    let server = RedisServer::start();
    let store = opened(&server.url(), "test", bounds());
    let mut teller = Teller::new(&store);
    teller.tell(everything_at(1)).await;
    assert_eq!(store.keep("n2").await.unwrap(), Keeping::Other);
    let batch = teller.next(everything_at(2));
    assert_eq!(store.apply("n2", &batch).await.unwrap(), Applied::Held);
    assert_eq!(store.first("n2", "big/live").await.unwrap(), None);
    let done = Settlement::Delivered;
    assert!(!store.settle("n2", "big/live", 1, &done).await.unwrap());
    // As if five seconds had passed.
    server.run("HSET {test:purges}:activity until 1").await;
    let told = Some(crate::position::Position::new(7, 1));
    assert_eq!(store.keep("n2").await.unwrap(), Keeping::Own(told));
    assert_eq!(
        store.apply(KEEPER, &batch).await.unwrap(),
        Applied::Held,
        "it was too long away"
    );
    assert_eq!(store.first(KEEPER, "big/live").await.unwrap(), None);
    let first = store.first("n2", "big/live").await.unwrap();
    assert_eq!(first.map(|alert| alert.id), Some(1));
    assert!(store.settle("n2", "big/live", 1, &done).await.unwrap());
    assert_eq!(
        store.apply("n2", &batch).await.unwrap(),
        Applied::Done { new: 1 }
    );
    store.resign("n2").await.unwrap();
    assert_eq!(
        store.keep(KEEPER).await.unwrap(),
        Keeping::Own(Some(batch.through))
    );
}
