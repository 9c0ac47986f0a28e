//! One node: its own cache over the shared log and store, with switches for what can go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tower::ServiceExt;
use tower_layer::Layer;

use super::faulty_log::FaultyLog;
use super::origin::OriginService;
use super::roll::SharedRoll;
use crate::builder::Cache;
use crate::clock::ManualClock;
use crate::embedded::{EmbeddedLog, EmbeddedStore};
use crate::entry::Entry;
use crate::error::{Error, ErrorKind};
use crate::key::CacheKey;
use crate::log::{Tip, UpdateMessage, Updates};
use crate::middleware::{CacheBody, CacheService};
use crate::position::Position;
use crate::rules::Rule;
use crate::store::{Store, StoreReply};
use crate::validity::Bounds;

pub(super) const TTL: Duration = Duration::from_secs(60);
pub(super) const WINDOW: Duration = Duration::from_secs(20);
/// The longest settling time that the histories use.
pub(super) const SETTLE: Duration = Duration::from_secs(4);

/// Where a node finds the log and the entries: at the master, or at an old one together with which it was cut off.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) log: EmbeddedLog,
    pub(super) store: EmbeddedStore,
    pub(super) roll: SharedRoll,
}

impl Side {
    pub(super) fn of(log: EmbeddedLog, clock: &ManualClock) -> Self {
        let store = EmbeddedStore::new(log.clone(), Arc::new(clock.clone()), 1 << 20);
        Self {
            log,
            store,
            roll: SharedRoll::default(),
        }
    }
}

/// What is wrong between this node and the log.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Reads of records take for ever: the node lags.
    pub(super) lagging: AtomicBool,
    /// It was cut off together with an old master, which takes no appends (PROTOCOL 22).
    pub(super) split: AtomicBool,
    /// Nothing can be reached.
    pub(super) cut_off: AtomicBool,
    /// Appends happen, but are acknowledged only when this is false again.
    pub(super) ack_held: AtomicBool,
    /// Tips are read, but their replies arrive only when this is false again.
    pub(super) tip_held: AtomicBool,
    /// The roll takes no registration of this node.
    pub(super) refuses_roll: AtomicBool,
    /// The roll is read, but what is asked with it only when this is false again.
    pub(super) call_held: AtomicBool,
    pub(super) released: Notify,
}

impl Faults {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.cut_off.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "cut off"));
        }
        Ok(())
    }

    pub(super) async fn until_false(&self, switch: &AtomicBool) {
        loop {
            let released = self.released.notified();
            if !switch.load(Ordering::SeqCst) {
                return;
            }
            released.await;
        }
    }
}

#[derive(Debug)]
struct FaultyStore {
    side: Arc<Mutex<Side>>,
    /// It has to be waited for, as a shared one has.
    remote: bool,
    faults: Arc<Faults>,
}

impl FaultyStore {
    fn store(&self) -> EmbeddedStore {
        self.side.lock().store.clone()
    }
}

impl Store for FaultyStore {
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<StoreReply, Error>> {
        async move {
            self.faults.check()?;
            let found = self.store().get(keys).await;
            if self.remote {
                self.faults.until_false(&self.faults.tip_held).await;
            }
            found
        }
        .boxed()
    }

    fn get_now(&self, key: &[u8]) -> Option<(Option<Entry>, Tip)> {
        self.faults.check().ok().filter(|()| !self.remote)?;
        self.store().get_now(key)
    }

    fn put<'a>(
        &'a self,
        key: &'a CacheKey,
        entry: Entry,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            self.faults.check()?;
            self.store().put(key, entry, keep).await
        }
        .boxed()
    }

    fn remove<'a>(&'a self, key: &'a CacheKey) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            self.faults.check()?;
            self.store().remove(key).await
        }
        .boxed()
    }
}

/// How the rules of a history look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookups {
    Strict,
    /// Strictly, from copies of a store that has to be waited for.
    Copied,
    /// From near copies, of a store that has to be waited for.
    Near,
    /// As these, on nodes that are on the roll and have copies when the history begins.
    Rolled,
    /// As these, and people are told of the purges.
    Told,
}

impl Lookups {
    pub(super) fn are_near(self) -> bool {
        matches!(self, Self::Near | Self::Rolled | Self::Told)
    }
}

/// How far near rules may lag behind a purge that is in the log.
pub(super) const LEASE: Duration = Duration::from_secs(2);
/// The leases of the nodes, of which the longest is the longest that there is.
const LEASES: [Duration; 3] = [Duration::from_secs(1), LEASE, Duration::from_millis(500)];

