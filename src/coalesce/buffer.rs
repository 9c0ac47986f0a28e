//! The body of a flight: written once, read by many at their own pace.
//!
//! Up to the size that may be stored, everything is kept, so that whoever joins reads from the first
//! byte and a slow reader holds nobody up. Past it, only what some reader has not read yet is kept,
//! in a bounded window, and the writer waits for the slowest; one that holds up others without
//! keeping pace is cut off.
//!
//! What is kept is taken from the [`Budget`] of all fills. Where that is used up, a writer may keep one chunk
//! that its readers have not taken, so that each goes on at their pace, and no more (SAFETY 73).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::SizeHint;
use smallvec::SmallVec;

use crate::coalesce::budget::{Budget, cost};
use crate::sync::Mutex;

mod reader;

pub(crate) use self::reader::FlightReader;

/// Bytes kept ahead of the slowest reader once the body is too large to store.
pub(super) const WINDOW: usize = 256 * 1024;

/// How a body ended: whole, with its trailers, or broken off.
pub(super) type End = Result<Option<HeaderMap>, Arc<str>>;

/// Held by the flight and every reader; the lock is held for a few pointer moves at a time.
#[derive(Debug)]
pub(super) struct Buffer {
    state: Mutex<State>,
    budget: Arc<Budget>,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Chunk>,
    /// Bytes in `chunks`.
    held: usize,
    /// Taken from the budget for `chunks`, and for those that are to come.
    taken: u64,
    reserved: u64,
    /// The last of `chunks` is more than what fills may hold: there is room for the next when it is gone.
    beside: bool,
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

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    /// What was taken from the budget for it.
    taken: u64,
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
    /// To the budget.
    back: u64,
}

impl Buffer {
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            state: Mutex::default(),
            budget: Arc::clone(budget),
        }
    }

    /// Changes the state, then, without the lock, does what follows from it.
    fn change<T>(&self, change: impl FnOnce(&mut State, &mut After) -> T) -> T {
        let mut after = After::default();
        let result = change(&mut self.state.lock(), &mut after);
        self.budget.give_back(after.back);
        after.wake.into_iter().for_each(Waker::wake);
        result
    }

    /// Reads from the first byte; `None` if that is gone.
    pub(super) fn reader(this: &Arc<Self>) -> Option<FlightReader> {
        let mut state = this.state.lock();
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
        self.state.lock().waiting += 1;
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
        self.state.lock().unwanted()
    }

    /// Waits until nobody waits for the head or reads the body.
    pub(super) async fn until_unwanted(&self) {
        std::future::poll_fn(|cx| self.change(|state, after| state.poll_unwanted(cx, after))).await;
    }

    /// Takes what a body that is as long will need, unless all fills together would hold too much.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        let taken = self.budget.take(bytes);
        if taken {
            self.state.lock().reserved += bytes;
        }
        taken
    }

    /// Keeps a chunk; gives it back if all fills together would hold too much.
    pub(super) fn push(&self, chunk: Bytes) -> Result<(), Bytes> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.change(|state, after| {
            let taken = cost(chunk.len());
            let reserved = state.reserved.min(taken);
            if !self.budget.take(taken - reserved) {
                return Err(chunk);
            }
            state.reserved -= reserved;
            state.push(chunk, taken, after);
            Ok(())
        })
    }

    /// Keeps a chunk of an outgrown body, for which there was [`room`](Self::room): if need be beside the budget.
    pub(super) fn pass(&self, chunk: Bytes) {
        let Err(chunk) = self.push(chunk) else {
            return;
        };
        self.change(|state, after| {
            let cost = cost(chunk.len());
            let taken = if self.budget.take_last(cost) { cost } else { 0 };
            state.beside = true;
            state.push(chunk, taken, after);
        });
    }

    /// The whole body is there, in one piece, and kept by others: nothing of it is held twice.
    pub(super) fn share(&self, body: &Bytes) {
        self.change(|state, after| {
            if state.outgrown || state.held != body.len() {
                return;
            }
            let mut from = 0;
            for chunk in &mut state.chunks {
                let to = from + chunk.bytes.len();
                after
                    .freed
                    .push(std::mem::replace(&mut chunk.bytes, body.slice(from..to)));
                from = to;
            }
        });
    }

    /// The body ended. Only the first end counts.
    pub(super) fn end(&self, end: End) {
        self.change(|state, after| {
            state.end.get_or_insert(end);
            after.back += std::mem::take(&mut state.reserved);
            state.wake_readers(after);
        });
    }

    /// From now on only what some reader has not read yet is kept.
    pub(super) fn outgrow(&self) {
        self.change(|state, after| {
            state.outgrown = true;
            after.back += std::mem::take(&mut state.reserved);
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

impl Drop for Buffer {
    fn drop(&mut self) {
        let state = self.state.lock();
        self.budget.give_back(state.taken + state.reserved);
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

    fn push(&mut self, bytes: Bytes, taken: u64, after: &mut After) {
        self.held += bytes.len();
        self.taken += taken;
        self.chunks.push_back(Chunk { bytes, taken });
        self.wake_readers(after);
    }

    fn poll_room(&mut self, cx: &mut Context<'_>, after: &mut After) -> Poll<Room> {
        if self.readers.is_empty() {
            return Poll::Ready(Room::Unread);
        }
        if self.held < WINDOW && !self.beside {
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
        if let Some(chunk) = self.chunks.get(place).map(|chunk| chunk.bytes.clone()) {
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
            self.held -= chunk.bytes.len();
            self.taken -= chunk.taken;
            after.back += chunk.taken;
            after.freed.push(chunk.bytes);
        }
        self.beside &= !self.chunks.is_empty();
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
