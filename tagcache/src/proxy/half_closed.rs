//! A client that has said all that it has to say, and waits for the answer.
//!
//! `shutdown(SHUT_WR)` after a request is how many simple clients ask. Nothing tells such an end of what is
//! read from that of a client that has gone, and the server library takes both for the latter and drops the
//! answer (SAFETY 76). So the end is kept from it until the requests in hand are answered. How long that may
//! take without any answer, the connection's timer knows ([`Activity`]); and it ends at once where others want the
//! places of such requests at an upstream ([`Yielding`]).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::proxy::activity::{Activity, End};
use crate::proxy::stream::Transport;
use crate::proxy::yielding::{Place, Yielding};

/// How long what was read of a body may take to reach who waits for it.
const HANDED_ON: Duration = Duration::from_millis(100);

/// A client's stream whose end is noticed late.
pub(super) struct HalfClosedStream<T> {
    io: T,
    activity: Arc<Activity>,
    ended: Option<io::Result<()>>,
    yielding: Arc<Yielding>,
    /// While the end is kept from the server library.
    place: Option<Place>,
    /// Runs while it is not known whether a body was cut off.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> HalfClosedStream<T> {
    pub(super) const fn new(io: T, activity: Arc<Activity>, yielding: Arc<Yielding>) -> Self {
        Self {
            io,
            activity,
            ended: None,
            yielding,
            place: None,
            timer: None,
        }
    }

    fn end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.activity.end_of_input(cx) {
                End::Shown => break,
                End::Kept => {
                    if self.place.is_none() {
                        self.place = Some(self.yielding.add(&self.activity));
                    }
                    return Poll::Pending;
                }
                // The whole body may have come, and be on its way to who takes it.
                end @ (End::Later | End::Starved) => {
                    let handed_on = || Box::pin(sleep(HANDED_ON));
                    let timer = self.timer.get_or_insert_with(handed_on);
                    std::task::ready!(timer.as_mut().poll(cx));
                    self.timer = None;
                    if end == End::Starved {
                        break;
                    }
                }
            }
        }
        self.place = None;
        Poll::Ready(self.ended.replace(Ok(())).unwrap_or(Ok(())))
    }
}

impl<T: Transport> AsyncRead for HalfClosedStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ended.is_none() {
            let (before, room) = (buf.filled().len(), buf.remaining());
            let read = std::task::ready!(Pin::new(&mut self.io).poll_read(cx, buf));
            // TLS that ends without its goodbye is an end as well.
            let cut = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
            let over = read.as_ref().is_err_and(cut);
            if !over && (read.is_err() || buf.filled().len() > before || room == 0) {
                return Poll::Ready(read);
            }
            self.ended = Some(read);
        }
        self.end(cx)
    }
}

impl<T: Transport> AsyncWrite for HalfClosedStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
