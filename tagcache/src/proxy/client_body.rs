//! [`ClientBody`]: what a client reads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use pin_project::pin_project;

use crate::proxy::access_log::Line;
use crate::proxy::activity::Activity;
use crate::proxy::streams;
use crate::proxy::upstream::UpstreamBody;
use tower_tagcache::live::LiveBody;
use tower_tagcache::{BoxError, CacheBody};

/// The body of a response. As long as it is there, its connection has a request in hand.
#[pin_project]
pub(super) struct ClientBody {
    #[pin]
    body: Content,
    in_hand: InHand,
    /// Why it breaks off, once what came before has been written.
    broken: Option<BoxError>,
}

/// Own texts, live updates, and what the cache has.
type Content = Either<Either<Full<Bytes>, LiveBody>, CacheBody<UpstreamBody>>;

/// A request that is not answered to the end.
#[derive(Debug)]
pub(super) struct InHand {
    activity: Arc<Activity>,
    /// Upstream is waited for, not the client.
    waiting: bool,
    /// The answer is live updates, without an end.
    listens: bool,
    /// Its line of the access log, which is written when this is dropped.
    pub(super) line: Option<Box<Line>>,
}

impl InHand {
    pub(super) fn new(activity: &Arc<Activity>) -> Self {
        activity.begin();
        activity.wait();
        Self {
            activity: Arc::clone(activity),
            waiting: true,
            listens: false,
            line: None,
        }
    }

    /// The head of the response is known.
    pub(super) fn answered<B>(&mut self, response: &Response<B>) {
        if let Some(line) = &mut self.line {
            line.answered(response.status(), response.headers());
        }
    }

    fn sent(&mut self, frame: &Poll<Option<Result<Frame<Bytes>, BoxError>>>) {
        let Some(line) = &mut self.line else { return };
        if let Poll::Ready(Some(Ok(frame))) = frame {
            line.sent(frame.data_ref().map_or(0, Bytes::len));
        }
    }

    fn is_ready(&mut self, ready: bool) {
        streams::note(ready);
        match (self.waiting, ready) {
            (true, true) => self.activity.waited(),
            (false, false) => self.activity.wait(),
            (false, true) => self.activity.took(),
            (true, false) => {}
        }
        self.waiting = !ready;
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if self.listens {
            self.activity.listened();
        }
        self.activity.end(self.waiting);
    }
}

impl ClientBody {
    pub(super) fn plain(text: Bytes, in_hand: InHand) -> Self {
        Self::new(Either::Left(Either::Left(text.into())), in_hand)
    }

    pub(super) fn live(body: LiveBody, mut in_hand: InHand) -> Self {
        if body.size_hint().exact().is_none() {
            in_hand.listens = true;
            in_hand.activity.listen();
        }
        Self::new(Either::Left(Either::Right(body)), in_hand)
    }

    pub(super) fn cache(body: CacheBody<UpstreamBody>, in_hand: InHand) -> Self {
        Self::new(Either::Right(body), in_hand)
    }

    fn new(body: Content, mut in_hand: InHand) -> Self {
        in_hand.is_ready(true);
        Self {
            body,
            in_hand,
            broken: None,
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let own = self.project();
        if let Some(error) = own.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = own.body.poll_frame(cx);
        own.in_hand.is_ready(frame.is_ready());
        own.in_hand.sent(&frame);
        if let Poll::Ready(Some(Err(error))) = frame {
            // The server library drops what it has not written yet, even the head. In another turn it
            // will have (SAFETY 83).
            *own.broken = Some(error);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
