//! The streams under the connections: a client's, which notes what it does, and an upstream's, which
//! notes whether it has said anything.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::proxy::activity::Activity;

/// TCP, or TLS over it.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl Transport for TcpStream {}
impl Transport for tokio_rustls::server::TlsStream<TcpStream> {}
impl Transport for tokio_rustls::client::TlsStream<TcpStream> {}

/// What HTTP/2 begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until it is clear whether the client speaks HTTP/2. True if so, and what was read.
pub(super) async fn begins_with_http2<T: Transport>(io: &mut T) -> io::Result<(bool, Bytes)> {
    let mut read = Vec::with_capacity(512);
    loop {
        if io.read_buf(&mut read).await? == 0 {
            return Ok((false, read.into()));
        }
        let length = read.len().min(PREFACE.len());
        if read[..length] != PREFACE[..length] {
            return Ok((false, read.into()));
        }
        if length == PREFACE.len() {
            return Ok((true, read.into()));
        }
    }
}

/// Notes what a stream does.
pub(super) trait Watch: Unpin + Send + 'static {
    /// Something was read, or the other side closed.
    fn heard(&self);
    /// Whether something that was to be written was taken.
    fn wrote(&self, taken: bool);
}

/// A stream whose doings are noted. `held` is dropped with it, even where it has become a tunnel.
pub(super) struct WatchedStream<T, W, H = ()> {
    io: T,
    /// Read already, to be read again.
    before: Bytes,
    watch: W,
    _held: H,
}

impl<T, W, H> WatchedStream<T, W, H> {
    pub(super) const fn new(io: T, before: Bytes, watch: W, held: H) -> Self {
        Self {
            io,
            before,
            watch,
            _held: held,
        }
    }
}

impl<T: Read + Unpin, W: Watch, H: Unpin> Read for WatchedStream<T, W, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let length = self.before.len().min(buf.remaining());
            let before = self.before.split_to(length);
            buf.put_slice(&before);
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if read.is_ready() {
            self.watch.heard();
        }
        read
    }
}

impl<T: Write + Unpin, W: Watch, H: Unpin> Write for WatchedStream<T, W, H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write(cx, buf);
        self.watch.wrote(wrote.is_ready());
        wrote
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.watch.wrote(flushed.is_ready());
        flushed
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
        let wrote = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.watch.wrote(wrote.is_ready());
        wrote
    }
}

impl Watch for Arc<Activity> {
    fn heard(&self) {
        Activity::heard(self);
    }

    fn wrote(&self, taken: bool) {
        Activity::wrote(self, taken);
    }
}

/// How often a stream was read from, and whether its task is at work on what was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Ears(Arc<Hearing>);

#[derive(Debug, Default)]
struct Hearing {
    reads: AtomicU64,
    /// Set by the task alone, while it is polled.
    at_work: AtomicBool,
    /// Told at the end of each poll.
    rested: Notify,
}

impl Ears {
    pub(super) fn count(&self) -> u64 {
        self.0.reads.load(Relaxed)
    }

    /// `connection`, noting when it is polled.
    pub(super) async fn attend<T>(self, connection: impl Future<Output = T>) -> T {
        let mut connection = pin!(connection);
        poll_fn(|cx| {
            self.0.at_work.store(true, Release);
            let ended = connection.as_mut().poll(cx);
            self.0.at_work.store(false, Release);
            self.0.rested.notify_waiters();
            ended
        })
        .await
    }

    /// Waits until the task has dealt with all that it has read: the poll that it is in has ended.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn dealt_with(&self) {
        let mut rested = pin!(self.0.rested.notified());
        rested.as_mut().enable();
        if self.0.at_work.load(Acquire) {
            rested.await;
        }
    }
}

impl Watch for Ears {
    fn heard(&self) {
        self.0.reads.fetch_add(1, Relaxed);
    }

    fn wrote(&self, _: bool) {}
}
