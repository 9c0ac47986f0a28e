//! A fill that ended well: make the stored response, and store it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, StatusCode};
use http_body::Body;

use crate::coalesce::FlightHead;
use crate::engine::Engine;
use crate::engine::fill::body::{KeptFrames, own_tag};
use crate::engine::fill::judgement::{Answer, Judgement};
use crate::engine::fill::{Fill, Fills, Recipient};
use crate::engine::lookup::fitness::subject;
use crate::engine::lookup::part::finished;
use crate::engine::lookup::{variant_key, window_if_disconnected};
use crate::entry::StoredResponse;
use crate::error::BoxError;
use crate::outcome::{NotStored, Storing};
use crate::rules::{CompiledRule, Exchange, FillRequest, Storable, decide, has_parameter};
use crate::semantics;
use crate::weaken::{ProtocolRule, weakened};

/// How long a stale response is kept at least, beyond what its windows ask for: a soft purge may
/// still serve it, and a flight that joined late freshens it.
const KEEP: Duration = Duration::from_secs(60);
/// How long one with a validator of the inner service is kept, so that a 304 can freshen it.
const KEEP_FOR_VALIDATION: Duration = Duration::from_secs(60 * 60);

impl Fill {
    /// Tells everybody what came of the fill, and stores what is to be stored.
    pub(super) async fn land<B, E>(mut self, judgement: Judgement<B, E>, recipient: Recipient<B, E>)
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        match judgement {
            Judgement::Abandoned => {}
            Judgement::Failed(reason, instead) => {
                self.lead.fail(reason);
                if let Some(instead) = instead {
                    answer(recipient, instead);
                }
            }
            Judgement::Fetched(stored) => {
                self.lead.landed(Arc::clone(&stored));
                answer(recipient, Answer::Fetched(stored));
            }
            Judgement::Direct(response, reason) => {
                self.remember_uncacheable(reason);
                self.lead.release();
                answer(recipient, Answer::Direct(response, reason));
            }
            Judgement::Freshened(stored, Ok(vary)) => {
                answer(
                    recipient,
                    Answer::Freshened(Arc::clone(&stored), Storing::Stored),
                );
                self.keep(stored, &vary).await;
            }
            // Not to be stored from now on: the answer was good for the one who asked.
            Judgement::Freshened(stored, Err(reason)) => {
                answer(
                    recipient,
                    Answer::Freshened(stored, Storing::NotStored(reason)),
                );
                self.lead.release();
            }
            Judgement::Storable(response, head) => {
                if let Some((head, kept)) = self.stream(response, head, recipient).await {
                    self.admit(&head, kept).await;
                }
            }
        }
    }

    /// Unless the reason is the moment or this one request: then it says nothing about the next.
    pub(super) fn remember_uncacheable(&self, reason: NotStored) {
        if reason.is_of_response() {
            let now = self.engine.fills.clock.monotonic();
            self.engine.fills.flights.mark_uncacheable(&self.key, now);
        }
    }

    /// The body is whole: stores it unless its last tags or a settling purge say no.
    async fn admit(mut self, head: &FlightHead, kept: KeptFrames) {
        let mut stored = head.response.clone();
        let (body, trailers) = kept.into_bytes();
        let tagged = self
            .wanted
            .body_tags(&head.response.headers, &body, &mut stored.tags);
        if tagged.is_err() || self.settles(&stored) {
            return self.lead.landed_unstored(trailers);
        }
        if stored.status == StatusCode::PARTIAL_CONTENT {
            stored.body = body;
            return self.admit_part(stored, head, trailers).await;
        }
        complete(&mut stored.headers, &body, stored.received_at);
        // A map that grew has room for twice as many fields, and this one stays: a copy has none to spare.
        stored.headers = stored.headers.clone();
        (stored.body, stored.trailers) = (body, trailers);
        self.note_eagerness(&mut stored);
        if weakened(ProtocolRule::StampPair)
            && let Some(view) = self.engine.lookups.views.current()
        {
            let ordinal = stored.stamp.position().ordinal;
            let epoch = view.position().epoch;
            stored.stamp = crate::position::Stamp::at(crate::position::Position { epoch, ordinal });
        }
        self.keep(Arc::new(stored), &head.vary).await;
    }

    /// Stores a part, which nobody waits for but the one who asked for it.
    async fn admit_part(
        mut self,
        stored: StoredResponse,
        head: &FlightHead,
        trailers: Option<HeaderMap>,
    ) {
        let whole = variant_key(&self.wanted.asked.key, &head.vary, &self.wanted.headers);
        let limit = self.wanted.asked.rule.body_limit;
        let stored = finished(&self.engine.lookups, stored, whole, limit).await;
        let (engine, wanted) = (Arc::clone(&self.engine), Arc::clone(&self.wanted));
        self.lead.landed_unstored(trailers);
        if let Some(stored) = stored {
            engine.put(&wanted, stored, &head.vary).await;
        }
    }

    /// Hands the response to everybody who waits, then to the store.
    ///
    /// A fill that lasted may put an older response in the place of a newer one. Its stamp is older
    /// too, so that whatever purged it still does: that costs one miss, and never truth (P2). Writing only
    /// over what is older would cost each fill a script or another round trip, and is not done.
    pub(crate) async fn keep(self, stored: Arc<StoredResponse>, vary: &[HeaderName]) {
        self.lead.landed(Arc::clone(&stored));
        self.engine.fills.flights.mark_cacheable(&self.key);
        self.note_refreshed();
        self.engine.put(&self.wanted, stored, vary).await;
        self.engine
            .fills
            .flights
            .note_landing(&self.wanted.asked.key);
        // Only now is the flight over: a request that misses the store until here joins it.
        drop(self.lead);
    }

    /// Whether one of its tags was settling when the fill began (PROTOCOL 32).
    pub(crate) fn settles(&self, stored: &StoredResponse) -> bool {
        self.engine
            .lookups
            .views
            .settling(self.began, subject(stored))
    }
}

