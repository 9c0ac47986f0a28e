//! Key -> fresh, stale, or nothing; strictly (PROTOCOL 19).

mod after;
pub(super) mod chunks;
pub(super) mod fitness;
pub(super) mod near;
pub(super) mod part;
mod put;
pub(super) mod search;
mod stale;
pub(super) mod tips;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method, Uri};
use smallvec::SmallVec;
use tokio::time::Instant;

pub(crate) use self::after::ForcedMisses;
pub(crate) use self::chunks::OpenBody;
use self::fitness::Fitness;
pub(crate) use self::fitness::Wish;
pub(crate) use self::part::StoredPart;
pub(crate) use self::search::SearchMemory;
pub(crate) use self::stale::{Stale, window_if_disconnected};
pub(crate) use self::tips::Tips;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::coalesce::{Flights, Landings, Moment};
use crate::entry::{Cut, Entry, StoredResponse};
use crate::error::Error;
use crate::key::CacheKey;
use crate::log::{Follower, Tip, View, Views};
use crate::observe::SharedObserver;
use crate::outcome::{Detail, ForwardReason, Why};
use crate::rules::CacheRequest;
use crate::semantics;
use crate::store::{Holding, NearCache, Store, StoreReply};
use crate::validity::Verdict;
use crate::weaken::{ProtocolRule, weakened};

/// URIs whose `Vary` this process remembers.
const VARIANT_MEMORY: usize = 10_000;

/// Where stored responses are found and put, and what judges them.
#[derive(Debug)]
pub(crate) struct Lookups {
    pub(crate) store: Arc<dyn Store>,
    /// Copies of what was found in `store`; none where that is in this process itself.
    pub(crate) near: Option<NearCache>,
    pub(crate) tips: Tips,
    pub(crate) views: Arc<Views>,
    pub(crate) follower: Arc<Follower>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) variants: VariantMemory,
    pub(crate) searches: SearchMemory,
    pub(crate) forced: ForcedMisses,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Chance,
    pub(crate) observer: SharedObserver,
}

/// What a lookup came to.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// A view that had reached the tip of the log, read after the request arrived.
    pub(crate) view: Option<Arc<View>>,
    /// The key under which the response for this request is stored, as far as known: the URI's, or
    /// that of its variant.
    pub(crate) key: CacheKey,
    pub(crate) usable: Usable,
    /// Why the request is forwarded, if it is.
    pub(crate) why: Why,
    /// It may be used only while the view has the lease (PROTOCOL 22 `[strict_lease]`).
    pub(crate) needs_lease: bool,
    /// The landings of its URI when it began.
    pub(crate) landings: Landings,
    /// When it began: the request had come by then.
    pub(crate) moment: Moment,
    pub(crate) at: Instant,
}

/// What may be done with what was found.
#[derive(Debug)]
pub(crate) enum Usable {
    Fresh(Arc<StoredResponse>),
    /// Fresh, but for its body, which is not read yet. Only where it was asked for so.
    Cut(Arc<Cut>),
    /// Fresh, and read while it is sent: what of it the request gets has been chosen.
    OpenBody(OpenBody),
    /// A part that covers the range that is asked for, where nothing is stored of the whole.
    Part(StoredPart),
    Stale(Stale),
    Nothing,
}

/// How a lookup returns a fresh response whose body the store holds in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    Whole,
    /// Without the body.
    AsHeld,
}

/// Which fields select among the variants of a URI, as this process has seen.
#[derive(Debug)]
pub(crate) struct VariantMemory(quick_cache::sync::Cache<CacheKey, Arc<[HeaderName]>>);

impl VariantMemory {
    pub(crate) fn new() -> Self {
        Self(quick_cache::sync::Cache::new(VARIANT_MEMORY))
    }

    pub(crate) fn get(&self, key: &CacheKey) -> Option<Arc<[HeaderName]>> {
        self.0.get(key)
    }

    pub(crate) fn learn(&self, key: &CacheKey, fields: &[HeaderName]) {
        self.0.insert(key.clone(), fields.into());
    }
}

/// The key of the variant of `uri` that `fields` select for a request.
pub(crate) fn variant_key(uri: &CacheKey, fields: &[HeaderName], request: &HeaderMap) -> CacheKey {
    if fields.is_empty() {
        return uri.clone();
    }
    let mut builder = uri.extend();
    semantics::append_variant(&mut builder, fields, request);
    builder.finish()
}

