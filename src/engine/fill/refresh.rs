//! Early refresh: a hit close to the end of the lifetime may be chosen to fetch the response again
//! behind itself, so that nobody finds it stale. XFetch (Vattani, Chierichetti, Lowenstein 2015): by
//! chance, the likelier the closer the end is and the longer the last fetch took. It only chooses
//! candidates; the flights see to it that one of them flies.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body::Body;
use tracing::Instrument;

use crate::clock::{Timestamp, millis};
use crate::coalesce::Join;
use crate::engine::fill::Fill;
use crate::engine::lookup::{Lookup, Stale, Usable, Wish};
use crate::engine::{Engine, InnerService};
use crate::entry::{EARLIEST, StoredResponse};
use crate::rules::{CacheRequest, FillRequest};
use crate::semantics;

impl Engine {
    /// RFC 5861 §3. A soft-purged response that is still fresh counts as stale since now.
    pub(crate) fn may_serve_while_revalidating(&self, stale: &Stale) -> bool {
        let freshness = &stale.stored.freshness;
        !freshness.always_validate
            && stale.wish != Wish::Validate
            && stale.since < freshness.stale_while_revalidate
    }

    /// Begins a fill that nobody waits for, unless one is under way.
    pub(crate) fn refresh<S, A>(
        self: Arc<Self>,
        mut wanted: FillRequest,
        lookup: Lookup,
        mut request: Request<A>,
        inner: S,
    ) where
        S: InnerService<A>,
        A: Body + Send + 'static,
    {
        if wanted.asked.has_authorization {
            return;
        }
        // One that fails is not repeated by each request that finds the response stale.
        let now = self.clock.monotonic();
        if self.flights.has_failed_to_refresh(&lookup.key, now) {
            return;
        }
        let Join::Lead(lead) = self.flights.join(&lookup.key) else {
            return;
        };
        *request.method_mut() = Method::GET;
        semantics::strip_range(request.headers_mut());
        wanted.method = Method::GET;
        semantics::strip_range(&mut wanted.headers);
        let fill = Fill::new(Arc::clone(&self), lead, Arc::new(wanted), &lookup);
        self.flights.begin_refresh(&lookup.key);
        let refresh = async move {
            fill.run::<S, A>(request, inner, None).await;
            let now = self.clock.monotonic();
            self.flights.end_refresh(&lookup.key, now);
        };
        tokio::spawn(refresh.in_current_span());
    }

    /// Whether the hit on `stored` is chosen to refresh it. A copy in this process has one chosen, so
    /// that a refresh that fails is not tried again before its end.
    pub(crate) fn elects(&self, stored: &StoredResponse, now: Timestamp) -> bool {
        stored.is_nearly_over(now) && self.is_drawn(stored, now) && stored.ready.elect()
    }

    fn is_drawn(&self, stored: &StoredResponse, now: Timestamp) -> bool {
        let left = stored.remaining_millis(now) as f64;
        let eagerness = stored.freshness.eagerness.as_secs_f64() * 1000.0;
        -eagerness * self.chance.next().ln() >= left
    }

    /// Fetches `stored` behind, as if it were stale already, if the hit on it was chosen for that, be
    /// it by the copy that was at hand. What was found instead may be newer than that.
    pub(crate) fn refresh_early<S, A>(
        self: Arc<Self>,
        asked: CacheRequest,
        mut lookup: Lookup,
        stored: Arc<StoredResponse>,
        request: Request<A>,
        inner: S,
    ) where
        S: InnerService<A>,
        A: Body + Send + 'static,
    {
        let now = self.clock.now();
        let chosen = if asked.elected {
            stored.is_nearly_over(now)
        } else {
            self.elects(&stored, now)
        };
        if chosen {
            lookup.usable = Usable::Stale(Stale {
                stored,
                since: Duration::ZERO,
                soft_purged: false,
                wish: Wish::Silent,
            });
            let wanted = self.fill_request(asked, &request);
            self.refresh(wanted, lookup, request, inner);
        }
    }
}

impl Fill {
    /// Notes in `stored`, which this fill has brought, how early it is worth to fetch it again: never
    /// in the first half of what is left of its lifetime.
    pub(crate) fn note_eagerness(&self, stored: &mut StoredResponse) {
        let Some(factor) = self.wanted.asked.rule.settings.refresh_early else {
            return;
        };
        let took = self.engine.clock.monotonic().saturating_sub(self.began);
        let left = stored.freshness.lifetime.saturating_sub(stored.initial_age);
        let scale = took.as_secs_f64() * factor;
        let scale = Duration::try_from_secs_f64(scale).unwrap_or(Duration::MAX);
        // As it is stored.
        let whole = millis(scale.min(left / (2 * EARLIEST)));
        stored.freshness.eagerness = Duration::from_millis(whole);
    }
}
