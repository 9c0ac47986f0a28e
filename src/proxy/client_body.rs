//! [`ClientBody`]: what a client reads.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::proxy::activity::Activity;
use crate::proxy::upstream::UpstreamBody;
use crate::{BoxError, CacheBody};

/// The body of a response. As long as it is there, its connection has a request in hand.
#[pin_project]
pub(super) struct ClientBody {
    #[pin]
    kind: Kind,
    _in_hand: InHand,
}

#[pin_project(project = KindProj)]
enum Kind {
    Plain(Bytes),
    Cache(#[pin] CacheBody<UpstreamBody>),
}

/// A request that is not answered to the end.
#[derive(Debug)]
pub(super) struct InHand(Arc<Activity>);

impl InHand {
    pub(super) fn new(activity: &Arc<Activity>) -> Self {
        activity.begin();
        Self(Arc::clone(activity))
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl ClientBody {
    pub(super) const fn plain(text: Bytes, in_hand: InHand) -> Self {
        Self {
            kind: Kind::Plain(text),
            _in_hand: in_hand,
        }
    }

    pub(super) const fn cache(body: CacheBody<UpstreamBody>, in_hand: InHand) -> Self {
        Self {
            kind: Kind::Cache(body),
            _in_hand: in_hand,
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
        match self.project().kind.project() {
            KindProj::Plain(text) if text.is_empty() => Poll::Ready(None),
            KindProj::Plain(text) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
            KindProj::Cache(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Plain(text) => text.is_empty(),
            Kind::Cache(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Plain(text) => SizeHint::with_exact(text.len() as u64),
            Kind::Cache(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientBody")
    }
}
