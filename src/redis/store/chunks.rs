//! Large bodies, in chunks under keys of their own.
//!
//! Redis answers in order: whoever asks for something small behind something large waits for all of it; and
//! whoever takes something large in one piece holds it. So a body over [`WHOLE`] bytes is cut. Under the
//! entry's key stands the response without it, which is enough to judge it, and says by which number the chunks
//! are called; the chunks go, a few at a time, over the connection that stores use, and what is small in
//! between passes.
//!
//! - The chunks are stored first: who finds the entry finds them, unless they were evicted, which is a miss.
//! - The number is drawn for each store, so that chunks of two never mix; and each chunk has a frame with a
//!   checksum, as it may be on its way to a client before the next one is read.
//! - Chunks live [longer](LONGER) than the entry, for those who read slowly. What is left of one that never
//!   came to be expires; one that was replaced is given that time when it is.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Pipeline, Value};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{RedisStore, in_frame, lifetime, speaks_against};
use crate::entry::codec::chunks::{self, Chunks};
use crate::entry::{CHUNK, ChunkSource, StoredResponse, chunks_of};
use crate::error::Error;
use crate::observe::{Notice, SharedObserver};
use crate::redis::data::{Data, Keyed};
use crate::redis::fault;
use crate::redis::health::ServerHealth;
use crate::redis::link::Link;
use crate::redis::reply;
use crate::redis::verify::Verifier;

/// Bodies up to this stand whole under their key.
pub(super) const WHOLE: usize = 64 * 1024;
/// Chunks that one write has.
const AT_ONCE: usize = 4;
/// How much longer than its entry a chunk is kept: the longest that a client may take to read it.
const LONGER: Duration = Duration::from_secs(300);
/// Bytes of a frame that tell by which number the chunks of what it stands for are called, and how many they are.
const BEGINNING: usize = 64;

impl RedisStore {
    /// Stores the chunks of `response`; what is to stand in its place.
    pub(super) async fn store_chunks(
        &self,
        deadline: Instant,
        response: &StoredResponse,
        keep: Duration,
        compress: bool,
    ) -> Result<Bytes, Error> {
        let chunks = Chunks {
            number: fastrand::u128(..),
            length: response.body.len(),
        };
        let keep = lifetime(keep.saturating_add(LONGER));
        let cut: Vec<&[u8]> = response.body.chunks(CHUNK).collect();
        for (turn, some) in cut.chunks(AT_ONCE).enumerate() {
            let sets = (turn * AT_ONCE..).zip(some).map(|(place, bytes)| {
                let frame = chunks::encode_chunk(&chunks, place, bytes, compress);
                let mut set = ::redis::cmd("SET");
                let key = self.verifier.keys.chunk(chunks.number, place);
                set.arg(&key).arg(&*frame).arg("PX").arg(keep);
                Keyed { key, command: set }
            });
            let answer = self.stores.ask_each(deadline, sets.collect()).await?;
            if let Some(error) = answer.iter().find_map(fault::error_in) {
                return Err(self.verifier.server.error("store", error));
            }
        }
        Ok(chunks::encode_cut(response, &chunks))
    }

    /// Asks, before an entry is replaced, for so much of it that its chunks can be [told](Self::outlived).
    pub(super) fn ask_beginning(pipe: &mut Pipeline, key: &str) {
        pipe.cmd("GETRANGE").arg(key).arg(0).arg(BEGINNING);
    }

    /// Lets the chunks of an entry that was replaced expire as soon as nobody reads them any more. Should this
    /// come to nothing, they do it in their own time.
    pub(super) async fn outlived(&self, deadline: Instant, beginning: &Value) {
        let Value::BulkString(beginning) = beginning else {
            return;
        };
        let Some(chunks) = chunks::of_beginning(beginning) else {
            return;
        };
        let ends = (0..chunks_of(chunks.length)).map(|place| {
            let key = self.verifier.keys.chunk(chunks.number, place);
            let mut expire = ::redis::cmd("PEXPIRE");
            expire.arg(&key).arg(lifetime(LONGER));
            Keyed {
                key,
                command: expire,
            }
        });
        let _ = self.stores.ask_each(deadline, ends.collect()).await;
    }

