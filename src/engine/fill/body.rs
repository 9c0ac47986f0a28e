//! The body of a fill, frame by frame: into the flight, and kept for the store. What is too large is passed on.
//!
//! What of a body is there with its head is looked at first. Where that is all of it, the answer to a miss has the
//! `ETag` that hits will have (SAFETY 119); nobody waits for more, as the first byte is not held up for it (P4).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::ETAG;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::time::timeout;

use crate::coalesce::{FlightHead, Lead, Room};
use crate::engine::fill::{Answer, Fill, Recipient};
use crate::error::BoxError;
use crate::outcome::NotStored;
use crate::semantics::{self, TrailerSieve};

/// The longest body that is hashed before its first byte is passed on: some tens of microseconds.
const MAX_WHOLE: usize = 64 * 1024;

/// Chunks that a body may come in and still be stored: each costs far more than the few bytes that it
/// may hold.
const MAX_CHUNKS: usize = 64 * 1024;

/// Chunks of fewer bytes are copied: what a client library reads from a connection stands in a buffer that may be
/// many times as large, and lives as long as any part of it.
const SMALL: usize = 16 * 1024;

impl Fill {
    /// Reads the body into the flight; returns what was kept of it if it is whole. `None`: there is nothing to store,
    /// as the flight failed, nobody wanted it, or the body was passed on.
    pub(super) async fn stream<B, E>(
        &mut self,
        response: Response<B>,
        mut head: Arc<FlightHead>,
        mut recipient: Recipient<B, E>,
    ) -> Option<(Arc<FlightHead>, KeptFrames)>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = response.into_parts();
        let rule = Arc::clone(&self.wanted.asked.rule);
        let ours = rule
            .tag_headers()
            .filter(|_| !rule.settings.keep_tag_headers);
        let sieve = TrailerSieve::of(&parts.headers, ours);
        let body = std::pin::pin!(body);
        let mut body = Begun::of(body).await;
        body.name(&mut head, &mut parts);
        // The reader is made before anything is read, so that it can only begin at the first byte.
        let reader = self.lead.flight().reader();
        if body.is_end_stream() {
            self.lead.has_no_body();
        }
        self.lead.head(Arc::clone(&head));
        if let Some(reader) = reader
            && let Some(recipient) = recipient.take()
        {
            // The client may be gone; the fill goes on.
            let _ = recipient.send(Answer::Filling(Arc::clone(&head), parts, reader));
        }
        let limit = rule.body_limit as u64;
        let mut body = Pin::new(&mut body);
        let mut kept = KeptFrames::default();
        while !body.is_end_stream() {
            let next = next_frame(body.as_mut());
            let frame = match self.unless_abandoned(next, &mut recipient).await? {
                None => break,
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    self.lead.fail(&error);
                    return None;
                }
            };
            if let Err(left) = kept.take(frame, limit, &self.lead, &sieve) {
                drop(kept);
                self.pass_on(left, body, &sieve).await;
                return None;
            }
        }
        if let Err(reason) = kept.check(&head.response.headers, &head.size) {
            self.lead.fail(reason);
            return None;
        }
        Some((head, kept))
    }

    /// The body is larger than what may be stored, or than what fills may hold together at the moment: hand it on,
    /// at the pace of the slowest reader. What nobody has got yet of what was read is there `left`.
    async fn pass_on<B>(
        &mut self,
        (left, reason): (Bytes, NotStored),
        mut body: Pin<&mut B>,
        sieve: &TrailerSieve,
    ) where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        self.remember_uncacheable(reason);
        if reason == NotStored::Busy {
            self.engine.fills.flights.budget.note_unstored();
        }
        self.lead.outgrow();
        let (mut left, mut trailers) = (Some(left), None);
        loop {
            match timeout(self.engine.fills.limits.stall, self.lead.room()).await {
                Err(_) => {
                    self.lead.cut_slowest();
                    continue;
                }
                Ok(Room::Unread) => return,
                Ok(Room::Free) => {}
            }
            if let Some(left) = left.take() {
                self.lead.pass(left);
                continue;
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
                    Ok(chunk) => self.lead.pass(compact(chunk)),
                    Err(frame) => trailers = sifted(frame, sieve),
                },
            }
        }
        self.lead.landed_unstored(trailers);
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

/// The bytes of `chunk`, alone in their buffer if they are few.
fn compact(chunk: Bytes) -> Bytes {
    match chunk.len() < SMALL {
        true => Bytes::copy_from_slice(&chunk),
        false => chunk,
    }
}

/// The trailers in a frame without data, as far as they are kept and passed on (SAFETY 70).
fn sifted(frame: Frame<Bytes>, sieve: &TrailerSieve) -> Option<HeaderMap> {
    sieve.pass(frame.into_trailers().ok()?)
}

