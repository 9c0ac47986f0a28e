//! The body of a flight: written once, read by many at their own pace.
//!
//! Up to the size that may be stored, everything is kept, so that whoever joins reads from the first
//! byte and a slow reader holds nobody up. Past it, only what some reader has not read yet is kept,
//! in a bounded window, and the writer waits for the slowest; one that holds up others without
//! keeping pace is cut off.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;

use crate::error::BoxError;
use crate::sync::Mutex;

/// Bytes kept ahead of the slowest reader once the body is too large to store.
pub(super) const WINDOW: usize = 256 * 1024;

/// How a body ended: whole, with its trailers, or broken off.
pub(super) type End = Result<Option<HeaderMap>, Arc<str>>;

/// Held by the flight and every reader; the lock is held for a few pointer moves at a time.
#[derive(Debug)]
pub(super) struct Buffer(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Bytes in `chunks`.
    held: usize,
    /// Chunks that were dropped from the front.
    dropped: usize,
    end: Option<End>,
    outgrown: bool,
    /// Those that were cut off are no longer here.
    readers: HashMap<u64, Reader>,
    next_reader: u64,
    /// Requests that wait for the head and may become readers.
    waiting: usize,
    writer: Option<Waker>,
}

#[derive(Debug, Default)]
struct Reader {
    /// The number of the chunk it reads next.
    next: usize,
    /// Bytes read since the pace was last looked at.
    taken: usize,
    waker: Option<Waker>,
}

/// Whether the writer of an outgrown body may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Write on.
    Free,
    /// Nobody reads any more.
    Unread,
}

/// What is left to do once the lock is released. A waker may run anything, the drop of another reader
/// of the same body included, and so may the drop of a waker or of bytes that somebody else owns.
#[derive(Default)]
struct After {
    wake: SmallVec<[Waker; 4]>,
    replaced: Option<Waker>,
    freed: SmallVec<[Bytes; 4]>,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Changes the state, then, without the lock, does what follows from it.
    fn change<T>(&self, change: impl FnOnce(&mut State, &mut After) -> T) -> T {
        let mut after = After::default();
        let result = change(&mut self.0.lock(), &mut after);
        after.wake.into_iter().for_each(Waker::wake);
        result
    }

    /// Reads from the first byte; `None` if that is gone.
    pub(super) fn reader(this: &Arc<Self>) -> Option<FlightReader> {
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

    /// A request waits for the head.
    pub(super) fn arrive(&self) {
        self.0.lock().waiting += 1;
    }

    /// A request waits for the head no longer.
    pub(super) fn leave(&self) {
        self.change(|state, after| {
            state.waiting -= 1;
            after.wake.extend(state.writer.take());
        });
    }

    /// Whether nobody waits for the head or reads the body.
    pub(super) fn unwanted(&self) -> bool {
        self.0.lock().unwanted()
    }

    /// Waits until nobody waits for the head or reads the body.
    pub(super) async fn until_unwanted(&self) {
        std::future::poll_fn(|cx| self.change(|state, after| state.poll_unwanted(cx, after))).await;
    }

    pub(super) fn push(&self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        self.change(|state, after| {
            state.held += chunk.len();
            state.chunks.push_back(chunk);
            state.wake_readers(after);
        });
    }

    /// The body ended. Only the first end counts.
    pub(super) fn end(&self, end: End) {
        self.change(|state, after| {
            state.end.get_or_insert(end);
            state.wake_readers(after);
        });
    }

    /// From now on only what some reader has not read yet is kept.
    pub(super) fn outgrow(&self) {
        self.change(|state, after| {
            state.outgrown = true;
            state.forget_read(after);
        });
    }

    /// Waits until the window has room, or nobody reads any more.
    pub(super) async fn room(&self) -> Room {
        std::future::poll_fn(|cx| self.change(|state, after| state.poll_room(cx, after))).await
    }

    /// Called when there was no [`room`](Self::room) for long. If somebody waits for what comes next,
    /// the readers that hold it back are cut off, unless they read a whole window since the last call.
    /// As long as a slow reader holds up only itself it may take its time, as it could without a
    /// cache.
    pub(super) fn cut_slowest(&self) {
        self.change(State::cut_slowest);
    }
}

impl State {
    fn unwanted(&self) -> bool {
        self.waiting == 0 && self.readers.is_empty()
    }

    fn poll_unwanted(&mut self, cx: &mut Context<'_>, after: &mut After) -> Poll<()> {
        if self.unwanted() {
            return Poll::Ready(());
        }
        keep(&mut self.writer, cx.waker(), after);
        Poll::Pending
    }

    fn poll_room(&mut self, cx: &mut Context<'_>, after: &mut After) -> Poll<Room> {
        if self.readers.is_empty() {
            return Poll::Ready(Room::Unread);
        }
        if self.held < WINDOW {
            return Poll::Ready(Room::Free);
        }
        keep(&mut self.writer, cx.waker(), after);
        Poll::Pending
    }

    fn read(&mut self, id: u64, waker: &Waker, after: &mut After) -> Read {
        let Some(reader) = self.readers.get_mut(&id) else {
            return Read::Cut;
        };
        let place = reader.next - self.dropped;
        if let Some(chunk) = self.chunks.get(place).cloned() {
            reader.next += 1;
            reader.taken = reader.taken.saturating_add(chunk.len());
            // Only who reads the oldest chunk can have been its last reader.
            if place == 0 {
                self.forget_read(after);
            }
            return Read::Chunk(chunk);
        }
        match &self.end {
            Some(end) => Read::End(end.clone()),
            None => {
                keep(&mut reader.waker, waker, after);
                Read::Nothing
            }
        }
    }

    fn wake_readers(&mut self, after: &mut After) {
        let wakers = self.readers.values_mut().map(|reader| &mut reader.waker);
        after.wake.extend(wakers.filter_map(Option::take));
    }

    /// Drops what every reader has read, once nobody can join any more.
    fn forget_read(&mut self, after: &mut After) {
        if !self.outgrown {
            return;
        }
        let slowest = self.readers.values().map(|reader| reader.next).min();
        while self.dropped < slowest.unwrap_or(usize::MAX)
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.dropped += 1;
            self.held -= chunk.len();
            after.freed.push(chunk);
        }
        if !after.freed.is_empty() {
            after.wake.extend(self.writer.take());
        }
    }

    fn cut_slowest(&mut self, after: &mut After) {
        let newest = self.dropped + self.chunks.len();
        let held_up = self.readers.values().any(|reader| reader.next == newest);
        let slowest = self.readers.values().map(|reader| reader.next).min();
        self.readers.retain(|_, reader| {
            let kept_pace = std::mem::take(&mut reader.taken) >= WINDOW;
            let cut = held_up && Some(reader.next) == slowest && !kept_pace;
            if cut {
                after.wake.extend(reader.waker.take());
            }
            !cut
        });
        self.forget_read(after);
        after.wake.extend(self.writer.take());
    }
}

/// Keeps `waker` in `place`.
fn keep(place: &mut Option<Waker>, waker: &Waker, after: &mut After) {
    if !place.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
        after.replaced = place.replace(waker.clone());
    }
}

/// What a reader finds.
enum Read {
    Chunk(Bytes),
    Nothing,
    End(End),
    /// It was cut off.
    Cut,
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
        let state = self.buffer.0.lock();
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
