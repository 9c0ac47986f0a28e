//! The fill: one call of the inner service, from the stamp to the stored response.
//!
//! It runs in a task of its own and belongs to no client. The one whose request began it gets an
//! [`Answer`]; everybody reads the body from the flight.

pub(super) mod body;
mod clearance;
mod conditional;
mod judgement;
mod land;
mod refresh;
mod supersede;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::ServiceExt;

use self::clearance::{Asking, Clearance, Leave};
pub(crate) use self::conditional::Freshening;
pub(crate) use self::judgement::Answer;
use self::judgement::Judgement;
use crate::chance::Chance;
use crate::clock::{Clock, Timestamp};
use crate::coalesce::{Expectation, Flights, Lead, Permits};
use crate::engine::lookup::{Lookup, Stale};
use crate::engine::{Engine, ForwardMark, InnerService};
use crate::key::CacheKey;
use crate::log::Purges;
use crate::position::Stamp;
use crate::rules::{CompiledRule, FillRequest, is_odd};
use crate::store::Claims;
use crate::{defaults, semantics};

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
    /// The longest freshness lifetime, whatever response or rule say.
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

/// What begins fills and decides about them.
#[derive(Debug)]
pub(crate) struct Fills {
    pub(crate) flights: Arc<Flights>,
    /// Where nodes agree who of them fetches a response; none where there is one node.
    pub(crate) claims: Option<Arc<dyn Claims>>,
    pub(crate) permits: Permits,
    pub(crate) purges: Arc<Purges>,
    pub(crate) limits: Limits,
    pub(crate) chance: Chance,
    pub(crate) clock: Arc<dyn Clock>,
    /// The inner service is another program, which may read a path otherwise than a rule does (SAFETY 71).
    pub(crate) doubts_paths: AtomicBool,
}

impl Fills {
    /// Whether the inner service may read `path`, which `rule` takes, as another one (SAFETY 71).
    pub(crate) fn doubts(&self, rule: &CompiledRule, path: &str) -> bool {
        self.doubts_paths.load(Ordering::Relaxed) && !rule.takes_odd_paths && is_odd(path)
    }
}

/// Where the answer goes; `None` when nobody waits for it (a refresh behind a stale response).
pub(crate) type Recipient<B, E> = Option<oneshot::Sender<Answer<B, E>>>;

/// One call of the inner service, and what it is for.
pub(crate) struct Fill {
    pub(crate) engine: Arc<Engine>,
    pub(crate) lead: Lead,
    pub(crate) wanted: Arc<FillRequest>,
    /// The key that the request was looked up by: the URI's, or that of its variant.
    pub(crate) key: CacheKey,
    /// Taken before the call (PROTOCOL 15).
    pub(crate) stamp: Option<Stamp>,
    /// Monotonic, for settling.
    pub(crate) began: Duration,
    pub(crate) requested_at: Timestamp,
    /// The stored response that a 304 freshens or an error falls back to. Never a purged one.
    pub(crate) stale: Option<Stale>,
    /// The client asked for one range: a 206 may be stored as a part.
    partial: bool,
    /// A flight that the request could have joined may have landed since it looked.
    pub(crate) overtaken: bool,
    /// How long it goes on when nobody waits for it or reads it; and since when that is so.
    pub(crate) patience: Duration,
    /// It ends before that where others want its place (SAFETY 72).
    pub(crate) yields: bool,
    unwanted_since: Option<Instant>,
}

impl Fill {
    pub(crate) fn new(
        engine: Arc<Engine>,
        lead: Lead,
        wanted: Arc<FillRequest>,
        lookup: &Lookup,
    ) -> Self {
        let fill = Self {
            stamp: lookup.stamp(),
            began: engine.fills.clock.monotonic(),
            requested_at: engine.fills.clock.now(),
            // After the stamp: a purge that it is past must be seen here (PROTOCOL 5, 17).
            stale: lookup
                .stale()
                .and_then(|stale| engine.lookups.still_usable(stale)),
            key: lookup.key.clone(),
            overtaken: engine
                .fills
                .flights
                .have_landed(&wanted.asked.key, lookup.landings),
            unwanted_since: None,
            yields: false,
            patience: engine.fills.limits.fill,
            partial: semantics::asks_for_one_range(&wanted.headers),
            engine,
            lead,
            wanted,
        };
        if !fill.needs_clearance() {
            fill.expect();
        }
        fill
    }

    /// Says what the flight will bring, as it is about to begin.
    pub(crate) fn expect(&self) {
        if let (Some(stamp), Ok(tags)) = (self.stamp, &self.wanted.tags) {
            self.lead.expect(Expectation {
                stamp,
                began: self.began,
                tags: tags.clone(),
                path: self.wanted.path.clone(),
            });
        }
    }

    /// Clearance to call the inner service, the call, a verdict on what it brought, and its landing.
    pub(crate) async fn run<S, A>(
        mut self,
        request: Request<A>,
        inner: S,
        mut recipient: Recipient<S::ResBody, S::Error>,
    ) where
        S: InnerService<A>,
    {
        let mut leave = match self.clear(&mut recipient).await {
            Ok(leave) => leave,
            Err(instead) => return self.land(instead, recipient).await,
        };
        let judgement = match self.call(request, inner, &mut recipient).await {
            Ok(response) => self.judge(response).await,
            Err(instead) => instead,
        };
        let (engine, key) = (Arc::clone(&self.engine), self.key.clone());
        self.land(judgement, recipient).await;
        let now = engine.fills.clock.monotonic();
        if let Some(leave) = &mut leave
            && engine.fills.flights.is_uncacheable(&key, now)
        {
            leave.unshareable();
        }
    }

