//! What of a body is there with its head. Where that is all of it, the answer to a miss has the `ETag` that hits
//! will have (SAFETY 119); nobody waits for more, as the first byte is not held up for it (P4).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::ETAG;
use http::response::Parts;
use http::{HeaderValue, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::coalesce::FlightHead;
use crate::error::BoxError;
use crate::semantics;

/// The longest body that is hashed before its first byte is passed on: some tens of microseconds.
const MAX_WHOLE: usize = 64 * 1024;

/// A body whose first frame has been asked for.
pub(crate) struct Begun<'b, B: Body> {
    first: Option<Result<Frame<Bytes>, BoxError>>,
    ended: bool,
    rest: Pin<&'b mut B>,
}

impl<'b, B> Begun<'b, B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    pub(crate) async fn of(mut rest: Pin<&'b mut B>) -> Self {
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
    pub(crate) fn name(&self, head: &mut Arc<FlightHead>, parts: &mut Parts) {
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
