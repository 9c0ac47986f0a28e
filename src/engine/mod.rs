//! One request, from start to end.
//!
//! ```text
//! answer ── fresh, at hand ─────────────────────► respond
//! lookup ── fresh ──────────────────────────────► respond
//!   │    └─ stale, allowed ── refresh behind ───► respond
//!   └─ miss, purged, stale ── join a flight ─┬─ lead:   fill ─► respond while it fills
//!                                            └─ follow: usable? respond : lead one's own
//! ```
//!
//! What a request spawns: one fill task ([`Fill`](fill::Fill)). It ends when the inner service's
//! response has ended and was handed to the store (bounded by the store's write budget); or when
//! nobody waits for it or reads it any more, at once if nobody can join it or its body is too large to
//! store, else when [`Limits::fill`] is over, or
//! [`Limits::orphan`] while there is no head of a response. The number of those that can be joined is bounded by
//! [`Limits::flights`]; each other has its client.
//!
//! A task that reads the tip of the purge log for strict hits on copies, one at a time in a process
//! ([`lookup::tips`]).
//!
//! A fill that had a claim in the fleet gives it back in a task that ends within the read budget of Redis
//! (`fill/clearance.rs`).

mod answer;
mod change;
mod fill;
mod follow;
mod forward;
mod head_method;
mod inner;
mod lookup;
mod pass;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Extensions, Request, Uri};
use http_body::Body;

pub use self::answer::CacheBody;
pub(crate) use self::inner::{InnerService, ServiceResult};
pub(crate) use self::lookup::SearchMemory;
pub(crate) use self::lookup::Tips;
pub(crate) use self::lookup::VariantMemory;
use self::lookup::{Bodies, Usable, Wish};
pub(crate) use self::pass::settle_conditions;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::coalesce::{Flights, Permits};
use crate::defaults;
use crate::key::KeyBuilder;
use crate::log::{Follower, Purges, Views};
use crate::observe::{Notice, SharedObserver};
use crate::outcome::{Detail, Outcome, Served};
use crate::rules::{Bypass, CacheRequest, FillRequest, RuleSet};
use crate::store::{Claims, NearCache, Store};

/// Bounds on what requests may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Fills under way that others can join.
    pub(crate) flights: usize,
    /// Bytes that all fills under way may hold together, those that nobody can join included.
    pub(crate) fill_bytes: u64,
    /// How long a flight that others wait for may take before one of them begins another, and how long a fill
    /// waits for leave to begin.
    pub(crate) follow: Duration,
    /// How long another node is believed to be fetching a response.
    pub(crate) claim: Duration,
    /// How long a fill goes on when nobody waits for it, and how long while the inner service has not begun
    /// to answer (SAFETY 72). A refresh, which nobody waits for, and what the fleet waits for have the former.
    pub(crate) fill: Duration,
    pub(crate) orphan: Duration,
    /// How long one reader may hold up the others once a body is too large to store.
    pub(crate) stall: Duration,
    /// The longest freshness lifetime, whatever upstream or rule say.
    pub(crate) lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flights: 10_000,
            fill_bytes: defaults::FILL_BYTES,
            follow: defaults::COALESCE_TIMEOUT,
            claim: defaults::FLEET_CLAIM,
            fill: Duration::from_secs(60),
            orphan: Duration::from_secs(5),
            stall: Duration::from_secs(30),
            lifetime: defaults::LIFETIME_CEILING,
        }
    }
}

/// Everything that answering a request needs. One per cache, shared by its services.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Replaced as a whole, while requests go on.
    pub(crate) rules: ArcSwap<RuleSet>,
    pub(crate) store: Arc<dyn Store>,
    /// Copies of what was found in `store`; none where that is in this process itself.
    pub(crate) near: Option<NearCache>,
    pub(crate) tips: Tips,
    /// Where nodes agree who of them fetches a response; none where there is one node.
    pub(crate) claims: Option<Arc<dyn Claims>>,
    pub(crate) permits: Permits,
    pub(crate) views: Arc<Views>,
    pub(crate) follower: Arc<Follower>,
    pub(crate) purges: Arc<Purges>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Chance,
    pub(crate) observer: SharedObserver,
    pub(crate) limits: Limits,
    pub(crate) variants: VariantMemory,
    pub(crate) searches: SearchMemory,
    /// The inner service is another program, which may read a path otherwise than a rule does (SAFETY 71).
    pub(crate) doubts_paths: AtomicBool,
}

