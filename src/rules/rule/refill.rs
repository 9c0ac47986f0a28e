//! How a rule's responses are fetched again: not all at the same moment, not by everybody, and not
//! more at a time than the inner service can bear.

use std::time::Duration;

use super::Rule;
use crate::amount::Period;

impl Rule {
    /// Shortens each lifetime by a random part of what is left of it when the response arrives, up to
    /// `percent` of that, so that responses stored together do not expire together. Never lengthens one.
    /// At most 50.
    ///
    /// Default: 0, a lifetime is what response or rule say.
    #[must_use]
    pub fn lifetime_jitter(mut self, percent: u8) -> Self {
        self.settings.lifetime_jitter = percent;
        self
    }

    /// Fetches a response again shortly before its end, behind one of its hits, so that a popular one
    /// is not missed when it ends (XFetch). The hit is chosen by chance: on average so long before the
    /// end as the response took to fetch, times `factor`, where few hits come; the more come, the
    /// earlier, but not in the first half of the lifetime. 1 suits most; more is earlier. Above 0, and
    /// at most 100.
    ///
    /// Default: a response is fetched again when it is stale.
    #[must_use]
    pub fn refresh_early(mut self, factor: f64) -> Self {
        self.settings.refresh_early = Some(factor);
        self
    }

    /// Has one node of those that share a Redis fetch a response, and the others wait for it up to
    /// `budget`; then they fetch it themselves. A stale response is refreshed by one node, and nobody
    /// waits. A miss costs two round trips to Redis more. At most the time for which a
    /// [claim holds](crate::CacheBuilder::fleet_claim), and half of that for which
    /// [requests wait](crate::CacheBuilder::coalesce_timeout). Needs Redis 7.0 or newer; without Redis, or
    /// while it is away, each node fetches by itself.
    ///
    /// Default: each node fetches by itself.
    #[must_use]
    pub fn fleet_coalesce(mut self, budget: Duration) -> Self {
        self.settings.fleet_coalesce = Some(Period(budget));
        self
    }

    /// Lets at most `forwards` calls of the inner service to fill the cache be under way at a time in
    /// this process, so that a large purge does not become as large a wave. A miss beyond them waits,
    /// at most as long as for [identical ones](crate::CacheBuilder::coalesce_timeout); then it is
    /// answered by a stale response, where one may stand in for an error, or else forwarded all the
    /// same. `HEAD` and what bypasses the cache are not counted, nor is a body on its way that is not
    /// stored.
    ///
    /// Default: no limit.
    #[must_use]
    pub fn forward_limit(mut self, forwards: usize) -> Self {
        self.settings.forward_limit = Some(forwards);
        self
    }
}
