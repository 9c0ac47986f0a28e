//! Fills, purges and near lookups of one response under the interleavings of their threads.
//!
//! The data has a version, which each purge of it raises before it is appended to the log. The body of a
//! response is the version that it was made from. Hence, whatever the interleaving:
//!
//! - what is served at a position of the log is not older than the version of a purge up to there;
//! - what is asked for after a purge was acknowledged is not older than that purge's version.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, StatusCode};
use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{self, JoinHandle, ThreadId};

use crate::builder::Cache;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::embedded::{EmbeddedLog, EmbeddedStore};
use crate::engine::Engine;
use crate::engine::lookup::Usable;
use crate::entry::{Entry, Freshness, Ready, StoredResponse};
use crate::error::Error;
use crate::key::{CacheKey, KeyBuilder};
use crate::log::{Log, PurgeRecord};
use crate::rules::{CacheRequest, Rule};
use crate::store::{Store, StoreReply};
use crate::sync::{AtomicU64, Mutex, check, point};
use crate::tag::{Tag, Target};
use crate::weaken::ProtocolRule;

const LOOKUPS: usize = 3;

/// Stands still unless it is moved; each look at it is a moment in which another thread may go on.
#[derive(Debug, Clone)]
struct Standing {
    clock: ManualClock,
    looks: Arc<Looks>,
}

/// What was purged everywhere when a thread looked at the monotonic clock last.
/// No thread goes on in between.
#[derive(Debug, Default)]
struct Looks {
    everywhere: std::sync::atomic::AtomicU64,
    seen: parking_lot::Mutex<HashMap<ThreadId, u64>>,
}

impl Looks {
    /// The version of the newest purge that had been waited for when this thread looked last.
    fn seen(&self) -> u64 {
        let seen = self.seen.lock();
        seen.get(&thread::current().id()).copied().unwrap_or(0)
    }
}

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        point();
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        point();
        let everywhere = self.looks.everywhere.load(Ordering::SeqCst);
        let time = self.clock.monotonic();
        let thread = thread::current().id();
        self.looks.seen.lock().insert(thread, everywhere);
        time
    }
}

/// Has to be waited for, as a shared store has.
#[derive(Debug)]
struct Shared(EmbeddedStore);

impl Store for Shared {
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<StoreReply, Error>> {
        async move {
            point();
            let found = self.0.get(keys).await;
            point();
            found
        }
        .boxed()
    }

    fn put<'a>(
        &'a self,
        key: &'a CacheKey,
        entry: Entry,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            point();
            self.0.put(key, entry, keep).await
        }
        .boxed()
    }

    fn remove<'a>(&'a self, key: &'a CacheKey) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            point();
            self.0.remove(key).await
        }
        .boxed()
    }
}

/// A node, the log that it follows, and the data.
#[derive(Debug)]
struct World {
    engine: Arc<Engine>,
    log: EmbeddedLog,
    clock: ManualClock,
    looks: Arc<Looks>,
    version: AtomicU64,
    /// Where in the log purges of the page stand, and their versions.
    purged: Mutex<Vec<(u64, u64)>>,
    /// The version of the newest of this node's purges that was acknowledged.
    acknowledged: AtomicU64,
}

fn request() -> Request<()> {
    Request::get("/a").body(()).expect("a request")
}

fn version(stored: &StoredResponse) -> u64 {
    let body = std::str::from_utf8(&stored.body).expect("a number");
    body.parse().expect("a number")
}

impl World {
    /// The node has joined the log and has the lease; the first version is stored and copied.
    fn new() -> Arc<Self> {
        let clock = ManualClock::default();
        let looks = Arc::new(Looks::default());
        let standing = Standing {
            clock: clock.clone(),
            looks: Arc::clone(&looks),
        };
        let log = EmbeddedLog::new(&clock);
        let store = EmbeddedStore::new(log.clone(), Arc::new(standing.clone()), 1 << 20);
        let rule = Rule::new("page", "/{page}")
            .ttl(Duration::from_secs(60))
            .tag("page:{page}")
            .near();
        let (cache, _) = Cache::builder()
            .rule(rule)
            .clock(standing)
            .backend(Arc::new(log.clone()), Arc::new(Shared(store)))
            .build()
            .expect("the rule is good");
        let engine = Arc::clone(cache.engine());
        block_on(engine.lookups.follower.read_available());
        block_on(engine.lookups.follower.beat_once());
        let world = Arc::new(Self {
            engine,
            log,
            clock,
            looks,
            version: AtomicU64::new(0),
            purged: Mutex::default(),
            acknowledged: AtomicU64::new(0),
        });
        assert_eq!(world.reached(), 0);
        world.fill();
        let copy = world.in_copy().expect("the copy answers");
        assert_eq!(version(&copy), 0);
        world
    }

    /// The version of the newest purge of the page that the node has read.
    fn reached(&self) -> u64 {
        let view = self.engine.lookups.views.current().expect("it has joined");
        let position = view.position().ordinal;
        let purged = self.purged.lock();
        let read = purged.iter().filter(|(ordinal, _)| *ordinal <= position);
        read.map(|(_, version)| *version).max().unwrap_or(0)
    }

    fn asked(&self) -> CacheRequest {
        let request = request();
        let mut key = KeyBuilder::new();
        let uri = request.uri();
        match self.engine.request(&request, uri.path(), uri, &mut key) {
            Some(Ok(mut asked)) => {
                asked.key = key.finish();
                asked
            }
            other => panic!("{other:?} instead of a lookup"),
        }
    }