/// Put into forwarded requests: the same cache further inside lets them pass, instead of waiting for a
/// flight that waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Forwarded(usize);

impl Engine {
    /// `request`, which is for `uri`, if a rule takes `path` and this cache has not forwarded it already; or why
    /// it bypasses the cache. Its key is written to `key`.
    pub(crate) fn request<A>(
        &self,
        request: &Request<A>,
        path: &str,
        uri: &Uri,
        key: &mut KeyBuilder,
    ) -> Option<Result<CacheRequest, Bypass>> {
        let rules = self.rules.load();
        let matched = rules.find(request.method(), path)?;
        let forwarded = self.has_forwarded(request.extensions());
        (!forwarded).then(|| matched.request(uri, request.headers(), key))
    }

    /// Whether this cache has forwarded a request with these extensions already.
    fn has_forwarded(&self, request: &Extensions) -> bool {
        request.get::<Forwarded>() == Some(&self.mark())
    }

    /// See [`RuleSet::fill_request`].
    fn fill_request<A>(&self, asked: CacheRequest, request: &Request<A>) -> FillRequest {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        self.rules.load().fill_request(asked, method, uri, headers)
    }

    /// Tells this engine from others in one process.
    fn mark(&self) -> Forwarded {
        Forwarded(std::ptr::from_ref(self) as usize)
    }

    /// Answers a request that a rule matched.
    pub(crate) async fn serve<S, A>(
        self: Arc<Self>,
        mut asked: CacheRequest,
        request: Request<A>,
        inner: S,
    ) -> ServiceResult<S, A>
    where
        S: InnerService<A>,
        A: Body + Send + 'static,
    {
        let mut lookup = match self.lookup_copy(&asked, request.headers()).await {
            Some(lookup) => lookup,
            None => {
                let lookup = self.lookup_with(&asked, request.headers(), Bodies::AsHeld);
                lookup.await
            }
        };
        if let Usable::Cut(cut) = &lookup.usable {
            let cut = Arc::clone(cut);
            let asks = (request.method(), request.headers());
            if let Some(response) = self.with_body(&mut asked, asks, &mut lookup, &cut).await {
                return Ok(response);
            }
        }
        let search = self.search(&asked, request.uri(), request.headers(), lookup);
        let lookup = search.await;
        let (method, headers) = (request.method(), request.headers());
        let part = self.answer_from_part(&asked, &lookup, method, headers);
        if let Some(response) = part.await {
            return Ok(response);
        }
        match &lookup.usable {
            Usable::Fresh(stored) => {
                let stored = Arc::clone(stored);
                let response = self.respond_hit(&asked, &request, &stored, self.clock.now());
                self.refresh_early(asked, lookup, stored, request, inner);
                Ok(response)
            }
            Usable::Stale(stale) if stale.wish == Wish::Accept => {
                let mut outcome = self.hit(&stale.stored);
                outcome.served = Served::Stale;
                outcome.detail = Some(Detail::MaxStale);
                Ok(self.respond_stored(&asked.rule, &request, &stale.stored, outcome))
            }
            Usable::Stale(stale) if self.may_serve_while_revalidating(stale) => {
                let mut outcome = self.hit(&stale.stored);
                outcome.served = Served::Stale;
                outcome.detail = Some(Detail::StaleWhileRevalidate);
                let response = self.respond_stored(&asked.rule, &request, &stale.stored, outcome);
                let wanted = self.fill_request(asked, &request);
                self.refresh(wanted, lookup, request, inner);
                Ok(response)
            }
            _ if asked.wishes.only_if_cached => Ok(self.not_cached(&asked.rule, &lookup)),
            _ => {
                let wanted = self.fill_request(asked, &request);
                self.forward(wanted, lookup, request, inner).await
            }
        }
    }

    /// Each request that a rule matched ends here, exactly once.
    fn report(&self, rule: &str, outcome: &Outcome) {
        self.observer.notify(&Notice::Request { rule, outcome });
    }
}
