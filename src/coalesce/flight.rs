//! One call of the inner service that several requests wait for.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::SizeHint;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::coalesce::buffer::{Buffer, FlightReader, Room};
use crate::coalesce::{Budget, Flights, Moment};
use crate::entry::StoredResponse;
use crate::key::CacheKey;
use crate::outcome::NotStored;
use crate::position::Stamp;
use crate::sync::OnDrop;
use crate::tag::TagSet;
use crate::weaken::{ProtocolRule, weakened};

/// The head of the response that a flight brings, known before its body.
#[derive(Debug)]
pub(crate) struct FlightHead {
    /// What will be stored: the body is still empty, and tags found in the body are missing.
    pub(crate) response: StoredResponse,
    /// The fields that select among variants; `response.key` has their values.
    pub(crate) vary: Vec<HeaderName>,
    /// Whether `response.tags` is complete. Tags read from the body are known at its end only.
    pub(crate) tags_final: bool,
    pub(crate) size: SizeHint,
    /// Why it is shared but not stored, if that is known already.
    pub(crate) not_stored: Option<NotStored>,
}

/// What a flight will bring, as far as it is known when it begins: enough to see that a purge has
/// made it useless to whoever comes now. Tags may be added later, none goes.
#[derive(Debug)]
pub(crate) struct Expectation {
    pub(crate) stamp: Stamp,
    /// When (monotonic) its fill began.
    pub(crate) began: Duration,
    pub(crate) tags: TagSet,
    pub(crate) path: Box<str>,
}

/// How far a flight has come.
#[derive(Debug, Clone)]
pub(crate) enum Landing {
    /// The inner service has not answered yet.
    Flying,
    /// It answered, and the response is to be stored; the body follows.
    Headed(Arc<FlightHead>),
    /// The response is whole.
    Landed(Arc<StoredResponse>),
    /// The response cannot be shared, or not any more: everybody forwards by themselves.
    Released,
    /// The fill died or the response broke off.
    Failed,
}

/// Held by the fill ([`Lead`]), the registry, and every request that waits or reads.
#[derive(Debug)]
pub(crate) struct Flight {
    landing: watch::Sender<Landing>,
    number: Moment,
    /// When it was registered, and when its lead called the inner service.
    since: Instant,
    called: OnceLock<Instant>,
    /// Set by the lead as it begins.
    expected: OnceLock<Expectation>,
    /// The body, and who wants it.
    buffer: Arc<Buffer>,
}

impl Flight {
    pub(super) fn new(number: Moment, budget: &Arc<Budget>) -> Self {
        Self {
            number,
            since: Instant::now(),
            called: OnceLock::new(),
            landing: watch::Sender::new(Landing::Flying),
            expected: OnceLock::new(),
            buffer: Arc::new(Buffer::new(budget)),
        }
    }

    /// Waits until `enough` is true of how far it has come. Unbounded: the caller sets a limit.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the flight as it is.
    pub(crate) async fn wait_for(&self, enough: impl FnMut(&Landing) -> bool) -> Landing {
        self.buffer.arrive();
        let _waiting = OnDrop::new(|| self.buffer.leave());
        let mut landing = self.landing.subscribe();
        let seen = landing.wait_for(enough).await.map(|seen| seen.clone());
        // The sender lives in `self`, so the channel cannot close.
        seen.unwrap_or(Landing::Failed)
    }

    /// Whether it began after `moment`.
    pub(crate) fn began_after(&self, moment: Moment) -> bool {
        self.number > moment
    }

    /// Whether its lead has called the inner service. What it brings may be from elsewhere: another node.
    pub(crate) fn has_called(&self) -> bool {
        self.called.get().is_some()
    }

    /// Whether its lead has called the inner service, and when: since `at`, or before.
    pub(crate) fn has_called_since(&self, at: Instant) -> Option<bool> {
        self.called.get().map(|called| *called > at)
    }

    /// Since when the inner service is asked, or its turn to ask is waited for.
    pub(crate) fn under_way_since(&self) -> Instant {
        self.called.get().copied().unwrap_or(self.since)
    }

    /// What it will bring; `None` if that is not known yet.
    pub(crate) fn expected(&self) -> Option<&Expectation> {
        self.expected.get()
    }

    /// How far it has come.
    pub(crate) fn landing(&self) -> Landing {
        self.landing.borrow().clone()
    }

    /// Reads the body from its first byte. `None` if its beginning is gone: the body outgrew what may
    /// be stored.
    pub(crate) fn reader(&self) -> Option<FlightReader> {
        Buffer::reader(&self.buffer)
    }

