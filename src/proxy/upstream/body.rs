//! [`UpstreamBody`]: a response body on its way, with a limit on the time between two reads.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::BoxError;
use crate::proxy::upstream::pool::Lease;

/// The body of an upstream's response. It holds the connection, and gives it back at the end.
pub(in crate::proxy) struct UpstreamBody {
    incoming: Incoming,
    limit: Duration,
    /// Runs while upstream is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    lease: Option<Box<Lease>>,
}

impl UpstreamBody {
    pub(super) fn new(incoming: Incoming, limit: Duration, lease: Lease) -> Self {
        let mut body = Self {
            incoming,
            limit,
            timer: None,
            lease: Some(Box::new(lease)),
        };
        body.give_back_at_end();
        body
    }

    fn give_back_at_end(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }

    fn overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx).is_ready()
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending if self.overdue(cx) => {
                self.lease = None;
                let error = "the upstream server stopped sending".into();
                return Poll::Ready(Some(Err(error)));
            }
            Poll::Pending => return Poll::Pending,
        };
        self.timer = None;
        match frame {
            Some(Ok(frame)) => {
                self.give_back_at_end();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.lease = None;
                Poll::Ready(Some(Err(error.into())))
            }
            None => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamBody")
    }
}