/// What was read of the body so far.
#[derive(Debug, Default)]
pub(crate) struct KeptFrames {
    chunks: Vec<Bytes>,
    length: u64,
    trailers: Option<HeaderMap>,
}

impl KeptFrames {
    /// Keeps a frame, and hands it on, unless that is too much: then gives back what was not handed on.
    fn take(
        &mut self,
        frame: Frame<Bytes>,
        limit: u64,
        lead: &Lead,
        sieve: &TrailerSieve,
    ) -> Result<(), (Bytes, NotStored)> {
        let chunk = match frame.into_data() {
            Ok(chunk) => compact(chunk),
            Err(frame) => {
                self.trailers = sifted(frame, sieve);
                return Ok(());
            }
        };
        self.length += chunk.len() as u64;
        if self.length > limit || self.chunks.len() >= MAX_CHUNKS {
            return Err((chunk, NotStored::TooLarge));
        }
        self.chunks.push(chunk.clone());
        lead.push(chunk).map_err(|chunk| (chunk, NotStored::Busy))
    }

    /// A body that is shorter or longer than declared is not stored (SAFETY 25).
    fn check(&self, headers: &HeaderMap, size: &SizeHint) -> Result<(), &'static str> {
        let declared = semantics::content_length(headers).ok().flatten();
        let wrong = |expected: Option<u64>| expected.is_some_and(|length| length != self.length);
        if wrong(declared) || wrong(size.exact()) {
            return Err("the body is not as long as was declared");
        }
        Ok(())
    }

    /// The whole body in one piece: no copy if it came in one.
    pub(crate) fn into_bytes(self) -> (Bytes, Option<HeaderMap>) {
        let body = match <[Bytes; 1]>::try_from(self.chunks) {
            Ok([chunk]) => chunk,
            Err(chunks) => chunks.concat().into(),
        };
        (body, self.trailers)
    }
}

/// A body whose first frame has been asked for.
struct Begun<'b, B: Body> {
    first: Option<Result<Frame<Bytes>, BoxError>>,
    ended: bool,
    rest: Pin<&'b mut B>,
}

impl<'b, B> Begun<'b, B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    async fn of(mut rest: Pin<&'b mut B>) -> Self {
        if rest.is_end_stream() {
            let (first, ended) = (None, true);
            return Self { first, ended, rest };
        }
        let polled = std::future::poll_fn(|cx| Poll::Ready(rest.as_mut().poll_frame(cx))).await;
        let (first, ended) = match polled {
            Poll::Ready(Some(frame)) => (Some(frame.map_err(Into::into)), false),
            Poll::Ready(None) => (None, true),
            Poll::Pending => (None, false),
        };
        Self { first, ended, rest }
    }

    /// All of its bytes, if they are there.
    fn whole(&self, size: &SizeHint) -> Option<&[u8]> {
        let exact = size.exact();
        let bytes: &[u8] = match &self.first {
            None if self.ended => b"",
            Some(Ok(frame)) => frame.data_ref()?,
            _ => return None,
        };
        let length = bytes.len() as u64;
        let ended = self.ended || self.rest.is_end_stream() || exact == Some(length);
        (ended && exact.is_none_or(|exact| exact == length)).then_some(bytes)
    }

    /// Gives a response that is about to be stored the `ETag` that it will have there.
    fn name(&self, head: &mut Arc<FlightHead>, parts: &mut Parts) {
        // A part is no representation; what is not stored has no hits.
        let named = head.response.headers.contains_key(ETAG)
            || parts.status == StatusCode::PARTIAL_CONTENT
            || head.not_stored.is_some();
        if named {
            return;
        }
        let Some(body) = self
            .whole(&head.size)
            .filter(|body| body.len() <= MAX_WHOLE)
        else {
            return;
        };
        if let (Some(head), Some(tag)) = (Arc::get_mut(head), own_tag(body)) {
            head.response.headers.insert(ETAG, tag.clone());
            parts.headers.insert(ETAG, tag);
        }
    }
}

/// A strong `ETag` made from the bytes: equal ones that are stored again, here or on another node, keep it.
pub(crate) fn own_tag(body: &[u8]) -> Option<HeaderValue> {
    let digest = blake3::hash(body).to_hex();
    let digest = &digest[..semantics::OWN_DIGITS];
    HeaderValue::from_str(&format!("\"{}{digest}\"", semantics::OWN_ETAG)).ok()
}

// Nothing in it is pinned but what is behind the reference.
impl<B: Body> Unpin for Begun<'_, B> {}

impl<B> Body for Begun<'_, B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(self.rest.as_mut().poll_frame(cx));
        self.ended = frame.is_none();
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && (self.ended || self.rest.is_end_stream())
    }
}