/// Answers the one whose request began the fill, if there is one.
fn answer<B, E>(recipient: Recipient<B, E>, answer: Answer<B, E>) {
    if let Some(recipient) = recipient {
        // The client may be gone; the fill goes on.
        let _ = recipient.send(answer);
    }
}

impl Engine {
    /// Stores a response for as long as it may be of use.
    pub(crate) async fn put(
        &self,
        wanted: &FillRequest,
        stored: Arc<StoredResponse>,
        vary: &[HeaderName],
    ) {
        let keep = keep_for(&wanted.asked.rule, &stored, self.fills.limits.lifetime);
        self.lookups.put(wanted, stored, vary, keep).await;
    }
}

impl Fills {
    /// Whether and how a response is stored. Not by the rule's word alone where the inner service may take the
    /// path for another one (SAFETY 71).
    pub(crate) fn decide(
        &self,
        wanted: &FillRequest,
        exchange: &Exchange<'_>,
    ) -> Result<Storable, NotStored> {
        let storable = decide(wanted, exchange)?;
        let doubtful = storable.by_rule
            && self.doubts_paths.load(Ordering::Relaxed)
            && !wanted.asked.rule.takes_odd_paths
            && has_parameter(&wanted.path);
        match doubtful {
            true => Err(NotStored::PathParameter),
            false => Ok(storable),
        }
    }
}

/// Adds what a stored response needs and the inner service left out: `Date` (RFC 9110 §6.6.1) and a
/// strong `ETag` made from the bytes.
fn complete(headers: &mut HeaderMap, body: &[u8], received_at: crate::clock::Timestamp) {
    if !headers.contains_key(DATE)
        && let Some(date) = semantics::date_value(received_at)
    {
        headers.insert(DATE, date);
    }
    if !headers.contains_key(ETAG)
        && let Some(tag) = own_tag(body)
    {
        headers.insert(ETAG, tag);
    }
}

fn keep_for(rule: &CompiledRule, stored: &StoredResponse, ceiling: Duration) -> Duration {
    let freshness = &stored.freshness;
    let theirs = stored.headers.contains_key(ETAG) && !semantics::has_own_tag(&stored.headers);
    let validation = if theirs || stored.headers.contains_key(LAST_MODIFIED) {
        KEEP_FOR_VALIDATION
    } else {
        KEEP
    };
    let windows = freshness
        .stale_while_revalidate
        .max(window_if_disconnected(rule, freshness))
        .max(validation);
    let left = freshness.lifetime.saturating_sub(stored.initial_age);
    // The purge log remembers the longest lifetime, and as much after it.
    left + windows.min(ceiling.max(KEEP))
}