    /// Whether nobody waits for the head or reads the body.
    pub(crate) fn unwanted(&self) -> bool {
        self.buffer.unwanted()
    }

    /// Waits until nobody waits for the head or reads the body.
    ///
    /// # Cancel safety
    /// Nothing is lost. Only the fill waits for it, or for [`Lead::room`], and one at a time.
    pub(crate) async fn until_unwanted(&self) {
        self.buffer.until_unwanted().await;
    }
}

/// The one who flies. Dropped before the end, by a panic for example, it fails the flight, so that
/// nobody waits for ever (SAFETY 51, 52).
#[derive(Debug)]
pub(crate) struct Lead {
    pub(super) flight: Arc<Flight>,
    /// Its place in the registry, as long as others may join.
    pub(super) registration: Option<(CacheKey, Arc<Flights>)>,
    pub(super) alone: bool,
}

impl Lead {
    /// Whether nobody can join: its response is wanted by one request at most.
    pub(crate) const fn is_alone(&self) -> bool {
        self.alone
    }

    pub(crate) const fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// Says what the flight will bring.
    pub(crate) fn expect(&self, expected: Expectation) {
        self.flight.expected.get_or_init(|| expected);
    }

    /// The inner service is called now.
    pub(crate) fn calls(&self) {
        self.flight.called.get_or_init(Instant::now);
    }

    /// The response ends with its head. Said before [`head`](Self::head), so that readers know it at
    /// once: a server declares a length for what may still come, even with a 204.
    pub(crate) fn has_no_body(&self) {
        self.flight.buffer.end(Ok(None));
    }

    /// The response is to be stored; its body follows.
    pub(crate) fn head(&self, head: Arc<FlightHead>) {
        self.flight.landing.send_replace(Landing::Headed(head));
    }

    /// Takes the place that a body as long needs. If it has none, because fills hold too much already, the
    /// response is not for this flight to keep (SAFETY 73).
    pub(crate) fn reserve(&self, bytes: u64) -> bool {
        self.flight.buffer.reserve(bytes)
    }

    /// The next piece of the body; it comes back if fills hold too much already.
    pub(crate) fn push(&self, chunk: Bytes) -> Result<(), Bytes> {
        self.flight.buffer.push(chunk)
    }

    /// The next piece of a body that was outgrown, for which there was [`room`](Self::room).
    pub(crate) fn pass(&self, chunk: Bytes) {
        self.flight.buffer.pass(chunk);
    }

    /// The body is larger than what may be stored, or kept at the moment: from now on only what some reader still needs is
    /// kept, and nobody joins any more. Who waits for the end of the body waits in vain.
    pub(crate) fn outgrow(&mut self) {
        self.release();
        self.flight.buffer.outgrow();
    }

    /// Waits until the readers have room for more (see [`Room`]).
    pub(crate) async fn room(&self) -> Room {
        self.flight.buffer.room().await
    }

    /// The readers that hold up others are cut off (see [`Buffer::cut_slowest`]).
    pub(crate) fn cut_slowest(&self) {
        self.flight.buffer.cut_slowest();
    }

    /// The body is whole, and this is the stored response.
    pub(crate) fn landed(&self, response: Arc<StoredResponse>) {
        let trailers = response.trailers.clone();
        self.flight.buffer.share(&response.body);
        self.flight.landing.send_replace(Landing::Landed(response));
        self.flight.buffer.end(Ok(trailers));
    }

    /// The body is whole, but too large or otherwise not stored.
    pub(crate) fn landed_unstored(&mut self, trailers: Option<HeaderMap>) {
        self.release();
        self.flight.buffer.end(Ok(trailers));
    }

    /// The response broke off.
    pub(crate) fn fail(&mut self, reason: &str) {
        self.unregister();
        self.flight.landing.send_replace(Landing::Failed);
        self.flight.buffer.end(Err(reason.into()));
    }

    /// The response cannot be shared.
    pub(crate) fn release(&mut self) {
        self.unregister();
        self.flight.landing.send_replace(Landing::Released);
    }

    fn unregister(&mut self) {
        if let Some((key, flights)) = self.registration.take() {
            flights.land(&key, &self.flight);
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.unregister();
        if weakened(ProtocolRule::LeadEnds) {
            return;
        }
        if matches!(self.flight.landing(), Landing::Flying | Landing::Headed(_)) {
            self.flight.landing.send_replace(Landing::Failed);
        }
        // Readers may be left even where nobody waits, and no end but the first counts.
        self.flight.buffer.end(Err("the fill ended early".into()));
    }
}
