//! What every store has to do, as tests: `store_contract!` makes one of each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::clock::Timestamp;
use crate::entry::{Entry, Freshness, Ready, StoredResponse, VariantIndex};
use crate::key::{CacheKey, Component, KeyBuilder};
use crate::log::Log;
use crate::log::contract::append;
use crate::position::{Position, Stamp};
use crate::store::{Store, StoreReply};
use crate::tag::TagSet;

pub(crate) const LONG: Duration = Duration::from_secs(3_600);

/// How the suite makes stores of one kind.
pub(crate) trait Fixture {
    /// One more node of the same store, and the log whose tip it reads.
    fn node(&self) -> (Arc<dyn Store>, Arc<dyn Log>);
    /// Returns when an entry that is kept for `keep` is gone.
    async fn outlive(&self, keep: Duration);
    /// Loses the log, as a flush does.
    async fn lose_log(&self);
    /// `test`, as it is run where this fixture is.
    fn within<F: Future>(&self, test: F) -> impl Future<Output = F::Output> {
        test
    }
}

/// The suite as tests of the fixture that `$fixture` makes.
macro_rules! store_contract {
    ($fixture:expr) => {
        $crate::store::contract::store_contract!($fixture;
            a_stored_entry_is_found_by_every_node
            nothing_is_found_under_another_key
            keys_are_answered_in_order
            a_later_entry_replaces_an_earlier_one
            an_entry_is_gone_after_its_time
            an_entry_kept_for_no_time_is_not_found
            a_removed_entry_is_found_by_no_node
            the_tip_is_the_one_that_the_log_has_now
            a_lookup_after_a_loss_sees_the_new_epoch
        );
    };
    ($fixture:expr; $($test:ident)+) => {
        $(#[tokio::test]
        async fn $test() {
            let fixture = $fixture;
            let test = $crate::store::contract::$test(&fixture);
            $crate::store::contract::Fixture::within(&fixture, test).await;
        })+
    };
}
pub(crate) use store_contract;

pub(crate) fn key(path: &str) -> CacheKey {
    let mut builder = KeyBuilder::new();
    builder.component(Component::Path, path.as_bytes());
    builder.finish()
}

/// A response under `key`, with `body`.
pub(crate) fn response(key: &CacheKey, body: &str) -> Entry {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/plain"));
    Entry::Response(Arc::new(StoredResponse {
        stamp: Stamp::at(Position::new(7, 3)),
        key: key.clone(),
        path: "/a".into(),
        tags: TagSet::implicit("rule", "/a"),
        received_at: Timestamp::from_millis(1_000),
        initial_age: Duration::ZERO,
        freshness: Freshness::default(),
        status: StatusCode::OK,
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
        trailers: None,
        ready: Ready::default(),
    }))
}

pub(crate) async fn get(store: &dyn Store, keys: &[CacheKey]) -> StoreReply {
    store.get(keys).await.unwrap()
}

/// What is found under `keys`, with the bodies.
pub(crate) async fn get_whole(store: &dyn Store, keys: &[CacheKey]) -> Vec<Option<Entry>> {
    let mut whole = Vec::new();
    for held in get(store, keys).await.entries {
        whole.push(match held {
            Some(held) => held.whole().await.unwrap(),
            None => None,
        });
    }
    whole
}

/// What is found under `key` alone.
pub(crate) async fn get_one(store: &dyn Store, key: &CacheKey) -> Option<Entry> {
    get_whole(store, std::slice::from_ref(key)).await.remove(0)
}

pub(crate) async fn a_stored_entry_is_found_by_every_node(fixture: &impl Fixture) {
    let (store, _) = fixture.node();
    let (key, index) = (key("/a"), key("/b"));
    let entry = response(&key, "v1");
    let variants = Entry::Variants(Arc::new(VariantIndex {
        key: index.clone(),
        fields: vec![http::header::ACCEPT],
    }));
    store.put(&key, entry.clone(), LONG).await.unwrap();
    store.put(&index, variants.clone(), LONG).await.unwrap();
    for node in [store, fixture.node().0] {
        assert_eq!(get_one(&*node, &key).await, Some(entry.clone()));
        assert_eq!(get_one(&*node, &index).await, Some(variants.clone()));
    }
}

