//! The fill: one call of the inner service, from the stamp to the stored response.
//!
//! It runs in a task of its own and belongs to no client. The one whose request began it gets an
//! [`Answer`]; everybody reads the body from the flight.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use tower::ServiceExt;
use tower_service::Service;

use crate::clock::Timestamp;
use crate::coalesce::{Expected, FlightHead, FlightReader, Lead, Room};
use crate::engine::lookup::{Lookup, Stale, variant_key};
use crate::engine::respond::Client;
use crate::engine::{Engine, Forwarded};
use crate::entry::{Ready, StoredResponse};
use crate::error::BoxError;
use crate::key::CacheKey;
use crate::outcome::{NotStored, Outcome, Storing};
use crate::position::Stamp;
use crate::rules::{Exchange, Planned, Storable, decide};
use crate::semantics;
use crate::weaken::{Rule, weakened};

/// Chunks that a body may come in and still be stored: each costs far more than the few bytes that it
/// may hold.
const MAX_CHUNKS: usize = 64 * 1024;

/// What the one whose request began the fill gets.
pub(super) enum Answer<B, E> {
    /// The response is not stored: the inner service's own.
    Direct(Response<B>, NotStored),
    /// It is being stored while it is read. With its head as the inner service sent it: what is
    /// stored and shared lacks some of it.
    Filling(Arc<FlightHead>, Parts, FlightReader),
    /// A 304 freshened the stored response; stored anew, unless there is a reason against it.
    Freshened(Arc<StoredResponse>, Storing),
    /// The inner service failed with a status that the stored response stands in for (RFC 5861 §4).
    Spared(Arc<StoredResponse>, Outcome),
    /// A 304 that does not speak of the response that it was asked about, so that there is nothing to
    /// answer with.
    Unusable,
    /// The inner service failed.
    Failed(E),
}

/// Where the answer goes; `None` when nobody waits for it (a refresh behind a stale response).
pub(super) type Recipient<B, E> = Option<oneshot::Sender<Answer<B, E>>>;

pub(super) struct Fill {
    pub(super) engine: Arc<Engine>,
    pub(super) lead: Lead,
    pub(super) planned: Arc<Planned>,
    pub(super) client: Client,
    /// The key that the request was looked up by: the URI's, or that of its variant.
    pub(super) key: CacheKey,
    /// Taken before the call (PROTOCOL 15).
    pub(super) stamp: Option<Stamp>,
    /// Monotonic, for settling.
    pub(super) began: Duration,
    pub(super) requested_at: Timestamp,
    /// The stored response that a 304 freshens or an error falls back to. Never a purged one.
    pub(super) stale: Option<Stale>,
    /// Since when nobody has waited for it or read it.
    unwanted_since: Option<Instant>,
}

impl Fill {
    pub(super) fn new(
        engine: Arc<Engine>,
        lead: Lead,
        planned: Arc<Planned>,
        lookup: &Lookup,
        client: Client,
    ) -> Self {
        let stamp = lookup.stamp();
        if let (Some(stamp), Ok(tags)) = (stamp, &planned.tags) {
            lead.expect(Expected {
                stamp,
                tags: tags.clone(),
                path: planned.path.clone(),
            });
        }
        Self {
            stamp,
            began: engine.clock.monotonic(),
            requested_at: engine.clock.now(),
            stale: lookup.stale().cloned(),
            key: lookup.key.clone(),
            unwanted_since: None,
            engine,
            lead,
            planned,
            client,
        }
    }

