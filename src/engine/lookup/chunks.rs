//! Hits on responses whose body the store holds in chunks.
//!
//! Where there is room for a copy, the whole is put together and kept. Otherwise the client gets the chunks as
//! they are read, so that no more than a few are held at a time. It gets the first byte only when the first
//! chunks are there and none of the others is missing; should one vanish, or the store, while the client reads,
//! the response is cut off, as when an inner service breaks off.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures_util::future::try_join;
use http::{HeaderMap, Method};
use http_body::{Frame, SizeHint};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::engine::lookup::fitness::Fitness;
use crate::engine::lookup::{Bodies, Lookup, Lookups, Usable};
use crate::engine::selection::{Chosen, span};
use crate::entry::{CHUNK, Cut, chunks_of};
use crate::error::{BoxError, Error, ErrorKind};
use crate::log::View;
use crate::outcome::Detail;
use crate::rules::CacheRequest;
use crate::semantics::Selection;
use crate::sync::owned;

/// Chunks that are read at once. While the client takes them, the next are read: at most twice as many are
/// held.
const AT_ONCE: usize = 2;

/// A fresh response whose body is read while it is sent.
#[derive(Debug)]
pub(crate) struct OpenBody {
    pub(crate) cut: Arc<Cut>,
    pub(crate) chosen: Chosen,
    /// What is sent of the body, if anything is.
    pub(crate) reader: Option<ChunkReader>,
    /// When it was judged.
    pub(crate) at: Timestamp,
}

impl Lookups {
    /// Uses a response that was cut as [`consider`](Self::consider) does others. The body is read only if
    /// something is to be done with it.
    pub(crate) async fn consider_cut(
        &self,
        lookup: &mut Lookup,
        asked: &CacheRequest,
        view: &View,
        cut: Arc<Cut>,
        bodies: Bodies,
    ) -> Result<(), Detail> {
        let head = cut.head();
        if head.key != asked.key && head.key != lookup.key {
            return Ok(());
        }
        match self.fitness(asked, view, head, self.clock.now()) {
            Fitness::Fresh
                if bodies == Bodies::AsHeld && matches!(lookup.usable, Usable::Nothing) =>
            {
                lookup.usable = Usable::Cut(cut);
            }
            Fitness::Fresh | Fitness::Stale { .. } => {
                let whole = cut.whole().await.map_err(|error| self.failed(&error))?;
                if let Some(stored) = whole {
                    self.consider(lookup, asked, view, Arc::new(stored));
                }
            }
            useless => lookup.why = useless.objection().unwrap_or(lookup.why),
        }
        Ok(())
    }

    /// Gets the body of `cut`, which `lookup` found: put together, or its first chunks.
    pub(crate) async fn open(
        &self,
        asked: &mut CacheRequest,
        request: (&Method, &HeaderMap),
        lookup: &mut Lookup,
        cut: Arc<Cut>,
    ) {
        match self.opened(asked, request, cut).await {
            // Once more, as chunks were waited for (PROTOCOL 21, 22).
            Ok(_) if !self.may_still_use(lookup) => lookup.lose_lease(),
            Ok(usable) => lookup.usable = usable.unwrap_or(Usable::Nothing),
            Err(error) => lookup.fail(self.failed(&error)),
        }
    }

    /// `None`: a chunk is missing.
    async fn opened(
        &self,
        asked: &mut CacheRequest,
        (method, headers): (&Method, &HeaderMap),
        cut: Arc<Cut>,
    ) -> Result<Option<Usable>, Error> {
        let at = self.clock.now();
        let (head, length) = (cut.head(), cut.length());
        // Who refreshes it needs the whole.
        asked.elected |= self.elects(head, at);
        let room = match asked.elected {
            true => None,
            false => self.room_for(&cut),
        };
        if asked.elected || room.is_some() {
            let whole = cut.whole().await?.map(Arc::new);
            if let (Some(stored), Some(_)) = (&whole, &room) {
                let fields = self.variants.get(&asked.key).unwrap_or_default();
                self.keep_near(&asked.key, &fields, stored);
            }
            return Ok(whole.map(Usable::Fresh));
        }
        let mut chosen = Chosen::of(method, headers, head, length);
        // Several ranges are put together from the whole, for which there is no room: a range may be ignored
        // (RFC 9110 §14.2).
        if matches!(chosen, Chosen::Of(Selection::Parts(_))) {
            chosen = Chosen::Of(Selection::Whole);
        }
        let bytes = match &chosen {
            Chosen::NotModified | Chosen::Of(Selection::Unsatisfiable) => None,
            _ if method == Method::HEAD => None,
            Chosen::Of(Selection::Part(range)) => Some(span(range, length)),
            Chosen::Of(_) => Some(0..length),
        };
        let all = matches!(chosen, Chosen::Of(Selection::Whole));
        let reader = match bytes {
            None => None,
            Some(bytes) => match ChunkReader::open(&cut, bytes, all).await? {
                Some(reader) => Some(reader),
                None => return Ok(None),
            },
        };
        let opened = OpenBody {
            cut,
            chosen,
            reader,
            at,
        };
        Ok(Some(Usable::OpenBody(opened)))
    }
}

