//! The ends of a connection, as sockets.

use std::io::{Error as IoError, ErrorKind as IoErrorKind, Result as IoResult};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{IN_FLIGHT, Sent, Stream};

fn reset() -> IoError {
    IoErrorKind::ConnectionReset.into()
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<IoResult<()>> {
        std::task::ready!(self.poll_some(cx));
        if self.rest.is_empty() {
            return Poll::Ready(match self.ended {
                Some(false) => Err(reset()),
                _ => Ok(()),
            });
        }
        let some = self.rest.len().min(buffer.remaining());
        let (first, second) = self.rest.as_slices();
        let of_first = some.min(first.len());
        buffer.put_slice(&first[..of_first]);
        buffer.put_slice(&second[..some - of_first]);
        self.rest.drain(..some);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<IoResult<usize>> {
        if self.is_gone() {
            let mut comes = self.comes.lock();
            comes.is_lost = false;
            comes.send(Duration::from_millis(1), Sent::End(false));
        }
        {
            let mut lane = self.goes.lock();
            if lane.in_flight > IN_FLIGHT {
                lane.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        self.send(Sent::Bytes(bytes.to_vec()));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<IoResult<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<IoResult<()>> {
        self.send(Sent::End(true));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.send(Sent::End(true));
    }
}
