//! [`RequestBody`]: what a client uploads, with a limit on the time between two reads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::time::Sleep;

use crate::proxy::activity::{Activity, Reading};
use crate::proxy::forwarded::Inbound;
use crate::proxy::trailers::{BadTrailers, Trailers, were_too_many};
use tower_tagcache::BoxError;

/// The body of a client's request, and who sent it.
pub(super) struct RequestBody {
    /// `None`: there is no body.
    streamed: Option<BodyStream>,
    inbound: Option<Inbound>,
}

/// A body that is read as upstream takes it.
struct BodyStream {
    incoming: Incoming,
    limit: Duration,
    /// Runs while the client is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    upload: Upload,
    /// Until it has ended.
    reading: Option<Reading>,
    /// What its trailers may be.
    trailers: Trailers,
}

/// How a streamed body is doing, seen from outside.
#[derive(Debug, Clone, Default)]
pub(super) struct Upload(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Frames that were handed on; all of them, if it has ended.
    frames: AtomicU64,
    fault: Mutex<Option<UploadFault>>,
}

/// What the client did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadFault {
    /// It went away, or its body is malformed.
    Broken,
    /// It took too long.
    TooSlow,
    /// Its trailers are more than are read.
    TooManyFields,
}

impl Upload {
    pub(super) fn frames(&self) -> u64 {
        self.0.frames.load(Relaxed)
    }

    pub(super) fn fault(&self) -> Option<UploadFault> {
        *self.0.fault.lock()
    }

    fn fails(&self, fault: UploadFault) {
        *self.0.fault.lock() = Some(fault);
    }
}

impl RequestBody {
    pub(super) fn new(
        incoming: Incoming,
        limit: Duration,
        inbound: Inbound,
        trailers: impl FnOnce() -> Trailers,
    ) -> Self {
        let streamed = (!incoming.is_end_stream()).then(|| BodyStream {
            incoming,
            limit,
            timer: None,
            upload: Upload::default(),
            reading: None,
            trailers: trailers(),
        });
        Self {
            streamed,
            inbound: Some(inbound),
        }
    }

    /// Until it has ended, `activity` knows that it is being read.
    pub(super) fn told_to(mut self, activity: &Arc<Activity>) -> Self {
        if let Some(streamed) = &mut self.streamed {
            streamed.reading = Some(activity.read_body());
        }
        self
    }

    /// No body, and of nobody.
    pub(super) const fn empty() -> Self {
        Self {
            streamed: None,
            inbound: None,
        }
    }

    pub(super) const fn take_inbound(&mut self) -> Option<Inbound> {
        self.inbound.take()
    }

    /// None if there is no body.
    pub(super) fn upload(&self) -> Option<Upload> {
        let streamed = self.streamed.as_ref();
        streamed.map(|streamed| streamed.upload.clone())
    }
}

impl BodyStream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            self.timer = None;
            if let Some(reading) = &mut self.reading {
                reading.starves(false);
            }
            self.upload.0.frames.fetch_add(1, Relaxed);
            if self.incoming.is_end_stream() || !matches!(frame, Some(Ok(_))) {
                self.reading = None;
            }
            return match frame {
                Some(Ok(frame)) => Poll::Ready(self.settle(frame)),
                Some(Err(error)) => {
                    self.upload.fails(match were_too_many(&error) {
                        true => UploadFault::TooManyFields,
                        false => UploadFault::Broken,
                    });
                    Poll::Ready(Some(Err(error.into())))
                }
                None => Poll::Ready(None),
            };
        }
        if let Some(reading) = &mut self.reading {
            reading.starves(true);
        }
        let limit = self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.upload.fails(UploadFault::TooSlow);
        Poll::Ready(Some(Err("the client is too slow to send its body".into())))
    }

    fn settle(&self, frame: Frame<Bytes>) -> Option<Result<Frame<Bytes>, BoxError>> {
        let settled = self.trailers.settle_frame(frame)?;
        Some(settled.map_err(|bad| {
            self.upload.fails(match bad {
                BadTrailers::TooMany => UploadFault::TooManyFields,
                BadTrailers::Malformed => UploadFault::Broken,
            });
            bad.into()
        }))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().streamed {
            None => Poll::Ready(None),
            Some(streamed) => streamed.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        let streamed = self.streamed.as_ref();
        streamed.is_none_or(|streamed| streamed.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.streamed {
            None => SizeHint::with_exact(0),
            Some(streamed) => streamed.incoming.size_hint(),
        }
    }
}
