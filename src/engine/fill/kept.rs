//! The body of a fill, frame by frame.

use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::coalesce::Lead;
use crate::error::BoxError;
use crate::outcome::NotStored;
use crate::semantics::{self, TrailerSieve};

/// Chunks that a body may come in and still be stored: each costs far more than the few bytes that it
/// may hold.
const MAX_CHUNKS: usize = 64 * 1024;

/// Chunks of fewer bytes are copied: what a client library reads from a connection stands in a buffer that may be
/// many times as large, and lives as long as any part of it.
const SMALL: usize = 16 * 1024;

/// The next frame, or why the body broke off.
pub(crate) async fn next_frame<B>(mut body: Pin<&mut B>) -> Option<Result<Frame<Bytes>, Box<str>>>
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

/// The same bytes, alone in their buffer if they are few.
pub(crate) fn compact(chunk: Bytes) -> Bytes {
    match chunk.len() < SMALL {
        true => Bytes::copy_from_slice(&chunk),
        false => chunk,
    }
}

/// The trailers in a frame without data, as far as they are kept and passed on (SAFETY 70).
pub(crate) fn sifted(frame: Frame<Bytes>, sieve: &TrailerSieve) -> Option<HeaderMap> {
    sieve.pass(frame.into_trailers().ok()?)
}

/// What was read of the body so far.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    chunks: Vec<Bytes>,
    length: u64,
    trailers: Option<HeaderMap>,
}

impl Kept {
    /// Keeps a frame, and hands it on, unless that is too much: then gives back what was not handed on.
    pub(crate) fn take(
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
    pub(crate) fn check(&self, headers: &HeaderMap, size: &SizeHint) -> Result<(), &'static str> {
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