type Reading = JoinHandle<Result<Option<Vec<Bytes>>, Error>>;

/// Reads bytes of a body that is held in chunks, a few chunks ahead.
pub(crate) struct ChunkReader {
    cut: Arc<Cut>,
    /// Read, and not taken yet.
    ready: VecDeque<Bytes>,
    /// In a task of its own, so that a client that takes nothing holds bytes, and no connection. It ends with the
    /// reader, and within the budgets of the store.
    reading: Option<Reading>,
    /// Chunks that are to be asked for.
    to_read: Range<usize>,
    /// Bytes of the next chunk that are not wanted.
    skip: usize,
    /// Bytes that are to come.
    left: usize,
    trailers: bool,
}

impl ChunkReader {
    /// Its first chunks have been read, and the others are there; `None` if one is missing.
    async fn open(
        cut: &Arc<Cut>,
        bytes: Range<usize>,
        trailers: bool,
    ) -> Result<Option<Self>, Error> {
        let chunks = bytes.start / CHUNK..chunks_of(bytes.end);
        let first = chunks.start..chunks.end.min(chunks.start + AT_ONCE);
        let rest = first.end..chunks.end;
        let deadline = Instant::now() + cut.source().budget();
        let read = cut.source().read(first, deadline);
        let ready = if rest.is_empty() {
            read.await?
        } else {
            let (ready, there) = try_join(read, cut.source().has(rest.clone(), deadline)).await?;
            ready.filter(|_| there)
        };
        Ok(ready.map(|ready| Self {
            ready: ready.into(),
            reading: None,
            to_read: rest,
            skip: bytes.start % CHUNK,
            left: bytes.len(),
            trailers: trailers && cut.head().trailers.is_some(),
            cut: Arc::clone(cut),
        }))
    }

    /// Has the next chunks read when few are left, and takes what has been.
    fn read_on(&mut self, cx: &mut Context<'_>) -> Result<(), BoxError> {
        if self.reading.is_none() && self.ready.len() < AT_ONCE && !self.to_read.is_empty() {
            let end = self.to_read.end.min(self.to_read.start + AT_ONCE);
            let next = self.to_read.start..end;
            self.to_read.start = end;
            self.reading = Some(tokio::spawn(owned(self.cut.source().read_on(next))));
        }
        if let Some(task) = &mut self.reading
            && let Poll::Ready(read) = Pin::new(task).poll(cx)
        {
            self.reading = None;
            let chunks = read??.ok_or_else(lost)?;
            self.ready.extend(chunks);
        }
        Ok(())
    }

    fn take(&mut self) -> Option<Bytes> {
        let mut chunk = self.ready.pop_front()?;
        let skipped = self.skip.min(chunk.len());
        chunk.advance(skipped);
        chunk.truncate(self.left);
        self.skip = 0;
        self.left -= chunk.len();
        Some(chunk)
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            let trailers = std::mem::take(&mut self.trailers);
            let trailers = self.cut.head().trailers.clone().filter(|_| trailers);
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        if let Err(error) = self.read_on(cx) {
            // Nothing comes behind it.
            (self.left, self.trailers) = (0, false);
            return Poll::Ready(Some(Err(error)));
        }
        match self.take() {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            None => Poll::Pending,
        }
    }

    pub(crate) const fn is_end_stream(&self) -> bool {
        self.left == 0 && !self.trailers
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        stored_size(self.left, self.trailers)
    }
}

impl Drop for ChunkReader {
    fn drop(&mut self) {
        if let Some(task) = self.reading.take() {
            task.abort();
        }
    }
}

impl fmt::Debug for ChunkReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkReader")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// The size of a stored body that has `length` bytes, and maybe trailers.
pub(crate) fn stored_size(length: usize, trailers: bool) -> SizeHint {
    let length = length as u64;
    if !trailers {
        return SizeHint::with_exact(length);
    }
    // An exact length becomes `Content-Length`, and HTTP/1.1 has trailers only where it is absent
    // (RFC 9112 §7.1.2).
    let mut size = SizeHint::new();
    size.set_lower(length);
    size
}

fn lost() -> Error {
    let message = "a chunk of a stored response is missing";
    Error::new(ErrorKind::Unavailable, message)
}

#[cfg(test)]
mod tests;