impl Lookups {
    /// What there is for a request: in this process, else in the store; else under another URL, or a part.
    pub(crate) async fn find(
        &self,
        asked: &mut CacheRequest,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
    ) -> Lookup {
        let mut lookup = self.lookup_after(asked, headers).await;
        if let Usable::Cut(cut) = &lookup.usable {
            let cut = Arc::clone(cut);
            self.open(asked, (method, headers), &mut lookup, cut).await;
        }
        let mut lookup = self.search(asked, uri, headers, lookup).await;
        if matches!(lookup.usable, Usable::Nothing)
            && let Some(part) = self.part(asked, &lookup, method, headers).await
        {
            lookup.usable = Usable::Part(part);
        }
        lookup
    }

    pub(crate) async fn lookup(&self, asked: &CacheRequest, request: &HeaderMap) -> Lookup {
        self.lookup_with(asked, request, Bodies::Whole).await
    }

    pub(crate) async fn lookup_with(
        &self,
        asked: &CacheRequest,
        request: &HeaderMap,
        bodies: Bodies,
    ) -> Lookup {
        let uri = &asked.key;
        let known = self.variants.get(uri);
        let key = known
            .as_ref()
            .map_or_else(|| uri.clone(), |fields| variant_key(uri, fields, request));
        let mut keys: SmallVec<[CacheKey; 2]> = SmallVec::from_iter([uri.clone()]);
        if known.is_some() {
            keys.push(key.clone());
        }
        let mut lookup = self.begun(uri, key);
        let looking = self.look(&mut lookup, asked, request, &keys, bodies);
        match looking.await {
            Ok(()) => {
                if let Usable::Fresh(stored) = &lookup.usable {
                    let fields = self.variants.get(uri).unwrap_or_default();
                    self.copy_near(uri, &fields, stored);
                }
            }
            Err(detail) => lookup.fail(detail),
        }
        lookup
    }

    /// A lookup for the URI `uri`, under `key`, that has found nothing yet.
    pub(crate) fn begun(&self, uri: &CacheKey, key: CacheKey) -> Lookup {
        Lookup {
            view: None,
            key,
            usable: Usable::Nothing,
            why: Why {
                reason: ForwardReason::UriMiss,
                detail: None,
            },
            needs_lease: false,
            landings: self.flights.landings(uri),
            moment: self.flights.moment(),
            at: Instant::now(),
        }
    }

    /// Looks under the key of a part alone.
    pub(crate) async fn lookup_part(
        &self,
        asked: &CacheRequest,
        request: &HeaderMap,
        key: CacheKey,
    ) -> Lookup {
        let keys = [key.clone()];
        let mut lookup = self.begun(&asked.key, key);
        lookup.why.reason = ForwardReason::Partial;
        let looking = self.look(&mut lookup, asked, request, &keys, Bodies::Whole);
        if looking.await.is_err() {
            lookup.usable = Usable::Nothing;
        }
        lookup
    }

    async fn look(
        &self,
        lookup: &mut Lookup,
        asked: &CacheRequest,
        request: &HeaderMap,
        keys: &[CacheKey],
        bodies: Bodies,
    ) -> Result<(), Detail> {
        let StoreReply { entries, tip } = self
            .store
            .get(keys)
            .await
            .map_err(|error| self.failed(&error))?;
        let view = self.follower.reach(tip).await?;
        lookup.view = Some(Arc::clone(&view));
        for held in entries.into_iter().flatten() {
            match held {
                Holding::Entry(Entry::Response(stored)) => {
                    self.consider(lookup, asked, &view, stored);
                }
                Holding::Cut(cut) => self.consider_cut(lookup, asked, &view, cut, bodies).await?,
                Holding::Entry(Entry::Variants(index)) if index.key == asked.key => {
                    let key = variant_key(&asked.key, &index.fields, request);
                    self.variants.learn(&asked.key, &index.fields);
                    let looked_at = keys.contains(&key);
                    lookup.key = key;
                    lookup.why.reason = ForwardReason::VaryMiss;
                    if !looked_at {
                        self.look_for_variant(lookup, asked, &view, bodies).await?;
                    }
                }
                Holding::Entry(Entry::Variants(_)) => {}
            }
        }
        self.check_lease(lookup, tip, &view)
    }

