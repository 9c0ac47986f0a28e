//! One request, from start to end.
//!
//! ```text
//! answer ── fresh, at hand ──────────────────────────► answer
//! serve ─ lookup ── fresh, a part, its first chunks ─► answer
//!           ├─ stale, allowed ── refresh behind ─────► answer
//!           └─ miss, purged, stale ── forward ─┬─ lead:   fill ─► answer while it fills
//!                                              └─ follow: usable? answer : lead one's own
//! fill: clearance ─► call ─► judgement ─► landing
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
mod own_validators;
mod pass;
mod selection;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Extensions, Request, Response, Uri};
use http_body::Body;

pub(crate) use self::answer::Answers;
pub use self::answer::CacheBody;
use self::answer::at_position;
pub(crate) use self::fill::{Fills, Limits};
pub(crate) use self::inner::{InnerService, ServiceResult};
pub(crate) use self::lookup::{ForcedMisses, Lookups, SearchMemory, Tips, VariantMemory};
use self::lookup::{Usable, Wish};
pub(crate) use self::own_validators::settle_conditions;
use crate::key::KeyBuilder;
use crate::outcome::Detail;
use crate::rules::{Bypass, CacheRequest, FillRequest, RuleSet};

/// Everything that answering a request needs. One per cache, shared by its services.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Replaced as a whole, while requests go on.
    pub(crate) rules: ArcSwap<RuleSet>,
    pub(crate) lookups: Lookups,
    pub(crate) fills: Fills,
    pub(crate) answers: Answers,
}

/// Put into the extensions of a request by the program: the answer names in `Cache-Status` the position in the purge
/// log that was known before it was generated, `position="12-3"`. For those who may know what is purged, and when: an
/// operator, a test. A position of a hit that is below that of a purge is no error, as not every purge names it.
///
/// ```
/// # fn main() -> Result<(), http::Error> {
/// use tower_tagcache::TellPosition;
///
/// let request = http::Request::get("/auctions/7").extension(TellPosition).body(())?;
/// # let _ = request;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TellPosition;

/// Put into forwarded requests: the same cache further inside lets them pass, instead of waiting for a
/// flight that waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ForwardMark(usize);

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
        let tells = request.extensions().get::<TellPosition>().is_some();
        (!forwarded).then(|| {
            let mut asked = matched.request(uri, request.headers(), key);
            if tells && let Ok(asked) = &mut asked {
                asked.tells_position = true;
            }
            asked
        })
    }

    /// Whether this cache has forwarded a request with these extensions already.
    fn has_forwarded(&self, request: &Extensions) -> bool {
        request.get::<ForwardMark>() == Some(&self.mark())
    }

    /// See [`RuleSet::fill_request`].
    fn fill_request<A>(&self, asked: CacheRequest, request: &Request<A>) -> FillRequest {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        self.rules.load().fill_request(asked, method, uri, headers)
    }

    /// Tells this engine from others in one process.
    fn mark(&self) -> ForwardMark {
        ForwardMark(std::ptr::from_ref(self) as usize)
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
        let message = (request.method(), request.uri(), request.headers());
        let mut lookup = self.lookups.find(&mut asked, message).await;
        let answers = &self.answers;
        match std::mem::replace(&mut lookup.usable, Usable::Nothing) {
            Usable::Fresh(stored) => {
                let now = answers.clock.now();
                let response = answers.respond_hit(&asked, &request, &stored, now);
                self.refresh_early(asked, lookup, stored, request, inner);
                Ok(response)
            }
            Usable::OpenBody(opened) => {
                let stamp = opened.cut.head().stamp;
                let response = answers.respond_opened(&asked.rule, request.method(), opened);
                Ok(at_position(&asked, Some(stamp), response))
            }
            Usable::Part(part) => {
                let response = answers.respond_part(&asked.rule, &part);
                Ok(at_position(&asked, Some(part.stored.stamp), response))
            }
            Usable::Stale(stale) if stale.wish == Wish::Accept => {
                Ok(answers.respond_stale(&asked, &request, &stale, Detail::MaxStale))
            }
            Usable::Stale(stale) if stale.may_serve_while_revalidating() => {
                let detail = Detail::StaleWhileRevalidate;
                let response = answers.respond_stale(&asked, &request, &stale, detail);
                lookup.usable = Usable::Stale(stale);
                let wanted = self.fill_request(asked, &request);
                self.refresh(wanted, lookup, request, inner);
                Ok(response)
            }
            _ if asked.wishes().only_if_cached => Ok(answers.not_cached(&asked.rule, &lookup)),
            usable => {
                lookup.usable = usable;
                let wanted = self.fill_request(asked, &request);
                self.forward(wanted, lookup, request, inner).await
            }
        }
    }

    /// Answers at once if the near copy or the store does and has a fresh response. Whatever else there is,
    /// [`serve`](Self::serve) finds out, from the beginning.
    pub(crate) fn answer<A, B>(
        &self,
        asked: &mut CacheRequest,
        key: &[u8],
        request: &Request<A>,
    ) -> Option<Response<CacheBody<B>>> {
        let now = self.answers.clock.now();
        let stored = self.lookups.at_hand(asked, key, request.headers(), now)?;
        if self.lookups.elects(&stored, now) {
            asked.elected = true;
            return None;
        }
        Some(self.answers.respond_hit(asked, request, &stored, now))
    }
}
