//! Early refresh: a hit close to the end of the lifetime may be chosen to fetch the response again
//! behind itself, so that nobody finds it stale. XFetch (Vattani, Chierichetti, Lowenstein 2015): by
//! chance, the likelier the closer the end is and the longer the last fetch took. It only chooses
//! candidates; the flights see to it that one of them flies.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body::Body;
use tracing::Instrument;

use crate::clock::millis;
use crate::coalesce::Join;
use crate::engine::fill::Fill;
use crate::engine::lookup::{Lookup, Stale, Usable, Wish};
use crate::engine::{Engine, InnerService};
use crate::entry::{EARLIEST, StoredResponse};
use crate::rules::{CacheRequest, FillRequest};
use crate::semantics;
use crate::sync::owned;

impl Engine {
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
        let now = self.fills.clock.monotonic();
        if self.fills.flights.has_failed_to_refresh(&lookup.key, now) {
            return;
        }
        let Join::Lead(lead) = self.fills.flights.join(&lookup.key) else {
            return;
        };
        *request.method_mut() = Method::GET;
        semantics::strip_range(request.headers_mut());
        wanted.method = Method::GET;
        semantics::strip_range(&mut wanted.headers);
        let fill = Fill::new(Arc::clone(&self), lead, Arc::new(wanted), &lookup);
        self.fills.flights.begin_refresh(&lookup.key);
        let refresh = async move {
            fill.run::<S, A>(request, inner, None).await;
            let now = self.fills.clock.monotonic();
            self.fills.flights.end_refresh(&lookup.key, now);
        };
        tokio::spawn(owned(refresh.in_current_span()));
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
        let now = self.fills.clock.now();
        let chosen = if asked.elected {
            stored.is_nearly_over(now)
        } else {
            self.lookups.elects(&stored, now)
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
        let took = self
            .engine
            .fills
            .clock
            .monotonic()
            .saturating_sub(self.began);
        let left = stored.freshness.lifetime.saturating_sub(stored.initial_age);
        let scale = took.as_secs_f64() * factor;
        let scale = Duration::try_from_secs_f64(scale).unwrap_or(Duration::MAX);
        // As it is stored.
        let whole = millis(scale.min(left / (2 * EARLIEST)));
        stored.freshness.eagerness = Duration::from_millis(whole);
    }
}