pub(crate) async fn nothing_is_found_under_another_key(fixture: &impl Fixture) {
    let (store, _) = fixture.node();
    let (a, b) = (key("/a"), key("/b"));
    store.put(&a, response(&a, "v1"), LONG).await.unwrap();
    assert_eq!(get_one(&*store, &b).await, None);
}

pub(crate) async fn keys_are_answered_in_order(fixture: &impl Fixture) {
    let (store, _) = fixture.node();
    let [a, b, c] = ["/a", "/b", "/c"].map(key);
    let (at_a, at_c) = (response(&a, "a"), response(&c, "c"));
    store.put(&a, at_a.clone(), LONG).await.unwrap();
    store.put(&c, at_c.clone(), LONG).await.unwrap();
    let found = get_whole(&*store, &[c, b, a]).await;
    assert_eq!(found, [Some(at_c), None, Some(at_a)]);
    assert!(get(&*store, &[]).await.entries.is_empty());
}

pub(crate) async fn a_removed_entry_is_found_by_no_node(fixture: &impl Fixture) {
    let (store, _) = fixture.node();
    let (a, b) = (key("/a"), key("/b"));
    for key in [&a, &b] {
        store.put(key, response(key, "v1"), LONG).await.unwrap();
    }
    fixture.node().0.remove(&a).await.unwrap();
    assert_eq!(get_one(&*store, &a).await, None);
    assert_eq!(get_one(&*store, &b).await, Some(response(&b, "v1")));
    store.remove(&a).await.unwrap();
}

pub(crate) async fn a_later_entry_replaces_an_earlier_one(fixture: &impl Fixture) {
    let (store, _) = fixture.node();
    let key = key("/a");
    for body in ["v1", "v2", ""] {
        let entry = response(&key, body);
        store.put(&key, entry.clone(), LONG).await.unwrap();
        assert_eq!(get_one(&*store, &key).await, Some(entry));
    }
}

pub(crate) async fn an_entry_is_gone_after_its_time(fixture: &impl Fixture) {
    let (store, _) = fixture.node();
    let (short, long) = (key("/short"), key("/long"));
    let keep = Duration::from_millis(50);
    store.put(&long, response(&long, "v1"), LONG).await.unwrap();
    store
        .put(&short, response(&short, "v1"), keep)
        .await
        .unwrap();
    fixture.outlive(keep).await;
    assert_eq!(get_one(&*store, &short).await, None);
    assert!(get_one(&*store, &long).await.is_some());
}

pub(crate) async fn an_entry_kept_for_no_time_is_not_found(fixture: &impl Fixture) {
    let (store, _) = fixture.node();
    let key = key("/a");
    store
        .put(&key, response(&key, "v1"), Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(get_one(&*store, &key).await, None);
}

pub(crate) async fn the_tip_is_the_one_that_the_log_has_now(fixture: &impl Fixture) {
    let (store, log) = fixture.node();
    let (_, other) = fixture.node();
    for node in [&log, &other, &log] {
        let position = append(&**node, "a").await;
        assert_eq!(get(&*store, &[]).await.tip.position, position);
    }
}

pub(crate) async fn a_lookup_after_a_loss_sees_the_new_epoch(fixture: &impl Fixture) {
    let (store, log) = fixture.node();
    let before = append(&*log, "a").await;
    assert_eq!(get(&*store, &[]).await.tip.position, before);
    fixture.lose_log().await;
    let after = get(&*store, &[]).await.tip.position;
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after, log.tip().await.unwrap().position);
}
