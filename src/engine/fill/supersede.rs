//! What the answer to a question about a stored response does to that one, where it does not freshen it
//! (RFC 9111 §4.3.3, §4.3.4): a full answer takes its place, stored or not; a 304 that forbids storing ends it.
//!
//! Not so an answer that says nothing about the resource: an error of the inner service, and a status that
//! blames the request or who asks. Otherwise one hostile request that is forwarded (`no-cache`) would take the
//! stored response from all.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;

use crate::clock::Timestamp;
use crate::engine::fill::{Fill, Fills};
use crate::engine::lookup::part::part_key;
use crate::engine::lookup::{Lookup, Stale, variant_key};
use crate::engine::{Engine, InnerService, ServiceResult};
use crate::entry::StoredResponse;
use crate::key::CacheKey;
use crate::outcome::{NotStored, Outcome};
use crate::rules::{Exchange, FillRequest, decide};
use crate::semantics::{self, NoVarySearch};
use crate::tag::{PurgeKind, Target};

/// An answer that was passed on, neither stored nor kept.
struct Passed<'a> {
    request: &'a HeaderMap,
    status: StatusCode,
    headers: &'a HeaderMap,
    requested_at: Timestamp,
    /// To a `HEAD`.
    head_method: bool,
}

impl Fills {
    /// Why a response with these fields is not stored, if it is not.
    fn refusal(
        &self,
        wanted: &FillRequest,
        status: StatusCode,
        passed: &Passed<'_>,
    ) -> Option<NotStored> {
        let exchange = Exchange {
            request: passed.request,
            status,
            headers: passed.headers,
            requested_at: passed.requested_at,
            received_at: self.clock.now(),
            ceiling: self.limits.lifetime,
            chance: 0.0,
        };
        decide(wanted, &exchange).err()
    }

    /// Whether `stored` is over because of such an answer.
    fn ends(&self, wanted: &FillRequest, stored: &StoredResponse, passed: &Passed<'_>) -> bool {
        let (status, now) = (passed.status, self.clock.now());
        let same = semantics::same_validators(passed.headers, &stored.headers, now);
        match status {
            // To the client's own condition, which may be about another response.
            StatusCode::NOT_MODIFIED if same != Some(true) => false,
            StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT | StatusCode::OK => {
                let reason = self.refusal(wanted, StatusCode::OK, passed);
                // What a `HEAD` says of another is in `head_method`.
                same == Some(false) && !passed.head_method
                    || reason.is_some_and(NotStored::is_forbidden)
            }
            _ if !semantics::speaks_of_resource(status) => false,
            _ => self
                .refusal(wanted, status, passed)
                .is_none_or(NotStored::is_of_response),
        }
    }
}

impl Engine {
    /// Forwards without sharing or storing; but what the answer says about the stored response is heeded.
    pub(crate) async fn pass_heeded<S, A>(
        &self,
        wanted: &FillRequest,
        lookup: &Lookup,
        outcome: Outcome,
        not_stored: NotStored,
        request: Request<A>,
        inner: S,
    ) -> ServiceResult<S, A>
    where
        S: InnerService<A>,
    {
        let asked = lookup.stale().is_some().then(|| request.headers().clone());
        let head_method = request.method() == Method::HEAD;
        let requested_at = self.fills.clock.now();
        let passed = self.pass(&wanted.asked.rule, outcome, not_stored, request, inner);
        let response = passed.await?;
        if let Some(asked) = asked {
            let passed = Passed {
                request: &asked,
                status: response.status(),
                headers: response.headers(),
                requested_at,
                head_method,
            };
            let ended = self.ended_by(wanted, lookup, &passed);
            if let Some(stale) = ended {
                self.forget(wanted, &stale).await;
            }
        }
        Ok(response)
    }

    /// The stored response that the request asked about, if such an answer ends it.
    fn ended_by(
        &self,
        wanted: &FillRequest,
        lookup: &Lookup,
        passed: &Passed<'_>,
    ) -> Option<Stale> {
        // A purge may have come meanwhile.
        let stale = lookup
            .stale()
            .and_then(|stale| self.lookups.still_usable(stale));
        stale.filter(|stale| self.fills.ends(wanted, &stale.stored, passed))
    }