    pub(super) async fn run<S, A, B>(
        mut self,
        mut request: Request<A>,
        inner: S,
        mut recipient: Recipient<B, S::Error>,
    ) where
        S: Service<Request<A>, Response = Response<B>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        self.prepare(&mut request);
        let call = inner.oneshot(request);
        let Some(result) = self.unless_abandoned(call, &mut recipient).await else {
            return;
        };
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                self.lead.fail("the inner service failed");
                return answer(&mut recipient, Answer::Failed(error));
            }
        };
        if weakened(Rule::StampBefore) {
            self.stamp = self.engine.views.current().map(|view| view.stamp());
        }
        if response.status() == StatusCode::NOT_MODIFIED && self.asked_conditionally() {
            return self.freshen(response, &mut recipient).await;
        }
        if let Some((stored, outcome)) = self.spared(response.status()) {
            self.lead.fail("the inner service answered with an error");
            return answer(&mut recipient, Answer::Spared(stored, outcome));
        }
        match self.head(&response) {
            Ok(head) => self.stream(response, head, recipient).await,
            Err(reason) => {
                self.remember_uncacheable(reason);
                self.lead.release();
                answer(&mut recipient, Answer::Direct(response, reason));
            }
        }
    }

    /// The forwarded request asks for the whole response, unless a stored one can be freshened.
    fn prepare<A>(&self, request: &mut Request<A>) {
        request
            .extensions_mut()
            .insert::<Forwarded>(self.engine.mark());
        let headers = request.headers_mut();
        semantics::strip_conditions(headers);
        let conditions = self
            .stale
            .as_ref()
            .and_then(|stale| self.engine.conditions(stale));
        for (name, value) in conditions.into_iter().flatten() {
            headers.insert(name, value);
        }
    }

    /// Runs `work`, but no longer than [`Limits::fill`](crate::engine::Limits) after the last one who
    /// wanted the response has gone; not at all if nobody else can come to want it.
    async fn unless_abandoned<T, B, E>(
        &mut self,
        work: impl Future<Output = T>,
        recipient: &mut Recipient<B, E>,
    ) -> Option<T> {
        let flight = self.lead.flight();
        let patience = match self.lead.is_alone() {
            true => Duration::ZERO,
            false => self.engine.limits.fill,
        };
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
                sleep_until(since + patience).await;
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

    /// Asks the policy, and makes what will be stored, without its body.
    fn head<B: Body>(&self, response: &Response<B>) -> Result<Arc<FlightHead>, NotStored> {
        let received_at = self.engine.clock.now();
        let exchange = Exchange {
            request: &self.client.headers,
            status: response.status(),
            headers: response.headers(),
            requested_at: self.requested_at,
            received_at,
            ceiling: self.engine.limits.lifetime,
        };
        let storable = decide(&self.planned, &exchange)?;
        let size = response.body().size_hint();
        let limit = self.planned.rule.body_limit() as u64;
        let declared = semantics::content_length(response.headers())?.unwrap_or(0);
        if size.lower().max(declared) > limit {
            return Err(NotStored::TooLarge);
        }
        let stamp = self.stamp.ok_or(NotStored::NoStamp)?;
        let Storable {
            freshness,
            initial_age,
            headers,
            vary,
            tags,
            ..
        } = storable;
        let stored = StoredResponse {
            stamp,
            key: variant_key(&self.planned.key, &vary, &self.client.headers),
            path: self.planned.path.clone(),
            tags,
            received_at,
            initial_age,
            freshness,
            status: response.status(),
            headers,
            body: Bytes::new(),
            trailers: None,
            ready: Ready::default(),
        };
        Ok(Arc::new(FlightHead {
            not_stored: self.settles(&stored).then_some(NotStored::Settling),
            response: stored,
            vary,
            tags_final: !self.planned.rule.has_body_tags(),
            size,
        }))
    }

    /// Reads the body into the flight, and stores it if it is whole.
    async fn stream<B, E>(
        mut self,
        response: Response<B>,
        head: Arc<FlightHead>,
        mut recipient: Recipient<B, E>,
    ) where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = response.into_parts();
        // The reader is made before anything is read, so that it can only begin at the first byte.
        let reader = self.lead.flight().reader();
        if body.is_end_stream() {
            self.lead.has_no_body();
        }
        self.lead.head(Arc::clone(&head));
        if let (Some(reader), true) = (reader, recipient.is_some()) {
            let filling = Answer::Filling(Arc::clone(&head), parts, reader);
            answer(&mut recipient, filling);
        }
        let limit = self.planned.rule.body_limit() as u64;
        let mut body = std::pin::pin!(body);
        let mut kept = Kept::default();
        while !body.is_end_stream() {
            let frame = self
                .unless_abandoned(next_frame(body.as_mut()), &mut recipient)
                .await;
            match frame {
                None => return,
                Some(None) => break,
                Some(Some(Err(error))) => return self.lead.fail(&error),
                Some(Some(Ok(frame))) => kept.take(frame, &self.lead),
            }
            if kept.length > limit || kept.chunks.len() > MAX_CHUNKS {
                return self.pass_on(body).await;
            }
        }
        if let Err(reason) = kept.check(&head.response.headers, &head.size) {
            return self.lead.fail(reason);
        }
        self.admit(&head, kept).await;
    }

    /// The body is larger than what may be stored: hand it on, at the pace of the slowest reader.
    async fn pass_on<B>(mut self, mut body: Pin<&mut B>)
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        self.remember_uncacheable(NotStored::TooLarge);
        self.lead.outgrow();
        let mut trailers = None;
        loop {
            match timeout(self.engine.limits.stall, self.lead.room()).await {
                Err(_) => {
                    self.lead.cut_slowest();
                    continue;
                }
                Ok(Room::Unread) => return,
                Ok(Room::Free) => {}
            }
            let frame = tokio::select! {
                biased;
                frame = next_frame(body.as_mut()) => frame,
                () = self.lead.flight().until_unwanted() => return,
            };
            match frame {
                None => break,
                Some(Err(error)) => return self.lead.fail(&error),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => self.lead.push(chunk),
                    Err(frame) => trailers = frame.into_trailers().ok(),
                },
            }
        }
        self.lead.landed_unstored(trailers);
    }

    fn remember_uncacheable(&self, reason: NotStored) {
        let passing = [NotStored::NoStamp, NotStored::Settling, NotStored::Busy];
        if !passing.contains(&reason) {
            let now = self.engine.clock.monotonic();
            self.engine.flights.mark_uncacheable(&self.key, now);
        }
    }
}