    /// Leave to call the inner service, if it takes one; or what comes of the fill without a call.
    async fn clear<B, E>(
        &mut self,
        recipient: &mut Recipient<B, E>,
    ) -> Result<Option<Leave>, Judgement<B, E>> {
        let somebody_waits = recipient.is_some();
        let Some(asking) = self.asking(somebody_waits) else {
            if somebody_waits {
                self.may_yield();
            }
            return Ok(None);
        };
        let clearance = self.unless_abandoned(asking.clearance(), recipient);
        let leave = match clearance.await {
            None => return Err(Judgement::Abandoned),
            Some(Clearance::Granted(leave)) => leave,
            Some(Clearance::Fetched(stored)) => return Err(Judgement::Fetched(stored)),
            Some(Clearance::Elsewhere) => {
                return Err(Judgement::Failed("another node fetches it", None));
            }
        };
        if leave.crowded {
            let (rule, stale) = (&self.wanted.asked.rule, self.stale.as_ref());
            let stand_in = self.engine.lookups.stale_if_disconnected(rule, stale);
            if !somebody_waits || stand_in.is_some() {
                let answer = stand_in.map(|(stored, outcome)| Answer::Spared(stored, outcome));
                return Err(Judgement::Failed("too many forwards are under way", answer));
            }
        }
        self.begin(leave.stamp);
        if somebody_waits && !leave.is_claimed() {
            self.may_yield();
        }
        Ok(Some(leave))
    }

    /// It is for those who wait for it here, and for nobody else.
    fn may_yield(&mut self) {
        self.patience = self.engine.fills.limits.orphan;
        self.yields = true;
    }

    pub(crate) fn needs_clearance(&self) -> bool {
        let settings = &self.wanted.asked.rule.settings;
        let by_fleet = settings.fleet_coalesce.is_some() && self.engine.fills.claims.is_some();
        let to_share = (by_fleet || self.overtaken) && !self.lead.is_alone();
        settings.forward_limit.is_some() || to_share
    }

    fn asking(&self, somebody_waits: bool) -> Option<Asking> {
        let stamp = self.stamp.filter(|_| self.needs_clearance())?;
        Some(Asking {
            engine: Arc::clone(&self.engine),
            wanted: Arc::clone(&self.wanted),
            key: self.key.clone(),
            stamp,
            present: self.stale.as_ref().map(|stale| Arc::clone(&stale.stored)),
            somebody_waits,
            shared: !self.lead.is_alone(),
            overtaken: self.overtaken,
            deadline: self.wanted.since + self.engine.fills.limits.follow,
        })
    }

    /// The wait is over: the fill begins now, not when it was asked for. The stamp before the rest, so
    /// that a purge it is past is seen by the rest (PROTOCOL 5, 17, 32).
    fn begin(&mut self, stamp: Stamp) {
        self.stamp = Some(stamp);
        self.began = self.engine.fills.clock.monotonic();
        self.requested_at = self.engine.fills.clock.now();
        let stale = self.stale.take();
        self.stale = stale.and_then(|stale| self.engine.lookups.still_usable(&stale));
        self.expect();
    }

    /// The response of the inner service; or what comes of the fill without one.
    async fn call<S, A>(
        &mut self,
        mut request: Request<A>,
        inner: S,
        recipient: &mut Recipient<S::ResBody, S::Error>,
    ) -> Result<Response<S::ResBody>, Judgement<S::ResBody, S::Error>>
    where
        S: InnerService<A>,
    {
        self.prepare(&mut request);
        self.lead.calls();
        let call = inner.oneshot(request);
        let Some(result) = self.unless_abandoned(call, recipient).await else {
            return Err(Judgement::Abandoned);
        };
        self.patience = self.engine.fills.limits.fill;
        result.map_err(|error| {
            Judgement::Failed("the inner service failed", Some(Answer::Failed(error)))
        })
    }

    /// The forwarded request asks for the whole response, unless a stored one can be freshened.
    fn prepare<A>(&self, request: &mut Request<A>) {
        request
            .extensions_mut()
            .insert::<ForwardMark>(self.engine.mark());
        self.wanted.reduce(request);
        let headers = request.headers_mut();
        semantics::strip_conditions(headers);
        semantics::drop_own(|_| false, headers);
        let conditions = self.stale.as_ref().and_then(Stale::conditions);
        for (name, value) in conditions.into_iter().flatten() {
            headers.insert(name, value);
        }
    }

    /// Runs `work`, but no longer than its patience after the last one who wanted the response has gone; not at
    /// all if nobody else can come to want it.
    pub(crate) async fn unless_abandoned<T, B, E>(
        &mut self,
        work: impl Future<Output = T>,
        recipient: &mut Recipient<B, E>,
    ) -> Option<T> {
        let flight = self.lead.flight();
        let patience = match self.lead.is_alone() {
            true => Duration::ZERO,
            false => self.patience,
        };
        let (orphans, yields) = (&self.engine.fills.flights.orphans, self.yields);
        let unwanted_since = &mut self.unwanted_since;
        let abandoned = async {
            loop {
                if let Some(recipient) = recipient {
                    recipient.closed().await;
                }
                if !flight.unwanted() {
                    *unwanted_since = None;
                }
                flight.until_unwanted().await;
                let since = *unwanted_since.get_or_insert_with(Instant::now);
                if !patience.is_zero() && yields {
                    let mut orphan = orphans.add();
                    let _ = timeout_at(since + patience, orphan.is_to_end()).await;
                } else if !patience.is_zero() {
                    sleep_until(since + patience).await;
                }
                if flight.unwanted() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = abandoned => None,
        }
    }
}