    /// Forgets the stored response, under all of its keys, with what is stored of its parts.
    ///
    /// Other nodes may have copies of one that is still fresh. Those end by a soft purge of its path, once
    /// and only where there are other nodes; copies of what was stale are not used without asking.
    pub(crate) async fn forget(&self, wanted: &FillRequest, stale: &Stale) {
        let stored = &stale.stored;
        let removed = self.lookups.remove(&self.keys_of(wanted, stored)).await;
        self.lookups.tell(removed.as_ref().err());
        let fresh = !stale.soft_purged
            && !stored.freshness.always_validate
            && stored.remaining_millis(self.fills.clock.now()) > 0;
        let kind = match (removed, fresh && self.lookups.near.is_some()) {
            (Err(_), _) => PurgeKind::Hard,
            (Ok(()), true) => PurgeKind::Soft,
            (Ok(()), false) => return,
        };
        let path = vec![Target::Path(stored.path.as_ref().into())];
        self.fills.purges.purge_promptly(kind, path).await;
    }

    fn keys_of(&self, wanted: &FillRequest, stored: &StoredResponse) -> Vec<CacheKey> {
        let mut keys = vec![stored.key.clone(), part_key(&stored.key)];
        let said = NoVarySearch::of(&stored.headers);
        if let (Some((uri, added)), Some(said)) = (wanted.search.as_deref(), said)
            && let Some(key) = wanted
                .asked
                .rule
                .search_key((uri, &wanted.headers, added), &said)
        {
            let vary = self
                .lookups
                .variants
                .get(&wanted.asked.key)
                .unwrap_or_default();
            keys.push(variant_key(&key, &vary, &wanted.headers));
        }
        keys
    }
}

/// What the answer to a fill ends.
pub(crate) enum Ending {
    Nothing,
    /// The stored response that was asked about.
    Stored(Stale),
    /// The part that is stored of what was asked for.
    Part,
}

impl Fill {
    /// What `response` ends; `refused` says why it is not stored.
    pub(crate) fn ended<B>(&self, response: &Response<B>, refused: Option<NotStored>) -> Ending
    where
        B: Body<Data = Bytes>,
    {
        let (status, headers) = (response.status(), response.headers());
        let part = status == StatusCode::PARTIAL_CONTENT;
        let speaks = semantics::speaks_of_resource(status);
        let of_response = refused.is_some_and(NotStored::is_of_response);
        let Some(stale) = &self.stale else {
            // A part that is stored beside no whole is not asked about unless the client wishes it.
            let wishes = self.wanted.asked.wishes();
            let asked_anew = wishes.no_cache || wishes.max_age.is_some();
            return match asked_anew && of_response && (speaks || part) {
                true => Ending::Part,
                false => Ending::Nothing,
            };
        };
        let ended = if part {
            // It replaces nothing, but its validators and directives say what they say.
            let passed = Passed {
                request: &self.wanted.headers,
                status,
                headers,
                requested_at: self.requested_at,
                head_method: false,
            };
            self.engine.fills.ends(&self.wanted, &stale.stored, &passed)
        } else {
            // What is stored takes its place anyway.
            speaks && of_response
        };
        match ended {
            true => Ending::Stored(stale.clone()),
            false => Ending::Nothing,
        }
    }

    pub(crate) async fn end(&self, ended: Ending) {
        match ended {
            Ending::Nothing => {}
            Ending::Stored(stale) => {
                self.engine.forget(&self.wanted, &stale).await;
                self.note_refreshed();
            }
            Ending::Part => {
                let removed = self.engine.lookups.remove(&[part_key(&self.key)]).await;
                self.engine.lookups.tell(removed.err().as_ref());
            }
        }
    }

    /// The stored response is refreshed or gone: nothing speaks against the next refresh.
    pub(crate) fn note_refreshed(&self) {
        self.engine.fills.flights.note_refreshed(&self.key);
    }
}