    /// The URI turned out to have variants: a second round trip, once in a process.
    async fn look_for_variant(
        &self,
        lookup: &mut Lookup,
        asked: &CacheRequest,
        view: &View,
        bodies: Bodies,
    ) -> Result<(), Detail> {
        let keys = [lookup.key.clone()];
        let found = self
            .store
            .get(&keys)
            .await
            .map_err(|error| self.failed(&error))?;
        match found.entries.into_iter().next().flatten() {
            Some(Holding::Entry(Entry::Response(stored))) => {
                self.consider(lookup, asked, view, stored);
            }
            Some(Holding::Cut(cut)) => self.consider_cut(lookup, asked, view, cut, bodies).await?,
            _ => {}
        }
        Ok(())
    }

    /// Where Redis has replicas, this process may be cut off together with an old master that still
    /// answers: strict lookups need the lease too (PROTOCOL 22 `[strict_lease]`). Checked after the last
    /// await.
    pub(crate) fn check_lease(
        &self,
        lookup: &mut Lookup,
        tip: Tip,
        view: &View,
    ) -> Result<(), Detail> {
        lookup.needs_lease = tip.replicas > 0;
        if lookup.needs_lease && !self.views.leased(view) {
            // Also where nothing was found: a flight is judged by the same view.
            lookup.view = None;
            return Err(Detail::NoLease);
        }
        Ok(())
    }

    /// Whether the lease holds that what was found needs, if it needs one.
    pub(crate) fn may_still_use(&self, lookup: &Lookup) -> bool {
        let leased = |view| self.views.leased(view);
        !lookup.needs_lease || lookup.view.as_deref().is_some_and(leased)
    }

    /// Uses `stored` if it is for this request, not purged, and newer than what was found before.
    pub(crate) fn consider(
        &self,
        lookup: &mut Lookup,
        asked: &CacheRequest,
        view: &View,
        stored: Arc<StoredResponse>,
    ) {
        if stored.key != asked.key && stored.key != lookup.key {
            return;
        }
        let fitness = self.fitness(asked, view, &stored, self.clock.now());
        let newer = match &lookup.usable {
            Usable::Nothing => true,
            Usable::Fresh(old) | Usable::Stale(Stale { stored: old, .. }) => {
                stored.received_at > old.received_at
            }
            Usable::Cut(old) => stored.received_at > old.head().received_at,
            // Made of what was found, when the looking is over.
            Usable::OpenBody(_) | Usable::Part(_) => false,
        };
        if matches!(fitness, Fitness::Fresh | Fitness::Stale { .. }) && !newer {
            return;
        }
        if let Some(why) = fitness.objection() {
            lookup.why = why;
        }
        lookup.usable = match fitness {
            Fitness::Fresh => Usable::Fresh(stored),
            Fitness::Stale {
                since,
                soft_purged,
                wish,
            } => Usable::Stale(Stale {
                stored,
                since,
                soft_purged,
                wish,
            }),
            Fitness::Purged(_)
            | Fitness::Unauthorized
            | Fitness::Unproven
            | Fitness::OfTheFuture => return,
        };
    }

    pub(crate) fn failed(&self, error: &Error) -> Detail {
        tips::failed(&self.observer, error)
    }
}

impl Lookup {
    /// The stored response that may be the base of a conditional request or an answer to an error.
    pub(crate) const fn stale(&self) -> Option<&Stale> {
        match &self.usable {
            Usable::Stale(stale) => Some(stale),
            _ => None,
        }
    }

    /// It came to nothing, as this process may be cut off together with an old master.
    pub(crate) fn lose_lease(&mut self) {
        self.view = None;
        self.fail(Detail::NoLease);
    }

    /// It came to nothing, for that reason.
    pub(crate) fn fail(&mut self, detail: Detail) {
        self.usable = Usable::Nothing;
        self.why = Why {
            reason: ForwardReason::Miss,
            detail: Some(detail),
        };
    }

    /// The position known before the inner service is called (PROTOCOL 15): the view's, which is at or
    /// past the tip that this lookup saw.
    pub(crate) fn stamp(&self) -> Option<crate::position::Stamp> {
        self.view.as_ref().map(|view| view.stamp())
    }
}

/// Whether a request may use what a flight brings, judged now (PROTOCOL 20).
pub(crate) fn may_join(verdict: Verdict) -> bool {
    verdict == Verdict::Valid || weakened(ProtocolRule::Joiner)
}