    /// What a miss does: the stamp, then the data, then the store and the copy.
    fn fill(&self) {
        let view = self.engine.lookups.views.current().expect("it has joined");
        let stamp = view.stamp();
        let version = self.version.load(Ordering::SeqCst);
        let wanted = self.engine.fill_request(self.asked(), &request());
        let stored = StoredResponse {
            stamp,
            key: wanted.asked.key.clone(),
            path: "/a".into(),
            tags: wanted.tags.clone().expect("its tags are good"),
            received_at: self.clock.now(),
            initial_age: Duration::ZERO,
            freshness: Freshness {
                lifetime: Duration::from_secs(60),
                ..Freshness::default()
            },
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from(version.to_string()),
            trailers: None,
            ready: Ready::default(),
        };
        block_on(self.engine.put(&wanted, Arc::new(stored), &[]));
    }

    fn in_copy(&self) -> Option<Arc<StoredResponse>> {
        let asked = self.asked();
        let near = self
            .engine
            .lookups
            .near
            .as_ref()
            .expect("there is a near copy");
        let (headers, now) = (HeaderMap::new(), self.clock.now());
        self.engine
            .lookups
            .in_near_copy(near, &asked, asked.key.as_bytes(), &headers, now)
    }

    /// The lookup behind a near miss, which copies what it finds.
    fn in_store(&self) -> Option<Arc<StoredResponse>> {
        let (asked, headers) = (self.asked(), HeaderMap::new());
        match block_on(self.engine.lookups.lookup(&asked, &headers)).usable {
            Usable::Fresh(stored) => Some(stored),
            _ => None,
        }
    }

    fn look(&self) {
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        let reached = self.reached();
        let found = match thread_rng().gen_bool(0.75) {
            true => self.in_copy(),
            false => self.in_store(),
        };
        if let Some(version) = found.as_deref().map(version) {
            assert!(version >= acknowledged, "served after its purge returned");
            assert!(version >= reached, "served after its purge was read");
        }
    }

    /// Of the page, for which there is new data, or of another; by this node, which applies it at once,
    /// or by another.
    fn purge(&self, page: bool, ours: bool) {
        let version = page.then(|| self.version.fetch_add(1, Ordering::SeqCst) + 1);
        let tag = Tag::new(if page { "page:a" } else { "page:b" });
        let record = PurgeRecord {
            targets: vec![Target::Tag(tag.expect("a tag"))],
            ..PurgeRecord::everything(self.clock.now())
        };
        let appended = block_on(self.log.append(&record)).expect("the log takes it");
        if let Some(version) = version {
            let ordinal = appended.position.ordinal;
            self.purged.lock().push((ordinal, version));
        }
        if ours {
            self.engine
                .lookups
                .views
                .apply_own(appended.position, &record);
            self.acknowledged
                .fetch_max(version.unwrap_or(0), Ordering::SeqCst);
        }
    }

    fn follow(&self) {
        block_on(self.engine.lookups.follower.read_available());
    }

    /// Another node purges the page and waits until the lease of this one must have ended, which then goes on:
    /// it reads the log and has a lease again.
    fn wait_out(&self) {
        self.purge(true, false);
        let version = self.version.load(Ordering::SeqCst);
        self.clock.advance(self.engine.lookups.views.lease());
        self.looks.everywhere.store(version, Ordering::SeqCst);
        self.follow();
        block_on(self.engine.lookups.follower.beat_once());
    }

    /// A near hit is no older than what was everywhere when the lease was compared with the clock (PROTOCOL 21).
    fn look_near(&self) {
        if let Some(found) = self.in_copy() {
            let everywhere = self.looks.seen();
            assert!(
                version(&found) >= everywhere,
                "served on a lease that came after the marks"
            );
        }
    }
}

fn start(world: &Arc<World>, times: usize, act: fn(&World)) -> JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || (0..times).for_each(|_| act(&world)))
}

fn nothing_older_than_a_purge_is_served() {
    let world = World::new();
    let threads = [
        start(&world, 2, World::fill),
        start(&world, LOOKUPS, World::look),
        start(&world, LOOKUPS, World::look),
        start(&world, 1, |world| {
            world.purge(thread_rng().gen_bool(0.5), true);
        }),
        start(&world, 1, |world| world.purge(true, false)),
        start(&world, 2, World::follow),
    ];
    for thread in threads {
        thread.join().expect("no thread sees what it must not");
    }
}

#[test]
fn safety_38_no_interleaving_of_fill_purge_and_near_lookup_serves_what_was_purged() {
    // What waits with a limit asks for a timer, even if it need not wait.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without I/O can always be built");
    let _entered = runtime.enter();
    let needed = [
        ProtocolRule::NearStamp,
        ProtocolRule::MarkFirst,
        ProtocolRule::OwnAck,
    ];
    check(nothing_older_than_a_purge_is_served, &needed);
}

fn nothing_is_served_on_a_lease_that_came_after_the_marks() {
    let world = World::new();
    let threads = [
        start(&world, LOOKUPS, World::look_near),
        start(&world, LOOKUPS, World::look_near),
        start(&world, 1, World::wait_out),
    ];
    for thread in threads {
        thread.join().expect("no thread sees what it must not");
    }
}

#[test]
fn rule_lease_first_no_interleaving_serves_on_a_lease_that_came_after_the_marks() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without I/O can always be built");
    let _entered = runtime.enter();
    check(
        nothing_is_served_on_a_lease_that_came_after_the_marks,
        &[ProtocolRule::LeaseFirst],
    );
}