pub(super) fn answer<B, E>(recipient: &mut Recipient<B, E>, answer: Answer<B, E>) {
    if let Some(recipient) = recipient.take() {
        // The client may be gone; the fill goes on.
        let _ = recipient.send(answer);
    }
}

/// The next frame, or why the body broke off.
async fn next_frame<B>(mut body: Pin<&mut B>) -> Option<Result<Frame<Bytes>, Box<str>>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    std::future::poll_fn(|cx| {
        let frame = std::task::ready!(body.as_mut().poll_frame(cx));
        let reason = |error: B::Error| error.into().to_string().into();
        Poll::Ready(frame.map(|frame| frame.map_err(reason)))
    })
    .await
}

/// What was read of the body so far.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) chunks: Vec<Bytes>,
    pub(super) length: u64,
    pub(super) trailers: Option<HeaderMap>,
}

impl Kept {
    fn take(&mut self, frame: Frame<Bytes>, lead: &Lead) {
        match frame.into_data() {
            Ok(chunk) => {
                self.length += chunk.len() as u64;
                self.chunks.push(chunk.clone());
                lead.push(chunk);
            }
            Err(frame) => self.trailers = frame.into_trailers().ok(),
        }
    }

    /// A body that is shorter or longer than declared is not stored (SAFETY 25).
    fn check(&self, headers: &HeaderMap, size: &http_body::SizeHint) -> Result<(), &'static str> {
        let declared = semantics::content_length(headers).ok().flatten();
        let wrong = |expected: Option<u64>| expected.is_some_and(|length| length != self.length);
        if wrong(declared) || wrong(size.exact()) {
            return Err("the body is not as long as was declared");
        }
        Ok(())
    }

    /// The whole body in one piece: no copy if it came in one.
    pub(super) fn into_bytes(self) -> (Bytes, Option<HeaderMap>) {
        let body = match <[Bytes; 1]>::try_from(self.chunks) {
            Ok([chunk]) => chunk,
            Err(chunks) => chunks.concat().into(),
        };
        (body, self.trailers)
    }
}
