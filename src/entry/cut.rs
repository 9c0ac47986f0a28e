//! Responses whose body stands elsewhere, in chunks.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::entry::StoredResponse;
use crate::error::Error;

/// The bytes of a chunk, but for the last, which has what is left.
pub(crate) const CHUNK: usize = 64 * 1024;

/// How many chunks a body of so many bytes has.
pub(crate) const fn chunks_of(length: usize) -> usize {
    length.div_ceil(CHUNK)
}

/// Where the chunks of one body are read.
pub(crate) trait ChunkSource: Debug + Send + Sync + 'static {
    /// How long a client may wait for the first byte.
    fn budget(&self) -> Duration;

    /// Some chunks, in order, none of them damaged; `None` if one is not there, or not as it was stored, which
    /// has been reported. All their bytes are held at once.
    ///
    /// # Errors
    /// They did not come by `deadline`, or the store is not asked at present.
    fn read(
        &self,
        chunks: Range<usize>,
        deadline: Instant,
    ) -> BoxFuture<'static, Result<Option<Vec<Bytes>>, Error>>;

    /// Whether some chunks are there.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn has(
        &self,
        chunks: Range<usize>,
        deadline: Instant,
    ) -> BoxFuture<'static, Result<bool, Error>>;

    /// Reads as [`read`](Self::read) does for a response that is under way already, which an error would cut
    /// off: more than once, and for longer.
    ///
    /// # Errors
    /// They did not come in time.
    fn read_on(
        &self,
        chunks: Range<usize>,
    ) -> BoxFuture<'static, Result<Option<Vec<Bytes>>, Error>>;
}

/// A stored response without its body.
#[derive(Debug)]
pub(crate) struct Cut {
    head: StoredResponse,
    length: usize,
    source: Arc<dyn ChunkSource>,
}

impl Cut {
    /// `head` with a body of `length` bytes, which `source` has.
    pub(crate) fn new(head: StoredResponse, length: usize, source: Arc<dyn ChunkSource>) -> Self {
        debug_assert!(head.body.is_empty());
        Self {
            head,
            length,
            source,
        }
    }

    /// Everything but the body, which is empty here.
    pub(crate) const fn head(&self) -> &StoredResponse {
        &self.head
    }

    /// The bytes of the body.
    pub(crate) const fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn source(&self) -> &dyn ChunkSource {
        &*self.source
    }

    /// The response with its body; `None` if a chunk is missing.
    ///
    /// # Errors
    /// As [`ChunkSource::read`].
    pub(crate) async fn whole(&self) -> Result<Option<StoredResponse>, Error> {
        /// Chunks that are asked for at once.
        const AT_ONCE: usize = 4;
        let deadline = Instant::now() + self.source.budget();
        let count = chunks_of(self.length);
        let mut body = Vec::new();
        for first in (0..count).step_by(AT_ONCE) {
            let some = first..count.min(first + AT_ONCE);
            let Some(chunks) = self.source.read(some, deadline).await? else {
                return Ok(None);
            };
            // Not before something is there: the length is only what an entry says.
            if body.is_empty() {
                body.reserve_exact(self.length);
            }
            chunks
                .iter()
                .for_each(|chunk| body.extend_from_slice(chunk));
        }
        let mut whole = self.head.clone();
        whole.body = body.into();
        Ok((whole.body.len() == self.length).then_some(whole))
    }
}