    pub(super) fn source(&self, chunks: Chunks) -> Arc<dyn ChunkSource> {
        Arc::new(RedisChunks {
            verifier: Arc::clone(&self.verifier),
            link: self.writes.clone(),
            data: self.stores.clone(),
            health: Arc::clone(&self.health),
            observer: self.observer.clone(),
            chunks,
        })
    }
}

/// Reads the chunks of one body.
#[derive(Debug, Clone)]
struct RedisChunks {
    verifier: Arc<Verifier>,
    link: Link,
    data: Data,
    health: Arc<ServerHealth>,
    observer: SharedObserver,
    chunks: Chunks,
}

impl RedisChunks {
    /// Sends `command` for each of the chunks at `places`.
    async fn ask(
        &self,
        deadline: Instant,
        command: &str,
        places: Range<usize>,
    ) -> Result<Vec<Value>, Error> {
        let commands = places.map(|place| {
            let key = self.verifier.keys.chunk(self.chunks.number, place);
            let mut command = ::redis::cmd(command);
            command.arg(&key);
            Keyed { key, command }
        });
        self.data.ask_each(deadline, commands.collect()).await
    }

    fn opened(&self, place: usize, value: Value) -> Result<Bytes, &'static str> {
        let frame = in_frame(value)?.ok_or("a chunk is missing")?;
        let expected = CHUNK.min(self.chunks.length - place * CHUNK);
        chunks::open_chunk(frame, &self.chunks, place, expected)
    }

    async fn chunks(
        &self,
        places: Range<usize>,
        deadline: Instant,
    ) -> Result<Option<Vec<Bytes>>, Error> {
        let answer = self.ask(deadline, "GET", places.clone()).await?;
        if answer.len() != places.len() {
            return Err(reply::malformed("answer"));
        }
        let opened = (places.zip(answer)).map(|(place, value)| self.opened(place, value));
        Ok(opened
            .collect::<Result<_, _>>()
            .map_or_else(|reason| self.reject(reason), Some))
    }

    async fn all_there(&self, places: Range<usize>, deadline: Instant) -> Result<bool, Error> {
        let answer = self.ask(deadline, "EXISTS", places).await?;
        let all = answer.iter().all(|there| *there == Value::Int(1));
        if !all {
            self.reject::<()>("a chunk is missing");
        }
        Ok(all)
    }

    fn reject<T>(&self, reason: &'static str) -> Option<T> {
        self.observer.notify(&Notice::EntryRejected { reason });
        None
    }
}

impl ChunkSource for RedisChunks {
    fn budget(&self) -> Duration {
        // A store's, which is the one for as many bytes.
        self.verifier.server.budgets().write
    }

    fn read(
        &self,
        places: Range<usize>,
        deadline: Instant,
    ) -> BoxFuture<'static, Result<Option<Vec<Bytes>>, Error>> {
        let source = self.clone();
        async move {
            let reading = source.chunks(places, deadline);
            if let Data::Spread(..) = source.data {
                return reading.await;
            }
            let counts = |error: &Error| speaks_against(error, &source.link);
            source.health.writes.run(counts, reading).await
        }
        .boxed()
    }

    fn has(
        &self,
        places: Range<usize>,
        deadline: Instant,
    ) -> BoxFuture<'static, Result<bool, Error>> {
        let source = self.clone();
        async move { source.all_there(places, deadline).await }.boxed()
    }

    fn read_on(
        &self,
        places: Range<usize>,
    ) -> BoxFuture<'static, Result<Option<Vec<Bytes>>, Error>> {
        let source = self.clone();
        async move {
            // Behind it a response that is under way would be cut off: it may take as long as connecting may, and
            // what ends one connection need not be the end.
            let patience = source.verifier.server.budgets().connect;
            match source
                .chunks(places.clone(), Instant::now() + patience)
                .await
            {
                Err(_) => source.chunks(places, Instant::now() + patience).await,
                read => read,
            }
        }
        .boxed()
    }
}
