//! The body of a flight: written once, read by many at their own pace.
//!
//! Up to the size that may be stored, everything is kept, so that whoever joins reads from the first
//! byte and a slow reader holds nobody up. Past it, only what some reader has not read yet is kept,
//! in a bounded window, and the writer waits for the slowest; one that does not move is cut off.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use crate::error::BoxError;

/// Bytes kept ahead of the slowest reader once the body is too large to store.
const WINDOW: usize = 256 * 1024;

/// How a body ended: whole, with its trailers, or broken off.
type End = Result<Option<HeaderMap>, Arc<str>>;

/// Held by the flight and every reader; the lock is held for a few pointer moves at a time.
#[derive(Debug)]
pub(crate) struct Buffer(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Chunks that were dropped from the front.
    dropped: usize,
    end: Option<End>,
    outgrown: bool,
    readers: HashMap<u64, Reader>,
    next_reader: u64,
    writer: Option<Waker>,
}

#[derive(Debug, Default)]
struct Reader {
    /// The number of the chunk it reads next.
    next: usize,
    waker: Option<Waker>,
    cut: bool,
}

/// Whether the writer of an outgrown body may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Write on.
    Free,
    /// Nobody reads any more.
    Unread,
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    pub(crate) fn reader(this: &Arc<Self>) -> Option<FlightReader> {
        let mut state = this.0.lock();
        if state.dropped > 0 {
            return None;
        }
        let id = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(id, Reader::default());
        Some(FlightReader {
            buffer: Arc::clone(this),
            id,
            size: SizeHint::default(),
            done: false,
        })
    }

    pub(crate) fn readers(&self) -> usize {
        self.0.lock().readers.len()
    }

    pub(crate) fn push(&self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        let mut state = self.0.lock();
        state.chunks.push_back(chunk);
        state.wake_readers();
    }

    pub(crate) fn end(&self, end: End) {
        let mut state = self.0.lock();
        state.end = Some(end);
        state.wake_readers();
    }

    pub(crate) fn outgrow(&self) {
        let mut state = self.0.lock();
        state.outgrown = true;
        state.forget_read();
    }

    pub(crate) async fn room(&self) -> Room {
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock();
            if state.readers.is_empty() {
                return Poll::Ready(Room::Unread);
            }
            if state.chunks.iter().map(Bytes::len).sum::<usize>() < WINDOW {
                return Poll::Ready(Room::Free);
            }
            state.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    pub(crate) fn cut_slowest(&self) {
        let mut state = self.0.lock();
        let slowest = state.readers.values().map(|reader| reader.next).min();
        for reader in state
            .readers
            .values_mut()
            .filter(|reader| Some(reader.next) == slowest)
        {
            reader.cut = true;
            reader.next = usize::MAX;
            reader.waker.take().into_iter().for_each(Waker::wake);
        }
        state.forget_read();
    }
}

impl State {
    fn wake_readers(&mut self) {
        for reader in self.readers.values_mut() {
            reader.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Drops what every reader has read, once nobody can join any more.
    fn forget_read(&mut self) {
        if !self.outgrown {
            return;
        }
        let slowest = self.readers.values().map(|reader| reader.next).min();
        while self.dropped < slowest.unwrap_or(usize::MAX) && self.chunks.pop_front().is_some() {
            self.dropped += 1;
        }
        self.writer.take().into_iter().for_each(Waker::wake);
    }
}

/// Reads the body of a flight from its first byte.
#[derive(Debug)]
pub(crate) struct FlightReader {
    buffer: Arc<Buffer>,
    id: u64,
    size: SizeHint,
    done: bool,
}

impl FlightReader {
    /// The same reader, which knows the size of the whole body.
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
        let buffer = Arc::clone(&self.buffer);
        let mut state = buffer.0.lock();
        let State {
            chunks,
            dropped,
            end,
            readers,
            ..
        } = &mut *state;
        let Some(reader) = readers.get_mut(&self.id) else {
            return Poll::Ready(None);
        };
        if reader.cut {
            self.done = true;
            return Poll::Ready(Some(Err("this client read too slowly".into())));
        }
        if let Some(chunk) = chunks.get(reader.next - *dropped).cloned() {
            reader.next += 1;
            state.forget_read();
            drop(state);
            self.took(chunk.len());
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match end {
            None => {
                reader.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(end) => {
                self.done = true;
                Poll::Ready(match end {
                    Ok(trailers) => trailers.clone().map(|fields| Ok(Frame::trailers(fields))),
                    Err(reason) => Some(Err(reason.as_ref().into())),
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        if self.done {
            return true;
        }
        let state = self.buffer.0.lock();
        let read_all = state
            .readers
            .get(&self.id)
            .is_some_and(|reader| !reader.cut && reader.next >= state.dropped + state.chunks.len());
        read_all && matches!(state.end, Some(Ok(None)))
    }

    fn size_hint(&self) -> SizeHint {
        self.size.clone()
    }
}

impl Drop for FlightReader {
    fn drop(&mut self) {
        let mut state = self.buffer.0.lock();
        state.readers.remove(&self.id);
        state.forget_read();
    }
}
