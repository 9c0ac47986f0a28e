//! [`UpstreamBody`]: a response body on its way, with a limit on the time between two reads.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, timeout};

use crate::proxy::trailers::Trailers;
use crate::proxy::upstream::failure::{FailureKind, UpstreamFailure};
use crate::proxy::upstream::pool::Lease;
use tower_tagcache::BoxError;

/// How long the head of a response waits for the first of its body, so that a body that is broken from
/// the start can still be answered 502. Where nothing comes at once it is a stream, whose reader wants
/// its head.
const FIRST: Duration = Duration::from_millis(5);

/// The body of an upstream's response. It holds the connection, and gives it back at the end.
pub(in crate::proxy) struct UpstreamBody {
    incoming: Incoming,
    /// Read already, with the head.
    first: Option<Frame<Bytes>>,
    /// `incoming` has been read to its end.
    ended: bool,
    limit: Duration,
    /// Runs while upstream is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    lease: Option<Box<Lease>>,
    trailers: Trailers,
}

impl UpstreamBody {
    /// The body that has begun: what came with the head has been looked at.
    ///
    /// # Errors
    /// If it is broken so far. The client has been told nothing yet (SAFETY 83).
    pub(super) async fn begun(
        incoming: Incoming,
        limit: Duration,
        lease: Lease,
        trailers: Trailers,
    ) -> Result<Self, UpstreamFailure> {
        let mut body = Self {
            incoming,
            first: None,
            ended: false,
            limit,
            timer: None,
            lease: Some(Box::new(lease)),
            trailers,
        };
        body.give_back_at_end();
        let Some(lease) = &body.lease else {
            return Ok(body);
        };
        lease.dealt_with().await;
        let first = timeout(FIRST, poll_fn(|cx| body.poll_next(cx))).await;
        match first.ok().flatten() {
            Some(Ok(frame)) => body.first = Some(frame),
            Some(Err(error)) => {
                let kind = match is_cut_off(&*error) {
                    true => FailureKind::Closed,
                    false => FailureKind::Malformed,
                };
                return Err(UpstreamFailure::because(kind, error));
            }
            // It has ended, or is not there yet.
            None => {}
        }
        Ok(body)
    }

    fn give_back_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.ended = true;
        }
        if self.ended
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

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
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
        let frame = match frame {
            Some(Ok(frame)) => {
                let settled = self.trailers.settle_frame(frame);
                settled.map(|frame| frame.map_err(BoxError::from))
            }
            Some(Err(error)) => Some(Err(error.into())),
            None => None,
        };
        match &frame {
            Some(Ok(_)) => self.give_back_at_end(),
            Some(Err(_)) => self.lease = None,
            None => {
                self.ended = true;
                self.give_back_at_end();
            }
        }
        Poll::Ready(frame)
    }
}

/// Whether the connection ended before the body did.
fn is_cut_off(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof)
    })
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.first.take() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => self.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && (self.ended || self.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let rest = match self.ended {
            true => SizeHint::with_exact(0),
            false => self.incoming.size_hint(),
        };
        let mut size = SizeHint::new();
        let first = match &self.first {
            None => 0,
            Some(first) => match first.data_ref() {
                Some(data) => data.len() as u64,
                // A length would leave no place for trailers in HTTP/1.1.
                None => return size,
            },
        };
        size.set_lower(rest.lower().saturating_add(first));
        if let Some(upper) = rest.upper() {
            size.set_upper(upper.saturating_add(first));
        }
        size
    }
}
