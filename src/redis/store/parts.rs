//! Large bodies, in parts under keys of their own.
//!
//! Redis answers in order: whoever asks for something small behind something large waits for all of it; and
//! whoever takes something large in one piece holds it. So a body over [`WHOLE`] bytes is cut. Under the
//! entry's key stands the response without it, which is enough to judge it, and says by which number the parts
//! are called; the parts go, a few at a time, over the connection that stores use, and what is small in
//! between passes.
//!
//! - The parts are stored first: who finds the entry finds them, unless they were evicted, which is a miss.
//! - The number is drawn for each store, so that parts of two never mix; and each part has a frame with a
//!   checksum, as it may be on its way to a client before the next one is read.
//! - Parts live [longer](LONGER) than the entry, for those who read slowly. What is left of one that never
//!   came to be expires; one that was replaced is given that time when it is.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Pipeline, Value};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{RedisStore, in_frame, lifetime};
use crate::entry::codec::parts::{self, Parts};
use crate::entry::{self, PART, StoredResponse, parts_of};
use crate::error::Error;
use crate::observe::{Notice, SharedObserver};
use crate::redis::fault;
use crate::redis::link::{Link, Live};
use crate::redis::verify::Verifier;

/// Bodies up to this stand whole under their key.
pub(super) const WHOLE: usize = 64 * 1024;
/// Parts that one write has.
const AT_ONCE: usize = 4;
/// How much longer than its entry a part is kept: the longest that a client may take to read it.
const LONGER: Duration = Duration::from_secs(300);
/// Bytes of a frame that tell by which number the parts of what it stands for are called, and how many they are.
const BEGINNING: usize = 64;

impl RedisStore {
    /// Stores the parts of `response`; what is to stand in its place.
    pub(super) async fn store_parts(
        &self,
        live: &Live,
        deadline: Instant,
        response: &StoredResponse,
        keep: Duration,
        compress: bool,
    ) -> Result<Bytes, Error> {
        let parts = Parts {
            number: fastrand::u128(..),
            length: response.body.len(),
        };
        let keep = lifetime(keep.saturating_add(LONGER));
        let cut: Vec<&[u8]> = response.body.chunks(PART).collect();
        for (turn, some) in cut.chunks(AT_ONCE).enumerate() {
            let mut pipe = Pipeline::with_capacity(some.len());
            for (place, bytes) in (turn * AT_ONCE..).zip(some) {
                let frame = parts::encode_part(&parts, place, bytes, compress);
                pipe.cmd("SET")
                    .arg(self.verifier.keys.part(parts.number, place));
                pipe.arg(&*frame).arg("PX").arg(keep);
            }
            let answer = self.writes.ask(live, deadline, &pipe).await?;
            if let Some(error) = answer.iter().find_map(fault::error_in) {
                return Err(self.verifier.server.error("store", error));
            }
        }
        Ok(parts::encode_cut(response, &parts))
    }

    /// Asks, before an entry is replaced, for so much of it that its parts can be [told](Self::outlived).
    pub(super) fn ask_beginning(pipe: &mut Pipeline, key: &str) {
        pipe.cmd("GETRANGE").arg(key).arg(0).arg(BEGINNING);
    }

    /// Lets the parts of an entry that was replaced expire as soon as nobody reads them any more. Should this
    /// come to nothing, they do it in their own time.
    pub(super) async fn outlived(&self, live: &Live, deadline: Instant, beginning: &Value) {
        let Value::BulkString(beginning) = beginning else {
            return;
        };
        let Some(parts) = parts::of_beginning(beginning) else {
            return;
        };
        let mut pipe = ::redis::pipe();
        for place in 0..parts_of(parts.length) {
            let name = self.verifier.keys.part(parts.number, place);
            pipe.cmd("PEXPIRE").arg(name).arg(lifetime(LONGER));
        }
        let _ = self.writes.ask(live, deadline, &pipe).await;
    }

    pub(super) fn source(&self, parts: Parts) -> Arc<dyn entry::Source> {
        Arc::new(Source {
            verifier: Arc::clone(&self.verifier),
            link: self.writes.clone(),
            observer: self.observer.clone(),
            parts,
        })
    }
}

/// Reads the parts of one body.
#[derive(Debug, Clone)]
struct Source {
    verifier: Arc<Verifier>,
    link: Link,
    observer: SharedObserver,
    parts: Parts,
}

impl Source {
    async fn ask(&self, deadline: Instant, pipe: &Pipeline) -> Result<Vec<Value>, Error> {
        let live = self.link.verified(deadline).await?;
        self.link.ask(&live, deadline, pipe).await
    }

    fn name(&self, place: usize) -> String {
        self.verifier.keys.part(self.parts.number, place)
    }

    fn opened(&self, place: usize, value: Value) -> Result<Bytes, &'static str> {
        let frame = in_frame(value)?.ok_or("a part is missing")?;
        let bytes = parts::open_part(frame, &self.parts, place)?;
        let expected = PART.min(self.parts.length - place * PART);
        if bytes.len() == expected {
            Ok(bytes)
        } else {
            Err("a part is of another length")
        }
    }
}

impl entry::Source for Source {
    fn read(
        &self,
        places: Range<usize>,
        waits: bool,
    ) -> BoxFuture<'static, Result<Option<Vec<Bytes>>, Error>> {
        let source = self.clone();
        async move {
            let budgets = source.verifier.server.budgets();
            // A store's is the one for as many bytes. Behind it, a response under way would be cut off.
            let budget = if waits {
                budgets.write
            } else {
                budgets.connect
            };
            let mut pipe = Pipeline::with_capacity(places.len());
            for place in places.clone() {
                pipe.cmd("GET").arg(source.name(place));
            }
            let answer = source.ask(Instant::now() + budget, &pipe).await?;
            let opened = (places.zip(answer)).map(|(place, value)| source.opened(place, value));
            match opened.collect() {
                Ok(parts) => Ok(Some(parts)),
                Err(reason) => {
                    source.observer.notify(&Notice::EntryRejected { reason });
                    Ok(None)
                }
            }
        }
        .boxed()
    }

    fn has(&self, places: Range<usize>) -> BoxFuture<'static, Result<bool, Error>> {
        let source = self.clone();
        async move {
            let deadline = Instant::now() + source.verifier.server.budgets().write;
            let mut pipe = Pipeline::with_capacity(places.len());
            for place in places {
                pipe.cmd("EXISTS").arg(source.name(place));
            }
            let answer = source.ask(deadline, &pipe).await?;
            let all = answer.iter().all(|there| *there == Value::Int(1));
            if !all {
                let reason = "a part is missing";
                source.observer.notify(&Notice::EntryRejected { reason });
            }
            Ok(all)
        }
        .boxed()
    }
}
