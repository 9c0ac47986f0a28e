//! One who reads a body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::coalesce::buffer::{Buffer, Read};
use crate::error::BoxError;

/// Reads the body of a flight from its first byte.
#[derive(Debug)]
pub(crate) struct FlightReader {
    pub(super) buffer: Arc<Buffer>,
    pub(super) id: u64,
    pub(super) size: SizeHint,
    pub(super) done: bool,
}

impl FlightReader {
    /// Tells the reader the size of the whole body.
    pub(crate) fn sized(mut self, size: SizeHint) -> Self {
        self.size = size;
        self
    }

    fn took(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        let mut size = SizeHint::new();
        if let Some(upper) = self.size.upper() {
            size.set_upper(upper.saturating_sub(bytes));
        }
        size.set_lower(self.size.lower().saturating_sub(bytes));
        self.size = size;
    }
}

impl Body for FlightReader {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.done {
            return Poll::Ready(None);
        }
        let id = self.id;
        let read = self
            .buffer
            .change(|state, after| state.read(id, cx.waker(), after));
        self.done = matches!(read, Read::End(_) | Read::Cut);
        match read {
            Read::Nothing => Poll::Pending,
            Read::Chunk(chunk) => {
                self.took(chunk.len());
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Read::End(Ok(trailers)) => {
                Poll::Ready(trailers.map(|fields| Ok(Frame::trailers(fields))))
            }
            Read::End(Err(reason)) => Poll::Ready(Some(Err((*reason).into()))),
            Read::Cut => Poll::Ready(Some(Err("this client read too slowly".into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        if self.done {
            return true;
        }
        let state = self.buffer.state.lock();
        let reader = state.readers.get(&self.id);
        let read_all = reader.is_some_and(|own| own.next >= state.dropped + state.chunks.len());
        read_all && matches!(state.end, Some(Ok(None)))
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

impl Drop for FlightReader {
    fn drop(&mut self) {
        self.buffer.change(|state, after| {
            let reader = state.readers.remove(&self.id);
            after.replaced = reader.and_then(|reader| reader.waker);
            state.forget_read(after);
            after.wake.extend(state.writer.take());
        });
    }
}