/// A process that can be restarted.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) cache: Cache,
    pub(super) faults: Arc<Faults>,
    side: Arc<Mutex<Side>>,
    service: CacheService<OriginService>,
    updates: Updates,
}

impl Node {
    pub(super) fn start(
        number: usize,
        side: &Side,
        clock: &ManualClock,
        origin: &OriginService,
        lookups: Lookups,
    ) -> Self {
        let faults = Arc::new(Faults::default());
        let side = Arc::new(Mutex::new(side.clone()));
        let rule = Rule::new("page", "/{page}")
            .ttl(TTL)
            .stale_while_revalidate(WINDOW)
            .stale_if_error(WINDOW)
            .tag("page:{page}");
        let rule = match lookups {
            Lookups::Strict | Lookups::Copied => rule.strict(),
            Lookups::Near | Lookups::Rolled | Lookups::Told => rule.near(),
        };
        let (cache, _) = Cache::builder()
            .rule(rule)
            .lease(LEASES[number])
            .longest_lease(LEASE)
            .waiting_by_clock()
            .clock(clock.clone())
            .bounds(Bounds {
                marks: 3,
                globs: 2,
                slots: 2,
            })
            .expect_settle(SETTLE)
            .backend(
                Arc::new(FaultyLog {
                    side: Arc::clone(&side),
                    faults: Arc::clone(&faults),
                    has_roll: lookups.are_near(),
                }),
                Arc::new(FaultyStore {
                    side: Arc::clone(&side),
                    remote: lookups != Lookups::Strict,
                    faults: Arc::clone(&faults),
                }),
            )
            .build()
            .expect("the model's configuration is valid");
        cache.follower().steered();
        let service = cache.layer().layer(origin.clone());
        Self {
            faults,
            updates: cache.updates(),
            cache,
            side,
            service,
        }
    }

    /// What its clients are told next, if anything is there.
    pub(super) fn hear(&mut self) -> Option<UpdateMessage> {
        self.updates.recv().now_or_never().flatten()
    }

    /// Whether it knows of something that is to be announced.
    pub(super) fn owes(&self) -> bool {
        let views = &self.cache.engine().lookups.views;
        !views
            .updates
            .overdue(Duration::MAX, |_| Duration::ZERO)
            .is_empty()
    }

    /// It announces what others have not announced in time.
    pub(super) fn announce_overdue(&self) -> impl Future<Output = ()> + use<> {
        let follower = Arc::clone(self.cache.follower());
        async move { follower.announce_overdue_once().await }
    }

    pub(super) fn request(
        &self,
        path: &str,
        after: Option<Position>,
    ) -> impl Future<Output = Result<Response<CacheBody<Full<Bytes>>>, std::io::Error>> + use<>
    {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = path.parse().expect("a path of the model");
        if let Some(position) = after {
            let position = position.to_string().parse().expect("a field value");
            request.headers_mut().insert("cache-after", position);
        }
        self.service.clone().oneshot(request)
    }

    /// The follower reads what there is, once.
    pub(super) fn follow(&self) -> impl Future<Output = ()> + use<> {
        let follower = Arc::clone(self.cache.follower());
        async move {
            follower.read_available().await;
            yield_now().await;
            follower.acknowledge_once().await;
        }
    }

    /// One heartbeat.
    pub(super) fn beat(&self) -> impl Future<Output = ()> + use<> {
        let follower = Arc::clone(self.cache.follower());
        async move { follower.beat_once().await }
    }

    /// It goes over to `side`, which takes appends or not.
    pub(super) fn go_to(&self, side: Side, split: bool) {
        *self.side.lock() = side;
        self.faults.split.store(split, Ordering::SeqCst);
    }

    /// Nothing is wrong any more.
    pub(super) fn mend(&self) {
        for switch in [
            &self.faults.lagging,
            &self.faults.cut_off,
            &self.faults.ack_held,
            &self.faults.tip_held,
            &self.faults.refuses_roll,
            &self.faults.call_held,
        ] {
            switch.store(false, Ordering::SeqCst);
        }
        self.faults.released.notify_waiters();
    }

    pub(super) fn flip(&self, switch: impl Fn(&Faults) -> &AtomicBool) {
        switch(&self.faults).fetch_xor(true, Ordering::SeqCst);
        self.faults.released.notify_waiters();
    }
}
